#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/doubling.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 4;  // doubling keeps four words an element

Sizes list_sizes(const Parameters& parameters) {
  require(parameters.n < std::uint64_t{1} << 30, "N is {}, allowed for list_ranking is 1 to 2^30 - 1",
          parameters.n);
  return choose_sizes(parameters, kDefaultKappa,
                      [](const Sizes& sizes) { return sizes.memory_words >= 4 * sizes.block_words; });
}

void require_next(std::uint64_t element, std::int64_t next, std::uint64_t n) {
  require(next >= -1 && next < static_cast<std::int64_t>(n),
          "element {} is followed by {}, allowed is 0 to {} or, at an end, -1", element, next, n - 1);
}

class ListRanking final : public Composition {
 public:
  explicit ListRanking(const Parameters& parameters) {
    shape_ = declare_shape(parameters, list_sizes(parameters), parameters.n, 1);
    shape_.heap_words = 0;
    const Doubling& ranks = then<Doubling>(
        "double",
        {.elements = shape_.n,
         .block_words = shape_.block_words,
         .doublings = ceil_log(2, shape_.n),
         .links = [this](const Context& context, const Doubling& doubling) { link(context, doubling); },
         .start = [](std::uint64_t, bool has_next) -> Word { return has_next ? 1 : 0; },
         // On a cycle there is no end to it.
         .combine = [this](Word own, Word after) { return std::min<Word>(own + after, shape_.n); }});
    shape_.word_bits = std::max(shape_.word_bits, ranks.word_bits());
    then("deliver", 1, 0, [&ranks](const Context& context, std::uint32_t) {
      const Doubling::State state = ranks.result(context);
      for (std::uint64_t i = 0; i < state.value.size(); ++i)
        context.out.deliver(state.first + i, state.next[i] == 0 ? state.value[i] + 1 : 0);
    });
    shape_.validate();
  }

 private:
  void link(const Context& context, const Doubling& doubling) const {
    std::uint64_t element = context.machine * shape_.block_words;
    for (const Word word : context.inbox.words()) {
      const std::int64_t next = decode_input(word, shape_);
      require_next(element, next, shape_.n);
      if (next >= 0) doubling.link(context, element, static_cast<std::uint64_t>(next));
      ++element;
    }
  }
};

}  // namespace

std::uint32_t list_ranking_rounds(const Parameters& parameters) {
  return 2 + ceil_log(2, parameters.n);
}

ProtocolInfo list_ranking_protocol() {
  ProtocolInfo info;
  info.name = "list_ranking";
  info.program = "list_ranking_program";
  info.summary = "for every element of linked lists, how many come after it";
  info.card =
      R"(Problem: word i (from 0) is the element that follows element i, or -1 at the end of a list; any number of lists,
every element followed by at most one and following at most one. Output i: the number of elements after i, or nothing if i is on a cycle.
Guarantee: exact and deterministic. Two elements followed by the same one are named, or their machine's limit is.
Cost: R = ceil(log2 N) + 2 rounds; at most 4 b words sent and received by a machine, s = kappa_s b with
kappa_s = 4 (at least 4); q = ceil(N / b); words of max(48, 2 + 2 bits(N)) bits.
Source: Wyllie 1979 (pointer jumping), pushed along inverse pointers instead of read: one round a doubling.)";
  info.rounds_formula = "ceil(log2 N) + 2";
  info.kappa_s = kDefaultKappa;
  info.make = [](const Parameters& parameters) { return std::make_unique<ListRanking>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    if (word == 0) return std::nullopt;
    return static_cast<std::int64_t>(word - 1);
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::list_ranking(values);
  };
  info.accept = [](std::span<const std::int64_t> values, const Parameters&) {
    std::vector<std::size_t> previous(values.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      require_next(i, values[i], values.size());
      if (values[i] < 0) continue;
      std::size_t& before = previous[static_cast<std::size_t>(values[i])];
      require(before == values.size(), "elements {} and {} are both followed by {}; allowed is one", before,
              i, values[i]);
      before = i;
    }
  };
  info.generate = [](const Parameters& parameters) {
    // Lists of about sqrt N elements, in random order.
    const std::uint64_t n = parameters.n;
    RandomStream stream(parameters.seed, Domain::kInstance);
    const auto order = random_order(n, stream);
    Values values(n, -1);
    const std::uint64_t length = ceil_power(n, Rational(1, 2));
    for (std::uint64_t i = 0; i + 1 < n; ++i) {
      if (stream.below(length) != 0) values[order[i]] = static_cast<std::int64_t>(order[i + 1]);
    }
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
