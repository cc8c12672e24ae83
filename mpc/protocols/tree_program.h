// Purpose: trees of machines for programs of the step language: reduce, broadcast and scan. The node of level l over machine m
// is on machine m rounded down to a multiple of f^l, f the fan-in.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/program/program.h"

namespace roundtrip::mpc {

/// A program with trees over its first machines(). Stages of a program are functions that record rounds and return what the
/// next tape finds.
class TreeProgram : public Program {
 protected:
  using Element = std::vector<Affine>;
  using Program::Program;

  /// Of the tree: those that hold input.
  virtual std::uint32_t machines() const { return static_cast<std::uint32_t>(shape().input_machines()); }
  /// Whether no word of the input is on this machine at this place.
  Affine missing(std::uint32_t place) {
    const std::uint64_t b = shape().block_words, n = shape().n;
    return tape().table([=](MachineId m) { return m * b + place < n ? 0 : 1; });
  }
  static std::uint32_t power(std::uint32_t fan, std::uint32_t level) {
    std::uint32_t result = 1;
    while (level-- > 0) result *= fan;
    return result;
  }
  std::vector<Value> values(const Element& element, const std::vector<std::int64_t>& limits) const {
    std::vector<Value> made;
    for (std::size_t w = 0; w < element.size(); ++w) made.push_back({element[w], limits[w % limits.size()]});
    return made;
  }

  /// One level up: every node of level - 1 sends its element to its parent, which then has its children's. 1 round.
  std::vector<Element> up(const Element& element, const std::vector<std::int64_t>& limits, std::uint32_t fan,
                          std::uint32_t level) {
    const auto width = static_cast<std::uint32_t>(element.size());
    const std::uint32_t q = machines(), below = power(fan, level - 1), span = below * fan;
    const auto slots = static_cast<std::uint32_t>(std::min<std::uint64_t>(fan, ceil_div(q, below)));
    send(
        "up", values(element, limits), [=](MachineId m) { return m < q && m % below == 0 ? width : 0; },
        [=](MachineId m, std::uint32_t w) {
          return Place{m - m % span, m % span / below * width + w};
        },
        slots * width);
    std::vector<Element> children(slots);
    for (std::uint32_t slot = 0; slot < slots * width; ++slot)
      children[slot / width].push_back(received(slot));
    return children;
  }
  /// One level down: every node of `level` sends each child an element. 1 round.
  Element down(const std::vector<Element>& to_children, const std::vector<std::int64_t>& limits,
               std::uint32_t fan, std::uint32_t level) {
    const auto width = static_cast<std::uint32_t>(to_children[0].size());
    const std::uint32_t q = machines(), below = power(fan, level - 1), span = below * fan;
    Element all;
    for (const Element& element : to_children) all.insert(all.end(), element.begin(), element.end());
    send(
        "down", values(all, limits),
        [=](MachineId m) {
          if (m >= q || m % span != 0) return 0u;
          return width * static_cast<std::uint32_t>(std::min<std::uint64_t>(fan, ceil_div(q - m, below)));
        },
        [=](MachineId m, std::uint32_t i) {
          return Place{m + i / width * below, i % width};
        },
        width);
    Element element;
    for (std::uint32_t w = 0; w < width; ++w) element.push_back(received(w));
    return element;
  }

  using Combine = std::function<Element(const Element& left, const Element& right)>;
  struct Scanned {
    Element before;
    std::vector<Affine> stay;
  };
  /// What comes before a machine's element, and words of limit `stay_limit` that stay on their machine, in the tape 2 d
  /// rounds later. Beside those a machine keeps the children of the nodes that are on it: d f elements.
  Scanned scan(Element element, const std::vector<std::int64_t>& limits, std::vector<Affine> stay,
               std::int64_t stay_limit, std::uint32_t fan, const Combine& combine) {
    const std::uint32_t depth = ceil_log(fan, machines());
    const auto width = static_cast<std::uint32_t>(element.size());
    std::vector<std::vector<Element>> children;  // [level - 1] as the present tape knows them
    const auto keep_all = [&] {
      for (const Affine& word : stay) keep(word, stay_limit);
      for (const auto& level : children) {
        for (const Element& child : level) {
          for (std::uint32_t w = 0; w < width; ++w) keep(child[w], limits[w]);
        }
      }
    };
    const auto find_all = [&] {
      std::uint32_t at = 0;
      for (Affine& word : stay) word = kept(at++);
      for (auto& level : children) {
        for (Element& child : level) {
          for (Affine& word : child) word = kept(at++);
        }
      }
    };
    for (std::uint32_t level = 1; level <= depth; ++level) {
      keep_all();
      std::vector<Element> below = up(element, limits, fan, level);
      find_all();
      element = below[0];
      for (std::size_t c = 1; c < below.size(); ++c) element = combine(element, below[c]);
      children.push_back(std::move(below));
    }
    element.assign(width, Affine());  // nothing comes before the root
    for (std::uint32_t level = depth; level >= 1; --level) {
      std::vector<Element> before;
      for (const Element& child : children.back()) {
        before.push_back(element);
        element = combine(element, child);
      }
      children.pop_back();
      keep_all();
      element = down(before, limits, fan, level);
      find_all();
    }
    return {std::move(element), std::move(stay)};
  }
};

/// The widest tree with which a machine has memory for `block` words that stay, and for the children of its nodes and one
/// more of width `width`; 0 if there is none.
inline std::uint32_t widest_fan(std::uint64_t memory, std::uint64_t block, std::uint64_t width,
                                std::uint64_t machines) {
  for (std::uint64_t fan = std::min<std::uint64_t>(memory / width, std::max<std::uint64_t>(machines, 2));
       fan >= 2; --fan) {
    if (block + (ceil_log(fan, machines) + 1) * fan * width <= memory) return static_cast<std::uint32_t>(fan);
  }
  return 0;
}

}  // namespace roundtrip::mpc
