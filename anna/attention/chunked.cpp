#include "roundtrip/anna/attention/chunked.h"

#include <algorithm>
#include <numeric>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/dense_values.h"
#include "roundtrip/anna/attention/kernel_attention.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::anna {
namespace {

__extension__ using Wide = __int128;

class ChunkedAttention final : public Attention {
 public:
  explicit ChunkedAttention(const Chunked& parameters) : parameters_(parameters) { parameters.validate(1); }
  std::string name() const override { return Chunked::info().name; }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, parameters_.hashings);
    out.clear();
    if (head.tokens == 0) return;
    const std::size_t tokens = head.tokens;
    const DistinctPoints points(codebook, head.queries, tokens);
    std::vector<std::uint64_t> order(tokens);
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    const std::vector<std::uint32_t> class_of = points.classes_of(order);
    const DenseValues values(head.values, tokens);
    const std::size_t columns = values.columns.size();
    std::vector<Wide> sums(tokens * columns, 0);
    std::vector<std::uint64_t> counts(tokens, 0);
    for (std::uint32_t hashing = 0; hashing < parameters_.hashings; ++hashing) {
      const std::vector<std::uint32_t> rank = code_ranks(points, codebook.dimension(), hashing);
      const auto code = [&](std::uint64_t token) { return rank[class_of[token]]; };
      std::sort(order.begin(), order.end(), [&](std::uint64_t a, std::uint64_t b) {
        return code(a) != code(b) ? code(a) < code(b) : a < b;
      });
      const std::uint64_t chunk = parameters_.chunk + seeded("chunk-too-large");
      for (std::uint64_t place = 0; place < tokens; ++place) {
        const std::uint64_t token = order[place], number = place / chunk;
        const std::uint64_t first = (number - std::min<std::uint64_t>(number, 1)) * chunk;
        const std::uint64_t last =
            parameters_.masked
                ? place + 1
                : std::min<std::uint64_t>(tokens, (number + 1 + seeded("next-chunk-seen")) * chunk);
        for (std::uint64_t other = first; other < last; ++other) {
          if (code(order[other]) != code(token) && !seeded("codes-ignored")) continue;
          ++counts[token];
          const auto value = values.row(order[other]);
          for (std::size_t c = 0; c < columns; ++c) sums[token * columns + c] += value[c];
        }
      }
    }
    for (std::uint64_t token = 0; token < tokens; ++token)
      values.append_average(token, std::span(sums).subspan(token * columns, columns),
                            static_cast<Wide>(counts[token]), out);
  }

 private:
  /// Of each distinct query, the number of its code among all codes in ascending order.
  std::vector<std::uint32_t> code_ranks(const DistinctPoints& points, std::uint32_t dimension,
                                        std::uint32_t hashing) const {
    const auto hash = make_table(parameters_.functions_of(dimension), seeded("one-hashing") ? 0 : hashing);
    std::vector<std::vector<std::uint64_t>> codes;
    for (std::uint32_t c = 0; c < points.vectors.size(); ++c) {
      std::vector<std::uint64_t> code;
      for (std::uint32_t f = 0; f < parameters_.functions; ++f)
        code.push_back(hash->value(f, points.vector(c, dimension)));
      codes.push_back(std::move(code));
    }
    auto ascending = codes;
    std::sort(ascending.begin(), ascending.end());
    std::vector<std::uint32_t> ranks;
    for (const auto& code : codes) {
      ranks.push_back(static_cast<std::uint32_t>(std::lower_bound(ascending.begin(), ascending.end(), code) -
                                                 ascending.begin()));
    }
    return ranks;
  }

  Chunked parameters_;
};

}  // namespace

void Chunked::validate(std::uint32_t query_dimension) const {
  require(chunk >= 1 && chunk <= kMaxChunk, "chunked: chunk is {}; allowed are 1 .. {}", chunk, kMaxChunk);
  require(hashings >= 1 && hashings <= kMaxHashings, "chunked: hashings is {}; allowed are 1 .. {}", hashings,
          kMaxHashings);
  require(family == FamilyKind::kHyperplane || family == FamilyKind::kCrossPolytope,
          "chunked: family is {}; allowed are hyperplane and cross-polytope", to_string(family));
  functions_of(query_dimension).validate();
}

std::unique_ptr<Attention> Chunked::make() const {
  return std::make_unique<ChunkedAttention>(*this);
}

void Chunked::write(JsonObject& out) const {
  out.json["chunk"] = chunk;
  out.json["hashings"] = hashings;
  out.json["functions"] = functions;
  out.json["seed"] = seed;
  if (family != FamilyKind::kHyperplane) out.json["family"] = to_string(family);
  if (masked) out.json["causal"] = true;
}

std::string Chunked::caption() const {
  return fmt::format("{}chunks of {} tokens by {} hashing{}", masked ? "causal " : "", chunk, hashings,
                     hashings == 1 ? "" : "s");
}

const MechanismInfo& Chunked::info() {
  static const MechanismInfo info{
      .name = "chunked",
      .card =
          "Reformer: tokens sorted by hash code and cut into chunks, keys of one's code in one's own chunk and the "
          "one before",
      .finds_equal_keys = false,
      .options = {{"chunk", 8, 1, kMaxChunk, "tokens of a chunk of chunked attention, 1 to 1048576"},
                  {"hashings", 2, 1, kMaxHashings, "hashings of chunked attention, 1 to 256"},
                  {"functions", 2, 1, 1024, "hash functions of a hashing of chunked attention, 1 to 1024"},
                  kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "chunk", "hashings", "functions", "seed", "?family", "?causal"});
        Chunked chunked{object["chunk"].number(1, kMaxChunk), object["hashings"].number32(1, kMaxHashings),
                        object["functions"].number32(1, 1024), object["seed"].number(0, UINT64_MAX)};
        if (const auto given = object.find("family")) {
          if (given->text() != to_string(FamilyKind::kCrossPolytope))
            given->fail(fmt::format("is {}; allowed is cross-polytope, or none for hyperplane",
                                    quote(given->text())));
          chunked.family = FamilyKind::kCrossPolytope;
        }
        chunked.masked = object.flag("causal");
        return chunked;
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Chunked{.chunk = draw.options.at(0),
                       .hashings = static_cast<std::uint32_t>(draw.options.at(1)),
                       .functions = static_cast<std::uint32_t>(draw.options.at(2)),
                       .seed = draw.model.seed,
                       .masked = draw.options.at(3) != 0};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{
                Chunked{}, Chunked{.chunk = 3, .hashings = 2, .functions = 2, .seed = 4, .masked = true},
                Chunked{.chunk = 2, .functions = 1, .family = FamilyKind::kCrossPolytope},
                Chunked{.chunk = 4, .hashings = 2, .functions = 3, .seed = 5}};
          }};
  return info;
}

}  // namespace roundtrip::anna
