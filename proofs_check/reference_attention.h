// Purpose: attention as its definition says, written by the verifier: what mechanisms are compared with, and
// what they can be exchanged for. And a meter around any mechanism, for what a layer really uses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/anna.h"

namespace roundtrip::proofs_check {

/// Exact-match attention from the definition: keys grouped by their vectors in an ordered map, sums in 128
/// bits.
/// `sums` gives sums in place of averages: a defect, for controls.
std::unique_ptr<anna::Attention> make_reference_exact_match(bool sums = false);

/// ANNA from its definition: by each table the sums and counts of a query's bucket, added over the tables,
/// one division. What a function is on a vector is the hash family's definition (anna/lsh/family.h), read one
/// value at a time.
std::unique_ptr<anna::Attention> make_reference_anna(const anna::AnnaParameters& parameters);

/// Low-rank attention from its definition, pair by pair: out_i = sum_j <phi(q_i), phi(k_j)> v_j / sum_j
/// <phi(q_i), phi(k_j)> in 128-bit integers, with the PositiveFeatures phi of (rank, seed). Quadratic.
std::unique_ptr<anna::Attention> make_reference_low_rank(std::uint32_t rank, std::uint64_t seed);

/// [N, N] weights of keys for queries, [N] vectors each.
__extension__ using ReferenceWeight = __int128;
using ReferenceVectors = std::vector<std::vector<std::int32_t>>;
using ReferenceWeights = std::function<std::vector<ReferenceWeight>(const ReferenceVectors& queries,
                                                                    const ReferenceVectors& keys)>;
/// out_i = sum_j w_ij v_j / sum_j w_ij, pair by pair in 128-bit integers; 0 where no key has a weight.
std::unique_ptr<anna::Attention> make_reference_averages(ReferenceWeights weights);

/// Passes everything on and notes what was asked of the mechanism: heads and dimensions that are used, not
/// declared.
class Meter : public anna::Attention {
 public:
  explicit Meter(anna::Attention& inner) : inner_(inner) {}
  std::string name() const override { return inner_.name(); }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override;
  /// Since the last call: heads evaluated; the most that a head used of its query or value dimension.
  struct Used {
    std::uint64_t heads = 0;
    std::uint64_t dimension = 0;
  };
  Used take();
  /// Called once, before anything is passed on of the next head.
  void before_next(std::function<void()> work) { before_next_ = std::move(work); }

 private:
  anna::Attention& inner_;
  Used used_;
  std::function<void()> before_next_;
};

}  // namespace roundtrip::proofs_check
