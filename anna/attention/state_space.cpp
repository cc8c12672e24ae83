#include "roundtrip/anna/attention/state_space.h"

#include <algorithm>
#include <map>
#include <optional>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

/// The symbols of tokens 0, 1, .. in order.
class SymbolWalk {
 public:
  explicit SymbolWalk(const Points& points) : points_(points) {}
  Symbol of(std::uint64_t token) {
    const bool listed = next_ < points_.listed.size() && points_.listed[next_].token == token;
    return listed ? points_.listed[next_++].symbol : points_.default_symbol;
  }

 private:
  const Points& points_;
  std::size_t next_ = 0;
};

class ModelStateSpace final : public Attention {
 public:
  std::string name() const override { return StateSpace::info().name; }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, 1);
    out.clear();
    const std::uint32_t channels = codebook.dimension();
    // Weights are below 2^31 and values below 2^53 in magnitude.
    require(channels <= 1u << 30, "state_space: {} channels; at most 2^30 are allowed", channels);
    std::vector<std::optional<std::size_t>> row_of(channels);  // of values, in the channel; kZeros: no row
    constexpr std::size_t kZeros = ~std::size_t{0};
    std::vector<std::int32_t> vector(channels);
    SymbolWalk keys(head.keys), queries(head.queries);
    std::map<std::uint32_t, Wide> sums;
    std::size_t next_row = 0;
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const bool has_row = next_row < head.values.tokens.size() && head.values.tokens[next_row] == token;
      const std::size_t row = has_row ? next_row++ : kZeros;
      codebook.vector(keys.of(token), vector);
      for (std::uint32_t r = 0; r < channels; ++r) {
        if (vector[r] > 0) row_of[r] = row;
      }
      codebook.vector(queries.of(token), vector);
      sums.clear();
      Wide total = 0;
      for (std::uint32_t r = 0; r < channels; ++r) {
        if (vector[r] <= 0 || !row_of[r]) continue;
        total += vector[r];
        if (*row_of[r] == kZeros) continue;
        for (const Entry& entry : head.values.row(*row_of[r]))
          sums[entry.column] += vector[r] * static_cast<Wide>(entry.value);
      }
      for (const auto& [column, sum] : sums) {
        if (sum != 0) out.entries.push_back({column, static_cast<double>(sum) / static_cast<double>(total)});
      }
      if (out.entries.size() == out.offsets.back()) continue;
      out.tokens.push_back(token);
      out.offsets.push_back(out.entries.size());
    }
  }
};

}  // namespace

std::unique_ptr<Attention> make_state_space() {
  return std::make_unique<ModelStateSpace>();
}

const MechanismInfo& StateSpace::info() {
  static const MechanismInfo info{
      .name = "state_space",
      .card =
          "a recurrence with gates: keys open channels, which then hold the token's value; queries read them",
      .finds_equal_keys = false,
      .options = {},
      .read = [](const JsonField& object) -> Mechanism { return object.object({"kind"}), StateSpace{}; },
      .draw = [](const MechanismDraw&) -> Mechanism { return StateSpace{}; },
      .samples = [] { return std::vector<Mechanism>{StateSpace{}}; }};
  return info;
}

}  // namespace roundtrip::anna
