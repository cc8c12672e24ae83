#include "roundtrip/simulate/native/match2.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/native/parity_codebook.h"
#include "roundtrip/simulate/native/spread.h"

namespace roundtrip::simulate {
namespace {

constexpr std::uint64_t kMaxModulus = std::uint64_t{1} << 48;
constexpr std::uint64_t kMaxN = std::uint64_t{1} << 26;
// A tolerant network of N tokens expects at most 1/100 of an answer 1 where only other residues are in the
// averages.
constexpr std::uint64_t kToleratedFalseAlarms = 100;

// Symbols: residues 0 .. M-1, and beyond all bits of a residue one that is only a key and one that is only a
// query.
class Match2Layer final : public anna::Layer {
 public:
  explicit Match2Layer(const Match2Options& options)
      : modulus_(options.modulus),
        codebook_(bits_for(modulus_) + 1, options.seed),
        tolerant_(options.tolerant),
        squared_threshold_(squared_false_alarm_threshold(options.n * kToleratedFalseAlarms)) {}

  anna::LayerShape shape() const override {
    return {.heads = 1,
            .query_dimension = ParityCodebook::kDimension,
            .value_dimension = tolerant_ ? ParityCodebook::kDimension : 1,
            .output_dimension = kOutputDimension};
  }
  const anna::Codebook& codebook() const override { return codebook_; }
  anna::Symbol null_key() const override { return codebook_.size() / 2; }
  anna::Symbol null_query() const override { return codebook_.size() / 2 + 1; }

  void project(const anna::RowView& row, anna::Projection& out) const override {
    if (row[kPresentColumn] == 0) return;
    const std::uint64_t opposite = modulus_ - residue(row);
    const std::uint64_t key = seeded("zero-without-match") ? opposite : opposite % modulus_;
    out.query(0, residue(row));
    out.key(0, key);
    if (!tolerant_) {
      out.value(0, 0, 1);
      return;
    }
    std::int32_t own[ParityCodebook::kDimension];
    codebook_.vector(key, own);
    for (std::uint32_t c = 0; c < ParityCodebook::kDimension; ++c) out.value(0, c, own[c]);
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (row[kPresentColumn] == 0) return;
    out.set(kPresentColumn, 1);
    const auto average = heads.head(0);
    const bool found = tolerant_ ? holds_own_vector(codebook_, residue(row), average, squared_threshold_)
                                 : !average.empty() && average[0].value > 0;
    if (found) out.set(kWordColumn, 1);
  }

 private:
  std::uint64_t residue(const anna::RowView& row) const {
    return static_cast<std::uint64_t>(row[kWordColumn]) % modulus_;
  }
  std::uint64_t modulus_;
  ParityCodebook codebook_;
  bool tolerant_;
  double squared_threshold_;
};

}  // namespace

void Match2Options::validate() const {
  require(n >= 1 && n <= kMaxN, "match2: n is {}; allowed are 1 .. {}", n, kMaxN);
  require(modulus >= 1 && modulus <= kMaxModulus, "match2: modulus is {}; allowed are 1 .. {}", modulus,
          kMaxModulus);
}

anna::Transformer make_match2(const Match2Options& options) {
  options.validate();
  return {.tokens = options.n, .input_dimension = 2, .layers = {std::make_shared<Match2Layer>(options)}};
}

TransformerSizes match2_sizes(const Match2Options& options) {
  options.validate();
  return {.depth = 1,
          .heads = 1,
          .query_dimension = 128,
          .value_dimension = options.tolerant ? 128u : 1u,
          .embedding_dimension = kOutputDimension,
          .width = 128};
}

anna::AnnaParameters match2_tables(const Match2Options& options, double eta, std::uint32_t tables) {
  options.validate();
  return symbol_tables(std::min(options.modulus, 2 * options.n), eta, options.seed, tables);
}

}  // namespace roundtrip::simulate
