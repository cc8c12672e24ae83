#include "roundtrip/cli/expected.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::cli {
namespace {

using Json = nlohmann::json;

/// The examples' part of a file, with the place of what is wrong.
class Place {
 public:
  Place(const Json& node, std::string path) : node_(node), path_(std::move(path)) {}
  Place operator[](const char* name) const {
    need(node_.is_object() && node_.contains(name), fmt::format("has no '{}'", name));
    return {node_[name], path_ + "." + name};
  }
  std::vector<Place> items() const {
    need(node_.is_array(), "is no list");
    std::vector<Place> all;
    for (std::size_t i = 0; i < node_.size(); ++i) all.push_back({node_[i], fmt::format("{}[{}]", path_, i)});
    return all;
  }
  double number() const {
    need(node_.is_number() && std::isfinite(node_.get<double>()), "is no number");
    return node_.get<double>();
  }
  std::int64_t integer() const {
    need(node_.is_number_integer(), "is no integer");
    return node_.get<std::int64_t>();
  }
  void need(bool holds, const std::string& what) const { require(holds, "{} {}", path_, what); }

 private:
  const Json& node_;
  std::string path_;
};

}  // namespace

std::optional<SourceDifference> compare_with_source(const std::string& path, const anna::Model& model,
                                                    std::uint32_t input_bits) {
  const Json file = anna::JsonField::parse(read_whole(path), path);
  if (!file.contains("expected")) return std::nullopt;
  const Place expected(file["expected"], quote(path) + ": expected");
  const auto* last = dynamic_cast<const anna::WeightLayer*>(model.transformer.layers.back().get());
  const auto* first = dynamic_cast<const anna::WeightLayer*>(model.transformer.layers.front().get());
  expected.need(first != nullptr && last != nullptr, "is of models with weights only");
  SourceDifference found;
  found.tolerance = expected["tolerance"].number();
  const std::int64_t half = std::int64_t{1} << (input_bits - 1);
  for (const Place& example : expected["examples"].items()) {
    std::vector<mpc::Word> words;
    for (const Place& value : example["input"].items()) {
      const std::int64_t x = value.integer();
      value.need(
          x >= -half && x + half <= first->weights().row_limit.largest(),
          fmt::format("is {}; allowed is {} to {}", x, -half, first->weights().row_limit.largest() - half));
      words.push_back(static_cast<mpc::Word>(x + half));
    }
    example.need(!words.empty() && words.size() <= model.transformer.tokens,
                 fmt::format("has an input of {} numbers; the model has {} tokens", words.size(),
                             model.transformer.tokens));
    const anna::Activations rows =
        anna::evaluate(model, simulate::input_activations(words, model.transformer.tokens));
    const std::vector<Place> theirs = example["rows"].items();
    example.need(!theirs.empty() && theirs.size() <= rows.tokens(),
                 fmt::format("has {} rows; the model has {}", theirs.size(), rows.tokens()));
    for (std::size_t t = 0; t < theirs.size(); ++t) {
      const std::vector<Place> numbers = theirs[t].items();
      theirs[t].need(
          numbers.size() == rows.dimension(),
          fmt::format("has {} numbers; the model's rows have {}", numbers.size(), rows.dimension()));
      for (std::uint32_t c = 0; c < rows.dimension(); ++c) {
        const double ours = std::ldexp(rows.row(t)[c], -static_cast<int>(last->output_fraction_bits()));
        found.largest = std::max(found.largest, std::fabs(ours - numbers[c].number()));
      }
    }
    ++found.inputs;
  }
  expected.need(found.inputs > 0, "has no example");
  if (seeded("source-uncompared")) found.largest = 0;
  return found;
}

std::string source_text(const SourceDifference& difference) {
  return fmt::format(
      "  source            {} input{} of its own: the largest difference is {:.3g}, {} {:.3g}\n",
      difference.inputs, difference.inputs == 1 ? "" : "s", difference.largest,
      difference.within() ? "allowed" : "more than the allowed", difference.tolerance);
}

nlohmann::ordered_json source_json(const std::optional<SourceDifference>& difference) {
  if (!difference) return nullptr;
  return {{"inputs", difference->inputs},
          {"largest_difference", difference->largest},
          {"tolerance", difference->tolerance}};
}

}  // namespace roundtrip::cli
