#include "roundtrip/anna/attention/interval_softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/dense_values.h"
#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {
namespace {

class IntervalSoftmax final : public Attention {
 public:
  IntervalSoftmax(std::string name, double scale,
                  std::function<KeyIntervals(std::uint64_t, std::uint64_t)> keys_of)
      : name_(std::move(name)), scale_(scale), keys_of_(std::move(keys_of)) {}
  std::string name() const override { return name_; }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, 1);
    out.clear();
    const std::size_t dimension = codebook.dimension(), tokens = head.tokens;
    const std::vector<std::int32_t> queries = dense_points(codebook, head.queries, tokens);
    const std::vector<std::int32_t> keys = dense_points(codebook, head.keys, tokens);
    const DenseValues values(head.values, tokens);
    double largest = 0;
    for (const std::int64_t value : values.all)
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
    check_softmax_widths(name_, tokens, largest);
    std::vector<Score> scores, totals(values.columns.size());
    for (std::size_t token = 0; token < tokens; ++token) {
      KeyIntervals of = keys_of_(token, tokens);
      if (seeded("window-too-wide") && of.last < tokens) ++of.last;
      const auto key_of = [&](std::size_t number) {
        return number < of.before ? number : of.first + (number - of.before);
      };
      scores.resize(of.before + of.last - of.first);
      for (std::size_t number = 0; number < scores.size(); ++number) {
        const std::int32_t* const key = &keys[key_of(number) * dimension];
        Score score = 0;
        for (std::size_t i = 0; i < dimension; ++i)
          score += std::int64_t{queries[token * dimension + i]} * key[i];
        scores[number] = score;
      }
      const Score norm = softmax_sums(
          scale_, scores, [&](std::size_t number) { return values.row(key_of(number)); }, totals);
      values.append_average(token, totals, norm, out);
    }
  }

 private:
  std::string name_;
  double scale_;
  std::function<KeyIntervals(std::uint64_t, std::uint64_t)> keys_of_;
};

}  // namespace

std::unique_ptr<Attention> make_interval_softmax(
    std::string name, double scale, std::function<KeyIntervals(std::uint64_t, std::uint64_t)> keys_of) {
  return std::make_unique<IntervalSoftmax>(std::move(name), scale, std::move(keys_of));
}

void check_softmax_widths(std::string_view name, std::uint64_t tokens, double largest_value) {
  const int bits = static_cast<int>(kSoftmaxWeightBits) + std::bit_width(tokens) +
                   std::max(1, std::ilogb(std::max(1.0, largest_value)) + 1);
  require(bits <= 126, "{}: weights, {} tokens and values up to {} need {} bits; 126 are allowed", name,
          tokens, largest_value, bits);
}

}  // namespace roundtrip::anna
