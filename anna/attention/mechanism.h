// Purpose: one record for each attention mechanism that a layer of a model can have. Model files, random models,
// the program's flags, tests and fuzzers loop over the records and know no mechanism by name. A mechanism is one
// header, one file with its record, and its line in mechanisms.cpp; how its layers become a protocol says
// simulate/decompile/.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

struct AnnaParameters;  // anna/attention/anna.h
class FeatureMap;       // anna/attention/feature_attention.h
class JsonField;        // anna/files/json_field.h
struct JsonObject;      // anna/files/json_field.h
struct RandomModel;     // anna/transformer/random_model.h
class Mechanism;

/// A whole number that a random model's mechanism takes.
struct MechanismOption {
  std::string name;
  std::uint64_t value = 0;               ///< unless given
  std::uint64_t least = 0, largest = 0;  ///< allowed
  std::string meaning;
};

/// Of every mechanism that can have a causal mask.
inline const MechanismOption kCausalOption{"causal", 0, 0, 1, "1: no token sees a later one; 0 or 1"};

/// What a random model's mechanism is drawn from.
struct MechanismDraw {
  const RandomModel& model;
  std::uint64_t tokens;                ///< N'
  double eta;                          ///< failure probability, where the mechanism has one
  std::vector<std::uint64_t> options;  ///< one for each of MechanismInfo::options
};

struct MechanismInfo {
  std::string name;  ///< in model files, on command lines, and of what make() returns
  std::string card;  ///< what it computes, in a line or two for users
  /// Whether weights are collision counts c_ij, which are largest for equal vectors. Else every key may have a weight.
  bool finds_equal_keys = false;
  /// If tokens can find each other by ids, so that the transformers that protocols are compiled to can use it: the
  /// parameters with which only keys that equal the query have a weight, by hash tables that `tables` draws for the
  /// set where the mechanism has any.
  Mechanism (*for_equal_keys)(const std::function<AnnaParameters()>& tables) = nullptr;
  /// Whether that takes a codebook with Codebook::fallback(), which a query without an equal key falls back to.
  bool needs_fallback = false;
  /// Whether that takes a draw: it then holds for the set alone, with the probability of the draw.
  bool drawn = false;
  std::vector<MechanismOption> options;  ///< of random models
  /// The parameters, from a model file's object; "kind" has been read. ContractError naming the field.
  Mechanism (*read)(const JsonField& object) = nullptr;
  /// The parameters for a random model; ContractError for what it cannot have.
  Mechanism (*draw)(const MechanismDraw& draw) = nullptr;
  /// Small instances, at least one of every form that a model file can have: for tests and fuzzers.
  std::vector<Mechanism> (*samples)() = nullptr;
};

/// Of a recurrence, whose outputs are no averages of values: the first `numbers` columns of a head's output are integers
/// from least to largest, the others 0.
struct StateRange {
  std::uint32_t numbers = 0;
  std::int64_t least = 0, largest = 0;
};

/// c_ij of vectors by their numbers.
using CollisionCounts = std::function<std::uint32_t(std::size_t query, std::size_t key)>;

/// Of a mechanism that searches by hash tables.
struct HashTables {
  std::uint32_t tables = 0, functions = 0;        ///< ell, z
  std::optional<double> near_radius, far_radius;  ///< r and c r that they were computed for, if known
  bool directions = false;                        ///< distances are those of the unit sphere
};

/// The parameters of a mechanism, of any type P that has
///   static const MechanismInfo& info();
///   void validate(std::uint32_t query_dimension) const;   ContractError naming field, value and range
///   std::unique_ptr<Attention> make() const;              ContractError for parameters out of range
///   void write(JsonObject& out) const;                    what info().read reads, "kind" apart
///   std::string caption() const;                          a few words, parameters included
///   bool operator==
/// and, if info().finds_equal_keys,
///   CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const;
/// and as they apply
///   HashTables hash_tables() const;
///   P with_tables(std::uint32_t tables) const;   the first so many of its tables
///   bool causal() const;                     keys after the query's token have weight 0; else no key is left out
///   std::uint64_t coding_operations(std::uint32_t query_dimension) const;   to code a query or key; else 1
///   std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const;   weights are <phi(q), phi(k)>
///   StateRange state_range() const;          outputs are a state's numbers; else averages of values
/// A value: copies share what does not change.
class Mechanism {
 public:
  template <typename P>
  requires requires(const P& p) {
    { p.info() } -> std::same_as<const MechanismInfo&>;
  } &&(!std::same_as<P, Mechanism>)Mechanism(P parameters)
      : held_(std::make_shared<const Held<P>>(std::move(parameters))) {
  }

  const MechanismInfo& info() const { return held_->info(); }
  const std::string& name() const { return info().name; }
  void validate(std::uint32_t query_dimension) const { held_->validate(query_dimension); }
  std::unique_ptr<Attention> make() const { return held_->make(); }
  void write(JsonObject& out) const { held_->write(out); }
  std::string caption() const { return held_->caption(); }
  /// Cost: for ANNA, hashes all vectors in all tables; memory the square of their number.
  CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const {
    return held_->collisions(vectors);
  }
  std::optional<HashTables> hash_tables() const { return held_->hash_tables(); }
  /// With the first `tables` of its hash tables, at most all; of a mechanism without, the same.
  Mechanism with_tables(std::uint32_t tables) const { return held_->with_tables(*this, tables); }
  std::uint64_t coding_operations(std::uint32_t query_dimension) const {
    return held_->coding_operations(query_dimension);
  }
  bool causal() const { return held_->causal(); }
  /// phi, if weights are inner products of features; else null. Cost: may draw rank times dimension numbers.
  std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const {
    return held_->features(query_dimension);
  }
  std::optional<StateRange> state_range() const { return held_->state_range(); }
  /// The parameters, if they are a P: for the mechanism's own files.
  template <typename P>
  const P* get_if() const {
    const auto* held = dynamic_cast<const Held<P>*>(held_.get());
    return held == nullptr ? nullptr : &held->parameters;
  }
  friend bool operator==(const Mechanism& a, const Mechanism& b) {
    return a.held_ == b.held_ || a.held_->equals(*b.held_);
  }

 private:
  struct Any {
    virtual ~Any() = default;
    virtual const MechanismInfo& info() const = 0;
    virtual void validate(std::uint32_t query_dimension) const = 0;
    virtual std::unique_ptr<Attention> make() const = 0;
    virtual void write(JsonObject& out) const = 0;
    virtual std::string caption() const = 0;
    virtual CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const = 0;
    virtual std::optional<HashTables> hash_tables() const = 0;
    virtual Mechanism with_tables(const Mechanism& self, std::uint32_t tables) const = 0;
    virtual std::uint64_t coding_operations(std::uint32_t query_dimension) const = 0;
    virtual bool causal() const = 0;
    virtual std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const = 0;
    virtual std::optional<StateRange> state_range() const = 0;
    virtual bool equals(const Any& other) const = 0;
  };
  template <typename P>
  struct Held final : Any {
    explicit Held(P p) : parameters(std::move(p)) {}
    const MechanismInfo& info() const override { return P::info(); }
    void validate(std::uint32_t query_dimension) const override { parameters.validate(query_dimension); }
    std::unique_ptr<Attention> make() const override { return parameters.make(); }
    void write(JsonObject& out) const override { parameters.write(out); }
    std::string caption() const override { return parameters.caption(); }
    CollisionCounts collisions(std::span<const std::vector<std::int32_t>> vectors) const override {
      if constexpr (requires { parameters.collisions(vectors); }) {
        return parameters.collisions(vectors);
      } else {
        ensure(!P::info().finds_equal_keys, "a mechanism that finds equal keys counts collisions");
        return {};
      }
    }
    std::optional<HashTables> hash_tables() const override {
      if constexpr (requires { parameters.hash_tables(); }) {
        return parameters.hash_tables();
      } else {
        return std::nullopt;
      }
    }
    Mechanism with_tables(const Mechanism& self, std::uint32_t tables) const override {
      if constexpr (requires { parameters.with_tables(tables); }) {
        return parameters.with_tables(tables);
      } else {
        return self;
      }
    }
    std::uint64_t coding_operations(std::uint32_t query_dimension) const override {
      if constexpr (requires { parameters.coding_operations(query_dimension); }) {
        return parameters.coding_operations(query_dimension);
      } else {
        return 1;
      }
    }
    bool causal() const override {
      if constexpr (requires { parameters.causal(); }) {
        return parameters.causal();
      } else {
        return false;
      }
    }
    std::optional<StateRange> state_range() const override {
      if constexpr (requires { parameters.state_range(); }) {
        return parameters.state_range();
      } else {
        return std::nullopt;
      }
    }
    std::shared_ptr<const FeatureMap> features(std::uint32_t query_dimension) const override {
      if constexpr (requires { parameters.features(query_dimension); }) {
        return parameters.features(query_dimension);
      } else {
        return nullptr;
      }
    }
    bool equals(const Any& other) const override {
      const auto* same = dynamic_cast<const Held*>(&other);
      return same != nullptr && same->parameters == parameters;
    }
    P parameters;
  };

  std::shared_ptr<const Any> held_;
};

}  // namespace roundtrip::anna
