// Purpose: routing digit by digit. Node numbers are written in mixed radix; in the layer of digit t a word
// moves to the node that differs from its own in that digit alone, so that every node has k_t partners and a
// bundle for each. Glossary: q machines, q' >= q nodes, D digits, k_t radix of digit t, C_t words a bundle, s
// memory words, R rounds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/base/divider.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/parameters.h"

namespace roundtrip::simulate {

class DigitRouting {
 public:
  /// Radices as choose_radices gives them, one capacity each.
  DigitRouting(std::vector<std::uint32_t> radices, std::vector<std::uint32_t> capacities);

  std::uint32_t digits() const { return static_cast<std::uint32_t>(radices_.size()); }  ///< D
  std::uint64_t nodes() const { return nodes_; }                                        ///< q'
  std::uint32_t radix(std::uint32_t t) const { return radices_[t]; }                    ///< k_t
  std::uint32_t capacity(std::uint32_t t) const { return capacities_[t]; }              ///< C_t
  std::uint32_t digit(std::uint64_t node, std::uint32_t t) const {
    const std::uint64_t above = by_stride_[t](node);
    return static_cast<std::uint32_t>(above - radices_[t] * by_radix_[t](above));
  }
  /// Offset from `node` to `target` in digit t: 0 .. k_t - 1.
  std::uint32_t offset(std::uint64_t node, std::uint64_t target, std::uint32_t t) const {
    const std::uint32_t to = digit(target, t), from = digit(node, t);
    return to >= from ? to - from : to + radices_[t] - from;
  }
  /// Calls visit(offset, partner(node, t, offset)) for offsets 0 .. k_t - 1.
  template <typename Visit>
  void for_each_partner(std::uint64_t node, std::uint32_t t, Visit&& visit) const {
    const std::uint32_t from = digit(node, t);
    const std::uint64_t zero = node - strides_[t] * from;
    for (std::uint32_t offset = 0, to = from; offset < radices_[t]; ++offset) {
      visit(offset, zero + strides_[t] * to);
      if (++to == radices_[t]) to = 0;
    }
  }
  /// The node whose digit t is `node`'s plus `offset` (0 .. k_t - 1) modulo k_t.
  std::uint64_t partner(std::uint64_t node, std::uint32_t t, std::uint32_t offset) const {
    const std::uint32_t from = digit(node, t);
    return node + strides_[t] * ((from + offset) % radices_[t]) - strides_[t] * from;
  }

 private:
  std::vector<std::uint32_t> radices_, capacities_;
  std::vector<std::uint64_t> strides_;
  std::vector<Divider> by_stride_, by_radix_;
  std::uint64_t nodes_ = 1;
};

/// What the routed construction uses, and how it chooses intermediates.
struct RoutingPlan {
  DigitRouting digits;
  bool dealt = false;
  std::string reason = {};  ///< why, one line
};

/// D: forced, or 1 if no delta is given and q <= s, or else ceil(log_k q), at least 1, for k = max(2,
/// ceil(N^delta)). Without a delta and with q > s, delta = 1/5.
std::uint32_t choose_digits(const mpc::Shape& shape, const std::optional<Rational>& delta,
                            std::optional<std::uint32_t> forced);

/// `digits` radices of ceil(q^{1/D}), lowered one by one in turn while their product stays >= q (so it is <
/// 2q for q > 1); those that reach 1 are dropped, but one.
std::vector<std::uint32_t> choose_radices(std::uint64_t machines, std::uint32_t digits);

/// The least C >= total / parts with P[Poisson(total / parts) > C] <= eta / events. Computed in decimal software
/// arithmetic of 50 digits, so equal on every system.
std::uint64_t poisson_capacity(std::uint64_t total, std::uint64_t parts, const Rational& eta,
                               std::uint64_t events);

/// C_t: the least C >= s / k_t with P[Poisson(s / k_t) > C] <= eta / (2 R sum_t q' k_t). A bundle's load is a
/// sum of independent indicators of mean at most s / k_t, whose tail above the mean the Poisson tail bounds
/// (Hoeffding 1956); the sum is over all bundles of all 2 D R layers, so no bundle overflows with probability
/// >= 1 - eta.
std::vector<std::uint32_t> choose_capacities(const mpc::Shape& shape,
                                             const std::vector<std::uint32_t>& radices, const Rational& eta);

/// Intermediates without chance, with one digit: machine `source` puts its words in the order of their destinations,
/// equal ones in that of their sequence, and deals them in turn to nodes source, source + 1, .. modulo q.
/// `destinations` [words] are machines, in the order of sequence; so are `intermediates` [words].
void deal_words(std::uint64_t source, std::uint64_t machines, std::span<const std::uint32_t> destinations,
                std::span<std::uint32_t> intermediates);

/// Words that a bundle needs if words are dealt, for any traffic in which a machine sends and receives at most s:
/// floor(s / q) + q - 1, or s if that is less. To a node a machine sends at most ceil(s / q) of its words. From a node
/// to machine w: of the c_u words of machine u for w, consecutive in the order in which they are dealt, a node gets at
/// most ceil(c_u / q). Let i of the q machines have c_u > 0: the sum of the ceilings is at most
/// (sum of c_u + i (q - 1)) / q <= (s + q (q - 1)) / q, and at most s. Tight: q (floor(s / q) - 1) + 1 words of one
/// machine and one of every other for w can meet at one node.
std::uint32_t dealt_capacity(std::uint64_t memory_words, std::uint64_t machines);

}  // namespace roundtrip::simulate
