#include "roundtrip/simulate/compile/certificate.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/mechanism.h"
#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {
namespace {

/// Appends "a,b,c": what a JSON list holds.
class ListWriter {
 public:
  explicit ListWriter(std::string& text) : text_(text) {}
  template <typename Number>
  ListWriter& add(Number number) {
    separate();
    fmt::format_to(std::back_inserter(text_), "{}", number);
    return *this;
  }
  /// An element that the caller appends.
  void separate() {
    if (!first_) text_ += ',';
    first_ = false;
  }

 private:
  std::string& text_;
  bool first_ = true;
};

void append_entries(anna::EntryView entries, std::string& text) {
  ListWriter list(text);
  for (const anna::Entry entry : entries) list.add(entry.column).add(entry.value);
}

/// [[token, symbol, symbol, ..], ..]: the symbols of tokens token, token + 1, ..
std::string points_text(const anna::Points& points) {
  std::string text = "[";
  for (std::size_t i = 0; i < points.listed.size(); ++i) {
    const anna::TokenSymbol& point = points.listed[i];
    const bool goes_on = i > 0 && point.token == points.listed[i - 1].token + 1;
    if (!goes_on) fmt::format_to(std::back_inserter(text), "{}[{}", i == 0 ? "" : "],", point.token);
    fmt::format_to(std::back_inserter(text), ",{}", point.symbol);
  }
  return text += points.listed.empty() ? "]" : "]]";
}

/// [[token, [column, number, ..]], ..]
void append_rows(const anna::SparseRows& rows, std::string& text) {
  text += '[';
  ListWriter list(text);
  for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
    list.separate();
    fmt::format_to(std::back_inserter(text), "[{},[", rows.tokens[i]);
    append_entries(rows.row(i), text);
    text += "]]";
  }
  text += ']';
}

/// An attention mechanism that writes down what each head is given and what it gives. Queries or keys that are those
/// of the head before are null.
class HeadWriter final : public anna::Attention {
 public:
  HeadWriter(anna::Attention& inner, std::string& text) : inner_(inner), text_(text), list_(text) {}
  std::string name() const override { return inner_.name(); }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    inner_.attend(codebook, head, out);
    list_.separate();
    text_ += '[';
    append_points(head.queries, queries_);
    append_points(head.keys, keys_);
    append_rows(head.values, text_);
    text_ += ',';
    append_rows(out, text_);
    text_ += ']';
  }

 private:
  void append_points(const anna::Points& points, std::string& before) {
    std::string now = points_text(points);
    text_ += now == before ? "null" : now;
    text_ += ',';
    before = std::move(now);
  }

  anna::Attention& inner_;
  std::string& text_;
  ListWriter list_;
  std::string queries_, keys_;
};

/// The words of each machine in each round, in the order in which it sent them.
class SentWords final : public mpc::Observer {
 public:
  explicit SentWords(const mpc::Shape& shape)
      : text_(shape.rounds, std::vector<std::string>(shape.machines)) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    ListWriter list(text_[round - 1][machine]);
    outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) { list.add(destination).add(word); });
  }
  std::string round(std::uint32_t number) const {
    std::string text = fmt::format(R"({{"round":{},"sent":[)", number);
    ListWriter list(text);
    for (const std::string& words : text_[number - 1]) {
      list.separate();
      text += '[' + words + ']';
    }
    return text += "]}";
  }

 private:
  std::vector<std::vector<std::string>> text_;  // [R, q]
};

std::string ids_text(const anna::Codebook& codebook, const anna::Mechanism& mechanism) {
  std::vector<std::int32_t> vector(codebook.dimension());
  std::string vectors, codes;
  ListWriter vector_list(vectors), code_list(codes);
  std::unique_ptr<const anna::TableHash> hash;
  if (const auto* anna = mechanism.get_if<anna::Anna>()) {
    ensure(anna->parameters.tables == 1, "ids are told apart by one table");
    hash = anna::make_table(anna->parameters.functions_of(codebook.dimension()), 0);
  }
  std::vector<std::uint64_t> code(hash ? hash->code_words() : 0);
  for (anna::Symbol symbol = 0; symbol < codebook.size(); ++symbol) {
    codebook.vector(symbol, vector);
    vector_list.separate();
    vectors += '"';
    for (const std::int32_t coordinate : vector) vectors += coordinate < 0 ? '-' : '+';
    vectors += '"';
    if (!hash) continue;
    hash->code(vector, code);
    code_list.separate();
    codes += '"';
    for (const std::uint64_t word : code) fmt::format_to(std::back_inserter(codes), "{:016x}", word);
    codes += '"';
  }
  return fmt::format(R"({{"ids":[{}],"codes":{}}})", vectors, hash ? "[" + codes + "]" : "null");
}

}  // namespace

void write_certificate(const Compiled& compiled, std::string_view mechanism, std::span<const mpc::Word> input,
                       const std::function<void(std::string_view line)>& write) {
  const mpc::Protocol& protocol = *compiled.protocol;
  const anna::Transformer& transformer = compiled.transformer;
  const anna::Mechanism attention =
      mechanism_for(transformer.layers.front()->codebook(), mechanism, compiled.options.seed);
  write(ids_text(transformer.layers.front()->codebook(), attention));
  {
    SentWords sent(protocol.shape());
    const auto transport = mpc::make_in_process_transport();
    mpc::RunOptions options;
    options.observer = &sent;
    mpc::run(protocol, input, *transport, options);
    for (std::uint32_t round = 1; round <= protocol.shape().rounds; ++round) write(sent.round(round));
  }
  const std::unique_ptr<anna::Attention> inner = attention.make();
  anna::Activations array = input_activations(input, transformer.tokens);
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    const anna::Layer& layer = *transformer.layers[l];
    const anna::LayerShape shape = layer.shape();
    std::string text =
        fmt::format(R"({{"layer":{},"sizes":[{},{},{},{}],"null_query":{},"null_key":{},"heads":[)", l,
                    shape.heads, shape.query_dimension, shape.value_dimension, shape.output_dimension,
                    layer.null_query(), layer.null_key());
    HeadWriter heads(*inner, text);
    array = anna::evaluate(layer, heads, array);
    text += R"(],"rows":[)";
    ListWriter rows(text);
    for (std::uint64_t token = 0; token < array.tokens(); ++token) {
      if (array.row(token).entries.empty()) continue;
      rows.separate();
      fmt::format_to(std::back_inserter(text), "[{},[", token);
      append_entries(array.row(token).entries, text);
      text += "]]";
    }
    text += "]}";
    write(text);
  }
}

}  // namespace roundtrip::simulate
