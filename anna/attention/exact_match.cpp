#include "roundtrip/anna/attention/exact_match.h"

#include <map>

#include "roundtrip/anna/attention/bucket_attention.h"
#include "roundtrip/anna/files/json_field.h"

namespace roundtrip::anna {
namespace {

class ExactBucketing final : public Bucketing {
 public:
  std::string name() const override { return ExactMatch::info().name; }
  std::uint32_t tables() const override { return 1; }
  void reset(std::uint32_t) override { classes_ = 0; }
  void add_class(std::span<const std::int32_t>) override { ++classes_; }
  std::uint32_t bucket(std::uint32_t, std::uint32_t vector_class) const override { return vector_class; }
  std::uint32_t buckets(std::uint32_t) const override { return classes_; }

 private:
  std::uint32_t classes_ = 0;
};

}  // namespace

std::unique_ptr<Attention> make_exact_match() {
  return make_bucket_attention(std::make_unique<ExactBucketing>());
}

std::unique_ptr<Attention> make_causal_exact_match() {
  return make_causal_bucket_attention(std::make_unique<ExactBucketing>());
}

void ExactMatch::write(JsonObject& out) const {
  if (masked) out.json["causal"] = true;
}

CollisionCounts ExactMatch::collisions(std::span<const std::vector<std::int32_t>> vectors) const {
  std::map<std::vector<std::int32_t>, std::uint32_t> classes;
  std::vector<std::uint32_t> class_of;
  for (const auto& vector : vectors)
    class_of.push_back(classes.try_emplace(vector, static_cast<std::uint32_t>(classes.size())).first->second);
  return [class_of = std::move(class_of)](std::size_t query, std::size_t key) {
    return class_of[query] == class_of[key] ? 1u : 0u;
  };
}

const MechanismInfo& ExactMatch::info() {
  static const MechanismInfo info{
      .name = "ema",
      .card = "exact match: the plain average over the keys that equal the query",
      .finds_equal_keys = true,
      .for_equal_keys = [](const std::function<AnnaParameters()>&) -> Mechanism { return ExactMatch{}; },
      .options = {},
      .read = [](const JsonField& object) -> Mechanism {
        const auto causal = object.object({"kind", "?causal"}).find("causal");
        return ExactMatch{causal && causal->truth()};
      },
      .draw = [](const MechanismDraw&) -> Mechanism { return ExactMatch{}; },
      .samples =
          [] {
            return std::vector<Mechanism>{ExactMatch{}, ExactMatch{true}};
          }};
  return info;
}

}  // namespace roundtrip::anna
