// The trace against a run of its own, and followed words against what each task says where its answers come
// from.
#include <algorithm>
#include <map>
#include <memory>
#include <numeric>

#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/escape_html.h"
#include "roundtrip/explain/follow.h"
#include "roundtrip/explain/page.h"
#include "roundtrip/explain/terminal.h"
#include "roundtrip/explain/trace.h"
#include "roundtrip/explain/view.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/compile/export.h"

namespace roundtrip::explain {
namespace {

using Values = mpc::Values;

struct Made {
  simulate::Compiled compiled;
  std::vector<mpc::Word> input;
  Names names;
};

Made make(const std::string& name, const Values& values,
          const std::string& construction = simulate::CompileOptions{}.construction,
          const std::map<std::string, std::string>& options = {}) {
  mpc::Parameters parameters;
  parameters.n = values.size();
  parameters.options = options;
  const mpc::ProtocolInfo& info = mpc::find_protocol(name);
  simulate::CompileOptions compile;
  compile.construction = construction;
  compile.name = name;
  Made made{simulate::compile(std::shared_ptr<const mpc::Protocol>(info.make(parameters)), compile), {}, {}};
  const mpc::Shape& shape = made.compiled.protocol->shape();
  for (const std::int64_t value : values) {
    made.input.push_back(mpc::encode_input(value, shape, "value"));
    made.names.input.push_back(std::to_string(value));
  }
  made.names.title = name;
  made.names.output = [&info, protocol = made.compiled.protocol](std::uint64_t output, mpc::Word word) {
    const auto value = info.decode(*protocol, output, word);
    return value ? std::to_string(*value) : std::string();
  };
  return made;
}

Trace trace_of(const Made& made, std::string_view mechanism = "ema") {
  return record(made.compiled, mechanism, made.input, made.names);
}

Values generated(const std::string& name, std::uint64_t n) {
  mpc::Parameters parameters;
  parameters.n = n;
  const mpc::ProtocolInfo& info = mpc::find_protocol(name);
  if (info.generate) return info.generate(parameters);
  Values values(n);
  for (std::uint64_t i = 0; i < n; ++i) values[i] = static_cast<std::int64_t>((7 * i + 3) % n);
  return values;
}

/// The test's own record of a run: (round, source, sequence) to (destination, word).
class OwnRecord final : public mpc::Observer {
 public:
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    std::uint32_t sequence = 0;
    outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) {
      sent[{round, machine, sequence++}] = {destination, word};
    });
  }
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::pair<std::uint32_t, mpc::Word>> sent;
};

void expect_equal_to_run(const Made& made, const Trace& trace) {
  OwnRecord own;
  mpc::RunOptions options;
  options.observer = &own;
  const auto transport = mpc::make_in_process_transport();
  const mpc::RunResult result = mpc::run(*made.compiled.protocol, made.input, *transport, options);
  std::size_t words = 0;
  for (std::uint32_t r = 1; r <= trace.rounds.size(); ++r) {
    const RoundTrace& round = trace.rounds[r - 1];
    std::vector<std::uint64_t> received(round.loads.size()), sent(round.loads.size());
    for (const SentWord& word : round.words) {
      ++words, ++sent[word.source], ++received[word.destination];
      const auto found = own.sent.find({r, word.source, word.sequence});
      ASSERT_NE(found, own.sent.end());
      EXPECT_EQ(found->second, std::pair(word.output.value_or(word.destination), word.word));
      EXPECT_EQ(word.output.has_value(), r == trace.rounds.size());
    }
    std::uint64_t scratch = 0;
    for (std::size_t i = 0; i < round.loads.size(); ++i) {
      EXPECT_EQ(round.loads[i].sent, sent[i]);
      EXPECT_EQ(round.loads[i].received, received[i]);
      scratch = std::max(scratch, round.loads[i].scratch);
    }
    const mpc::RoundFacts facts = result.ledger.rounds[r - 1];
    EXPECT_EQ(*std::ranges::max_element(sent), facts.max_words_sent);
    EXPECT_EQ(*std::ranges::max_element(received), facts.max_words_received);
    EXPECT_EQ(scratch, facts.max_scratch_words);
  }
  EXPECT_EQ(words, own.sent.size());
  for (std::size_t t = 0; t < result.outputs.size(); ++t)
    EXPECT_EQ(trace.outputs[t], made.names.output(t, result.outputs[t]));
}

/// Every word of a round goes from its source's row to its destination's, a key and a query at a time.
void expect_whole_moves(const Trace& trace) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> holder;  // (round, word) to token
  for (const LayerTrace& layer : trace.layers) {
    for (const Move& move : layer.moves) {
      const SentWord& word = trace.rounds[layer.round - 1].words.at(move.word);
      const auto at = holder.find({layer.round, move.word});
      EXPECT_EQ(move.from, at == holder.end() ? word.source : at->second);
      holder[{layer.round, move.word}] = move.to;
      const auto head = std::ranges::find(layer.heads, move.head, &HeadTrace::head);
      ASSERT_NE(head, layer.heads.end());
      const auto match = std::ranges::find(head->matches, move.to, &Match::query);
      ASSERT_NE(match, head->matches.end());
      EXPECT_NE(std::ranges::find(match->keys, move.from, &Match::Key::token), match->keys.end());
    }
  }
  for (std::uint32_t r = 1; r <= trace.rounds.size(); ++r) {
    for (std::uint32_t w = 0; w < trace.rounds[r - 1].words.size(); ++w) {
      const SentWord& word = trace.rounds[r - 1].words[w];
      EXPECT_EQ(holder.at({r, w}), word.output.value_or(word.destination)) << "round " << r << " word " << w;
    }
  }
}

TEST(Trace, ShowsWhatTheRunDid) {
  for (const char* name : {"sum", "sort", "k_hop", "join", "list_ranking", "match2", "odd_even_sort",
                           "k_hop_walk", "word_count"}) {
    for (const simulate::ConstructionInfo* construction : simulate::all_constructions()) {
      for (const std::string_view mechanism : {"ema", "anna"}) {
        SCOPED_TRACE(fmt::format("{} {} {}", name, construction->name, mechanism));
        const Made made = make(name, generated(name, 16), construction->name);
        const Trace trace = trace_of(made, mechanism);
        expect_equal_to_run(made, trace);
        expect_whole_moves(trace);
        for (const LayerTrace& layer : trace.layers) {
          for (const HeadTrace& head : layer.heads) {
            EXPECT_EQ(head.collisions.has_value(), mechanism == "anna");
            if (head.collisions) {
              EXPECT_EQ(head.collisions->far, 0u) << "the draw tells all ids apart";
            }
          }
        }
      }
    }
  }
}

/// find_k as the task defines it, positions from 1; 0 is none.
std::vector<std::uint32_t> find_k(const Values& x, int k) {
  std::vector<std::uint32_t> one(x.size() + 1, 0), all(x.size() + 1);
  for (std::size_t i = 1; i <= x.size(); ++i) {
    for (std::size_t j = 2; j <= i; ++j) {
      if (x[j - 2] == x[i - 1]) one[i] = static_cast<std::uint32_t>(j);
    }
  }
  std::iota(all.begin(), all.end(), 0);
  for (int hop = 0; hop < k; ++hop) {
    for (std::uint32_t& at : all) at = one[at];
  }
  return all;
}

TEST(Follow, KHopAnswersComeFromWhereTheTaskSays) {
  EXPECT_TRUE(rc::check("equal words are told apart by their places", [] {
    const int k = *rc::gen::inRange(1, 4);
    const std::size_t n = *rc::gen::inRange<std::size_t>(4, 20);
    const Values x = *rc::gen::container<Values>(n, rc::gen::inRange<std::int64_t>(0, 4));
    const Made made = make("k_hop", x, "direct", {{"k", std::to_string(k)}});
    const Trace trace = trace_of(made);
    const std::vector<std::uint32_t> find = find_k(x, k);
    for (std::uint32_t t = 0; t < n; ++t) {
      const auto* from = trace.origins_of(t);
      RC_ASSERT(from != nullptr);
      if (find[t + 1] == 0) {
        RC_ASSERT(trace.outputs[t].empty());
        RC_ASSERT(from->empty());
      } else {
        RC_ASSERT(*from == std::vector<std::uint32_t>{find[t + 1] - 1});
        // The way has no gap: some word carries it in every round.
        const Journey way = journey(trace, find[t + 1] - 1);
        RC_ASSERT(way.stops.size() == trace.rounds.size());
      }
    }
  }));
}

TEST(Follow, SortedWordsSumsAndScans) {
  const Values x{5, 3, 9, 3, 5, 5, 0, -4, 3, 12, 7, 7, 1, 0, 2, 8};
  std::vector<std::uint32_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return x[i]; });
  const Trace sorted = trace_of(make("sort", x));
  for (std::uint32_t t = 0; t < x.size(); ++t) EXPECT_EQ(*sorted.origins_of(t), std::vector{order[t]});

  std::vector<std::uint32_t> all(x.size());
  std::iota(all.begin(), all.end(), 0);
  // A sum is no copy of any of its terms: it depends on all of them.
  const auto depends_of = [](const Trace& trace, std::uint32_t output) {
    return std::ranges::find(trace.rounds.back().words, std::optional(output), &SentWord::output)->depends;
  };
  const Trace sum = trace_of(make("sum", x));
  EXPECT_TRUE(sum.origins_of(0)->empty());
  EXPECT_EQ(depends_of(sum, 0), all);
  const Trace scanned = trace_of(make("prefix_scan", x));
  EXPECT_EQ(*scanned.origins_of(0), std::vector{0u});
  for (std::uint32_t t = 1; t < x.size(); ++t) {
    EXPECT_TRUE(scanned.origins_of(t)->empty());
    EXPECT_EQ(depends_of(scanned, t), std::vector(all.begin(), all.begin() + t + 1)) << t;
  }
  // Nor is whether a partner was found, or how long a list is.
  for (const char* protocol : {"match2", "list_ranking"}) {
    Values values(16);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] =
          protocol == std::string("match2") ? x[i] : static_cast<std::int64_t>(i + 1) % 16 - (i == 15);
    const Trace trace = trace_of(make(protocol, values));
    for (std::uint32_t t = 0; t < 16; ++t) EXPECT_TRUE(trace.origins_of(t)->empty()) << protocol << " " << t;
  }
  const Trace first = trace_of(make("broadcast", x));
  for (std::uint32_t t = 0; t < x.size(); ++t) EXPECT_EQ(*first.origins_of(t), std::vector{0u});
}

TEST(Follow, AlignsEqualMovedAndChanged) {
  const auto pairs = [](const std::vector<int>& a, const std::vector<int>& b) {
    std::vector<std::pair<int, int>> found;
    for (const AlignedPair& pair : align(a.size(), b.size(), [&](std::size_t i, std::size_t j) {
           if (a[i] / 100 != b[j] / 100) return Likeness::kNone;
           return a[i] == b[j] ? Likeness::kEqual : b[j] - a[i] == 10 ? Likeness::kMoved : Likeness::kClose;
         }))
      found.push_back({a[pair.a], b[pair.b]});
    return found;
  };
  using Pairs = std::vector<std::pair<int, int>>;
  EXPECT_EQ(pairs({1, 2, 3}, {1, 2, 3}), (Pairs{{1, 1}, {2, 2}, {3, 3}}));
  EXPECT_EQ(pairs({1, 2, 3}, {}), Pairs{});
  EXPECT_EQ(pairs({1, 2, 3}, {1, 3}), (Pairs{{1, 1}, {3, 3}}));
  EXPECT_EQ(pairs({1, 20, 3}, {1, 30, 3}), (Pairs{{1, 1}, {20, 30}, {3, 3}}));
  // A changed word, one that moved, and one that is gone: the one that moved is not taken for the one that is
  // gone.
  EXPECT_EQ(pairs({5, 20, 7}, {6, 30}), (Pairs{{5, 6}, {20, 30}}));
  EXPECT_EQ(pairs({120, 20}, {20, 120}).size(), 1u);
}

TEST(Trace, TransformersBecomeProtocols) {
  for (const char* attention : {"ema", "anna"}) {
    SCOPED_TRACE(attention);
    const auto random = anna::RandomModel::parse("random:L=2,H=2,d=8,m=2,w=2,c=8");
    mpc::Parameters parameters;
    parameters.n = 8;
    const anna::Mechanism mechanism = attention == std::string("ema")
                                          ? anna::Mechanism(anna::ExactMatch{})
                                          : anna::Mechanism(anna::random_model_tables(random, 8, 0.01));
    const anna::Model model = anna::make_random_model(random, 8, mechanism);
    const simulate::DecompilePlan plan = simulate::plan_decompile(model, parameters);
    const auto protocol = simulate::decompile(model, parameters);
    const std::vector<std::uint64_t> words = anna::random_words(random, 8);
    Names names{.title = "model",
                .summary = "",
                .rounds_formula = "",
                .input = std::vector<std::string>(8, "x"),
                .output = [](auto, mpc::Word word) { return std::to_string(word); }};
    const Trace trace = record(model, plan, *protocol, words, names);
    EXPECT_EQ(trace.rounds.size(), plan.rounds);
    std::uint32_t round = 2;
    for (std::size_t l = 0; l < trace.layers.size(); ++l) {
      const LayerTrace& layer = trace.layers[l];
      EXPECT_EQ(layer.first_round, round);
      EXPECT_EQ(trace.layer_of(round), l);
      round += layer.rounds;
      std::uint64_t machines = 0;
      for (const Role& role : layer.roles) {
        EXPECT_EQ(role.first, machines);
        machines += role.count;
      }
      EXPECT_EQ(machines, plan.machines);
      for (const HeadTrace& head : layer.heads) {
        if (!head.collisions) continue;
        // Pairs add up to the counts, and what a match says is what the pairs say.
        std::uint64_t met = 0, matched = 0;
        for (const Pair& pair : head.pairs) met += pair.tables;
        for (const Match& match : head.matches) matched += match.total;
        const Collisions& c = *head.collisions;
        EXPECT_EQ(met, c.near + c.between + c.far);
        EXPECT_EQ(met, matched);
        EXPECT_LE(c.near_pairs_met, c.near_pairs);
      }
    }
    EXPECT_EQ(round, plan.rounds);
    EXPECT_FALSE(trace.layer_of(1).has_value());
    // A word reaches its own token's row, at least.
    for (std::uint32_t t = 0; t < 8; ++t) EXPECT_FALSE(journey(trace, t).stops.empty());
  }
}

TEST(Terminal, FitsAHundredColumns) {
  for (const char* name : {"sum", "sort", "k_hop", "match2"}) {
    for (const simulate::ConstructionInfo* construction : simulate::all_constructions()) {
      const Trace trace = trace_of(make(name, generated(name, 16), construction->name));
      const std::string text = terminal_text(trace, {});
      std::size_t begin = 0;
      while (begin < text.size()) {
        const std::size_t end = text.find('\n', begin);
        const std::string line = text.substr(begin, end - begin);
        const auto characters = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
        EXPECT_LE(characters, static_cast<std::ptrdiff_t>(kColumns)) << line;
        begin = end + 1;
      }
      EXPECT_EQ(text.find('\033'), std::string::npos);
      EXPECT_NE(terminal_text(trace, {.colours = true}).find("\033[1m"), std::string::npos);
      // One round alone is what all of them show of it.
      for (std::uint32_t r = 0; r <= trace.rounds.size(); ++r)
        EXPECT_NE(text.find(terminal_text(trace, {.round = r})), std::string::npos) << r;
      EXPECT_THROW(terminal_text(trace, {.round = static_cast<std::uint32_t>(trace.rounds.size()) + 1}),
                   ContractError);
      EXPECT_THROW(terminal_text(trace, {.word = 16}), ContractError);
    }
  }
}

TEST(Trace, RefusesWhatItCannotDraw) {
  EXPECT_THROW(trace_of(make("sum", Values(1, 1))), ContractError);
  EXPECT_THROW(trace_of(make("sum", Values(65, 1))), ContractError);
  EXPECT_NO_THROW(trace_of(make("sum", Values(2, 1))));
}

TEST(Page, PrintsAnyWordHarmlessly) {
  EXPECT_EQ(printable("plain"), "plain");
  EXPECT_EQ(printable(std::string("a\0b\033c\x7f", 6)), "a\uFFFDb\uFFFDc\uFFFD");
  EXPECT_EQ(printable("\xff"), "\uFFFD");
  EXPECT_EQ(printable("\u0085x"), "\uFFFDx");
  EXPECT_EQ(printable(std::string(30, 'x')), std::string(24, 'x') + "\u2026");
  EXPECT_EQ(printable("na\u00EFve \u8A9E"), "na\u00EFve \u8A9E");
  EXPECT_EQ(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  Made made = make("sort", {3, 1, 2, 0});
  made.names.input = {"</script><b>", "<!--", "\"'&", "{{script}}"};
  made.names.title = "</title>";
  const std::string html = page(trace_of(made));
  const auto count = [&](const std::string& text) {
    std::size_t found = 0;
    for (std::size_t at = html.find(text); at != std::string::npos; at = html.find(text, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("</script>"), 2u);
  EXPECT_EQ(count("</title>"), 1u);
  EXPECT_EQ(count("<!--"), 0u);
  const std::string harmless = page(trace_of(make("sort", {3, 1, 2, 0})));
  EXPECT_LT(html.size(), harmless.size() + 20000)
      << "a word is no marker of the template, which holds the scripts";
  EXPECT_GT(count("&lt;/script&gt;&lt;b&gt;"), 3u);
  EXPECT_EQ(count("http"), count("http-equiv")) << "the page names nothing elsewhere";
}

}  // namespace
}  // namespace roundtrip::explain
