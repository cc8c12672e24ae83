#include "roundtrip/anna/attention/anna.h"

#include <algorithm>

#include <cmath>
#include <map>

#include "roundtrip/anna/attention/bucket_attention.h"
#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::anna {
namespace {

class HashBucketing final : public Bucketing {
 public:
  explicit HashBucketing(const AnnaParameters& parameters)
      : parameters_(parameters), tables_(parameters.tables) {
    parameters.validate();
  }
  std::string name() const override { return Anna::info().name; }
  std::uint32_t tables() const override { return parameters_.tables; }
  void reset(std::uint32_t dimension) override {
    if (dimension != dimension_) {
      parameters_.functions_of(dimension).validate();
      for (Table& table : tables_) table.hash.reset();
      dimension_ = dimension;
    }
    for (Table& table : tables_) table.bucket_of_class.clear();
  }
  void add_class(std::span<const std::int32_t> vector) override {
    for (std::uint32_t t = 0; t < parameters_.tables; ++t) {
      Table& table = tables_[t];
      if (table.hash == nullptr) table.hash = make_table(parameters_.functions_of(dimension_), t);
      code_.resize(table.hash->code_words());
      if (table.bucket_of_class.empty()) table.codes.reset(seeded("code-cut") ? 2 : 8 * code_.size());
      table.hash->code(vector, code_);
      table.bucket_of_class.push_back(table.codes.intern(code_.data()));
    }
  }
  std::uint32_t bucket(std::uint32_t table, std::uint32_t vector_class) const override {
    return tables_[table].bucket_of_class[vector_class];
  }
  std::uint32_t buckets(std::uint32_t table) const override { return tables_[table].codes.size(); }

 private:
  struct Table {
    std::unique_ptr<const TableHash> hash;  // drawn when first used
    RecordInterner codes;                   // all z bits of a code are compared
    std::vector<std::uint32_t> bucket_of_class;
  };
  AnnaParameters parameters_;
  std::uint32_t dimension_ = 0;
  std::vector<Table> tables_;
  std::vector<std::uint64_t> code_;
};

constexpr FamilyKind kFamilies[] = {FamilyKind::kHyperplane, FamilyKind::kPStable, FamilyKind::kCrossPolytope,
                                    FamilyKind::kCrossPolytopeHadamard, FamilyKind::kBitSampling};

FamilyKind read_family(const JsonField& field) {
  std::string names;
  for (const FamilyKind kind : kFamilies) {
    if (field.text() == to_string(kind)) return kind;
    names += " " + to_string(kind);
  }
  field.fail(fmt::format("is {}; allowed are{}", quote(field.text()), names));
}

Mechanism read(const JsonField& field) {
  field.object(
      {"kind", "family", "tables", "functions", "seed", "?width", "?rotations", "?r", "?c", "?causal"});
  Anna anna;
  anna.parameters.family = read_family(field["family"]);
  anna.parameters.tables = field["tables"].number32(1, 1u << 20);
  anna.parameters.functions = field["functions"].number32(1, 1024);
  // Where they mean something they must be there, elsewhere they may not.
  if (anna.parameters.family == FamilyKind::kPStable) {
    anna.parameters.width = field["width"].positive();
  } else if (field.find("width")) {
    field["width"].fail("is for the p-stable family only");
  }
  if (anna.parameters.family == FamilyKind::kCrossPolytopeHadamard) {
    anna.parameters.rotations = field["rotations"].number32(1, 3);
  } else if (field.find("rotations")) {
    field["rotations"].fail("is for the hadamard family only");
  }
  anna.parameters.seed = field["seed"].number(0, UINT64_MAX);
  if (const auto radius = field.find("r")) anna.near_radius = radius->positive();
  if (const auto factor = field.find("c")) anna.factor = factor->positive();
  if (const auto causal = field.find("causal")) anna.parameters.causal = causal->truth();
  return anna;
}

std::vector<Mechanism> samples() {
  std::vector<Mechanism> all;
  for (const FamilyKind kind : kFamilies) {
    Anna anna;
    anna.parameters = {.tables = 3, .functions = 2, .seed = 5, .family = kind};
    if (kind == FamilyKind::kPStable) anna.parameters.width = 12.5;
    if (kind == FamilyKind::kCrossPolytopeHadamard) anna.parameters.rotations = 3;
    all.push_back(anna);
    anna.near_radius = 0.25, anna.factor = 4, anna.parameters.causal = true;
    all.push_back(anna);
  }
  return all;
}

}  // namespace

void AnnaParameters::validate() const {
  require(tables >= 1 && tables <= 1u << 20, "tables is {}; allowed are 1 .. {}", tables, 1u << 20);
  require(functions >= 1 && functions <= 1024, "functions is {}; allowed are 1 .. 1024", functions);
}

std::unique_ptr<Attention> make_anna(const AnnaParameters& parameters) {
  auto bucketing = std::make_unique<HashBucketing>(parameters);
  return parameters.causal ? make_causal_bucket_attention(std::move(bucketing))
                           : make_bucket_attention(std::move(bucketing));
}

void Anna::validate(std::uint32_t query_dimension) const {
  parameters.validate();
  parameters.functions_of(query_dimension).validate();
}

void Anna::write(JsonObject& out) const {
  out.json["family"] = to_string(parameters.family);
  out.json["tables"] = parameters.tables;
  out.json["functions"] = parameters.functions;
  out.json["seed"] = parameters.seed;
  if (parameters.family == FamilyKind::kPStable) out.json["width"] = parameters.width;
  if (parameters.family == FamilyKind::kCrossPolytopeHadamard) out.json["rotations"] = parameters.rotations;
  if (near_radius) out.json["r"] = *near_radius;
  if (factor) out.json["c"] = *factor;
  if (parameters.causal) out.json["causal"] = true;
}

std::string Anna::caption() const {
  return fmt::format("{}ANNA: {} hash table{} of {} function{}", parameters.causal ? "causal " : "",
                     parameters.tables, parameters.tables == 1 ? "" : "s", parameters.functions,
                     parameters.functions == 1 ? "" : "s");
}

CollisionCounts Anna::collisions(std::span<const std::vector<std::int32_t>> vectors) const {
  const std::size_t size = vectors.size();
  std::vector<std::uint32_t> counts(size * size);
  for (std::uint32_t table = 0; size > 0 && table < parameters.tables; ++table) {
    const auto hash =
        make_table(parameters.functions_of(static_cast<std::uint32_t>(vectors[0].size())), table);
    std::map<std::vector<std::uint64_t>, std::vector<std::size_t>> buckets;
    std::vector<std::uint64_t> code(hash->code_words());
    for (std::size_t v = 0; v < size; ++v) {
      hash->code(vectors[v], code);
      buckets[code].push_back(v);
    }
    for (const auto& [unused, members] : buckets) {
      for (const std::size_t a : members) {
        for (const std::size_t b : members) ++counts[a * size + b];
      }
    }
  }
  return [counts = std::move(counts), size](std::size_t query, std::size_t key) {
    return counts[query * size + key];
  };
}

HashTables Anna::hash_tables() const {
  HashTables facts{
      parameters.tables, parameters.functions, near_radius, {}, compares_directions(parameters.family)};
  if (near_radius && factor) facts.far_radius = *near_radius * *factor;
  return facts;
}

Anna Anna::with_tables(std::uint32_t tables) const {
  Anna fewer = *this;
  fewer.parameters.tables = std::min(tables, parameters.tables);
  return fewer;
}

std::uint64_t Anna::coding_operations(std::uint32_t query_dimension) const {
  return std::uint64_t{parameters.tables} * parameters.functions * query_dimension;
}

Anna random_model_tables(const RandomModel& model, std::uint64_t tokens, double eta) {
  model.validate();
  Anna anna;
  anna.factor = model.factor.to_double();
  anna.near_radius = std::sqrt(2.0) / *anna.factor;
  anna.parameters.family = FamilyKind::kCrossPolytope;
  anna.parameters.seed = model.seed;
  const FamilyParameters family = anna.parameters.functions_of(model.dimension);
  const TableChoice choice = choose_tables(tokens, eta, collision_probability(family, *anna.near_radius).low,
                                           collision_probability(family, std::sqrt(2.0)).high);
  require(choice.tables <= UINT32_MAX, "random model: {} tables at c = {}; at most {} can be evaluated",
          choice.tables, model.factor.to_string(), UINT32_MAX);
  anna.parameters.functions = choice.functions;
  anna.parameters.tables = static_cast<std::uint32_t>(choice.tables);
  anna.parameters.validate();
  return anna;
}

const MechanismInfo& Anna::info() {
  static const MechanismInfo info{
      .name = "anna",
      .card =
          "approximate nearest neighbors: keys weighted by the number of hash tables in which they meet the query",
      .finds_equal_keys = true,
      .for_equal_keys = [](const std::function<AnnaParameters()>& tables) -> Mechanism {
        return Anna{.parameters = tables(), .near_radius = {}, .factor = {}};
      },
      .drawn = true,
      .options = {},
      .read = read,
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return random_model_tables(draw.model, draw.tokens, draw.eta);
      },
      .samples = samples};
  return info;
}

}  // namespace roundtrip::anna
