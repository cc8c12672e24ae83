#include "roundtrip/simulate/decompile/key_code.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/parity_codebook.h"

namespace roundtrip::simulate {
namespace {

/// Numbers of `bits` bits, one after another, as many to a word as fit; one of more bits than a word has
/// takes several.
class Packing {
 public:
  Packing(std::uint64_t numbers, std::uint32_t bits, std::uint32_t word_bits)
      : numbers_(numbers),
        bits_(bits),
        per_word_(std::max(1u, word_bits / bits)),
        words_each_(static_cast<std::uint32_t>(ceil_div(bits, word_bits))),
        mask_((mpc::Word{1} << word_bits) - 1),
        word_bits_(word_bits) {}
  std::uint32_t words() const {
    return static_cast<std::uint32_t>(words_each_ > 1 ? numbers_ * words_each_
                                                      : ceil_div(numbers_, per_word_));
  }
  template <typename NumberOf>
  void pack(NumberOf&& number_of, std::span<mpc::Word> out) const {
    std::ranges::fill(out, 0);
    for (std::uint64_t i = 0; i < numbers_; ++i) {
      const std::uint64_t number = number_of(i);
      if (words_each_ == 1) {
        out[i / per_word_] |= number << (i % per_word_ * bits_);
        continue;
      }
      for (std::uint32_t w = 0; w < words_each_; ++w)
        out[i * words_each_ + w] = w * word_bits_ < 64 ? (number >> (w * word_bits_)) & mask_ : 0;
    }
  }

 private:
  std::uint64_t numbers_;
  std::uint32_t bits_, per_word_, words_each_;
  mpc::Word mask_;
  std::uint32_t word_bits_;
};

class SymbolCode final : public KeyCode {
 public:
  SymbolCode(const anna::Codebook& codebook, std::uint32_t word_bits)
      : size_(codebook.size()), packing_(1, bits_for(size_), word_bits) {}
  std::uint32_t tables() const override { return 1; }
  std::uint32_t words() const override { return packing_.words(); }
  void code(std::uint32_t, anna::Symbol symbol, std::span<const std::int32_t>,
            std::span<mpc::Word> out) const override {
    require(symbol < size_,
            "a layer whose codebook names vectors by symbols computed a query or key of its own");
    packing_.pack([symbol](std::uint64_t) { return symbol; }, out);
  }

 private:
  std::uint64_t size_;
  Packing packing_;
};

class VectorCode final : public KeyCode {
 public:
  VectorCode(const anna::Layer& layer, std::uint32_t word_bits)
      : codebook_(layer.codebook()),
        bits_(coordinate_bits(layer)),
        packing_(codebook_.dimension(), bits_, word_bits) {}
  std::uint32_t tables() const override { return 1; }
  std::uint32_t words() const override { return packing_.words(); }
  void code(std::uint32_t, anna::Symbol symbol, std::span<const std::int32_t> vector,
            std::span<mpc::Word> out) const override {
    std::vector<std::int32_t> listed;
    if (symbol < codebook_.size()) {
      listed.resize(codebook_.dimension());
      codebook_.vector(symbol, listed);
      vector = listed;
    }
    const std::uint64_t mask = (std::uint64_t{1} << bits_) - 1;
    packing_.pack([&](std::uint64_t i) { return static_cast<std::uint64_t>(std::int64_t{vector[i]}) & mask; },
                  out);
  }

 private:
  const anna::Codebook& codebook_;
  std::uint32_t bits_;
  Packing packing_;
};

class TableCode final : public KeyCode {
 public:
  TableCode(const anna::Codebook& codebook, const anna::AnnaParameters& parameters, std::uint32_t tables,
            std::uint32_t word_bits)
      : codebook_(codebook), packing_(parameters.functions, 1, word_bits), all_tables_(parameters.tables) {
    for (std::uint32_t t = 0; t < tables; ++t)
      tables_.push_back(anna::make_table(parameters.functions_of(codebook.dimension()), t));
    packing_ = Packing(parameters.functions, tables_.front()->function_bits(), word_bits);
    // Symbols of a small codebook are hashed once.
    if (tables < all_tables_ || codebook.size() > kMaxListed / tables / words()) return;
    std::vector<mpc::Word> codes(tables * codebook.size() * words());
    for (std::uint32_t t = 0; t < tables; ++t) {
      for (anna::Symbol symbol = 0; symbol < codebook.size(); ++symbol)
        code(t, symbol, {}, std::span(codes).subspan((t * codebook.size() + symbol) * words(), words()));
    }
    listed_ = std::move(codes);
  }
  std::uint32_t tables() const override { return all_tables_; }
  std::uint32_t words() const override { return packing_.words(); }
  void code(std::uint32_t table, anna::Symbol symbol, std::span<const std::int32_t> vector,
            std::span<mpc::Word> out) const override {
    std::vector<std::int32_t> listed;
    if (symbol < codebook_.size()) {
      if (!listed_.empty()) {
        std::copy_n(
            listed_.begin() + static_cast<std::ptrdiff_t>((table * codebook_.size() + symbol) * words()),
            words(), out.begin());
        return;
      }
      listed.resize(codebook_.dimension());
      codebook_.vector(symbol, listed);
      vector = listed;
    }
    const anna::TableHash& hash = *tables_[table];
    packing_.pack([&](std::uint64_t f) { return hash.value(static_cast<std::uint32_t>(f), vector); }, out);
  }

 private:
  static constexpr std::uint64_t kMaxListed = std::uint64_t{1} << 22;  // words

  const anna::Codebook& codebook_;
  std::vector<std::unique_ptr<const anna::TableHash>> tables_;
  Packing packing_;
  std::uint32_t all_tables_;
  std::vector<mpc::Word> listed_;  // [tables, symbols, words]
};

std::unique_ptr<const KeyCode> make(const anna::Layer& layer, const anna::Mechanism& mechanism,
                                    std::uint32_t word_bits, bool all_tables) {
  const anna::Codebook& codebook = layer.codebook();
  if (const auto* anna = mechanism.get_if<anna::Anna>()) {
    return std::make_unique<TableCode>(codebook, anna->parameters, all_tables ? anna->parameters.tables : 1,
                                       word_bits);
  }
  if (codebook.distinct()) return std::make_unique<SymbolCode>(codebook, word_bits);
  return std::make_unique<VectorCode>(layer, word_bits);
}

}  // namespace

std::uint32_t coordinate_bits(const anna::Layer& layer) {
  const auto* weights = dynamic_cast<const anna::WeightLayer*>(&layer);
  if (weights == nullptr) return 32;
  std::uint32_t bits = 1;
  for (const anna::HeadMaps& head : weights->weights().heads) {
    for (const anna::WeightMap* map : {&head.query, &head.key}) {
      if (!map->back().clamp) return 32;
      bits = std::max(bits, 1u + static_cast<std::uint32_t>(std::bit_width(
                                     static_cast<std::uint64_t>(map->back().clamp.largest()))));
    }
  }
  return std::min(bits, 32u);
}

std::unique_ptr<const KeyCode> make_key_code(const anna::Layer& layer, const anna::Mechanism& mechanism,
                                             std::uint32_t word_bits) {
  return make(layer, mechanism, word_bits, true);
}

std::uint32_t key_code_words(const anna::Layer& layer, const anna::Mechanism& mechanism,
                             std::uint32_t word_bits) {
  return make(layer, mechanism, word_bits, false)->words();
}

}  // namespace roundtrip::simulate
