#include "roundtrip/explain/follow.h"

#include <algorithm>
#include <map>
#include <utility>

#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/machine.h"

namespace roundtrip::explain {
namespace {

using mpc::Word;

/// The words of a run by round, as they were sent: the skeleton that a world's changes hang on.
struct Skeleton {
  struct Sent {
    std::uint32_t source, sequence, destination, output;
    Word word;
  };
  std::vector<std::vector<Sent>> rounds;  // [R], by (source, sequence)
  std::vector<std::vector<std::vector<std::size_t>>>
      inbox;                                    // [R][q]: indices into the round's words, same order
  std::vector<std::vector<std::size_t>> first;  // [R][q + 1]: each machine's first word

  bool same_places(const Skeleton& other) const {
    return std::ranges::equal(rounds, other.rounds, [](const auto& ours, const auto& theirs) {
      return std::ranges::equal(ours, theirs, [](const Sent& a, const Sent& b) {
        return a.source == b.source && a.destination == b.destination && a.output == b.output;
      });
    });
  }
};

class Recorder final : public mpc::Observer {
 public:
  explicit Recorder(const mpc::Shape& shape) : shape_(shape), sent_(shape.rounds) {
    for (auto& round : sent_) round.resize(shape.machines);
  }
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    auto& list = sent_[round - 1][machine];
    outbox.for_each_word([&](std::uint32_t destination, Word word) {
      const bool last = round == shape_.rounds;
      list.push_back({machine, static_cast<std::uint32_t>(list.size()),
                      last ? shape_.output_machine(destination) : destination, last ? destination : 0, word});
    });
  }
  Skeleton skeleton() const {
    Skeleton found;
    for (const auto& round : sent_) {
      auto& words = found.rounds.emplace_back();
      auto& inbox = found.inbox.emplace_back(shape_.machines);
      auto& first = found.first.emplace_back(1, 0);
      for (const auto& list : round) {
        for (const Skeleton::Sent& sent : list) {
          inbox[sent.destination].push_back(words.size());
          words.push_back(sent);
        }
        first.push_back(words.size());
      }
    }
    return found;
  }

 private:
  const mpc::Shape shape_;
  std::vector<std::vector<std::vector<Skeleton::Sent>>> sent_;
};

std::optional<Skeleton> run(const mpc::Protocol& protocol, std::span<const Word> input) {
  Recorder recorder(protocol.shape());
  const auto transport = mpc::make_in_process_transport();
  mpc::RunOptions options;
  options.observer = &recorder;
  try {
    mpc::run(protocol, input, *transport, options);
  } catch (const mpc::ModelViolation&) {
    return std::nullopt;
  }
  return recorder.skeleton();
}

// Moved apart, numbers are multiples of kApart, and a followed word is larger by one change after the other: it stays
// between the same two others, and what is larger by just that much each time is so because of it, not by chance.
constexpr std::int64_t kApart = 1024;
constexpr Word kChanges[] = {617, 211, 500};
constexpr Word kChangesWhereTheyAre[] = {1, 2, 3};

/// The input with every number kApart times as large, if all of them still fit.
std::optional<std::vector<Word>> moved_apart(const mpc::Shape& shape, std::span<const Word> input) {
  const std::int64_t zero = std::int64_t{1} << (shape.input_bits - 1);
  std::vector<Word> spread;
  for (const Word word : input) {
    const std::int64_t number = static_cast<std::int64_t>(word) - zero;
    if (number < -(zero / kApart) || number >= zero / kApart) return std::nullopt;
    spread.push_back(static_cast<Word>(number * kApart + zero));
  }
  return spread;
}

/// What differs from the run in a world: the words by their index in each round.
using World = std::vector<std::map<std::size_t, Word>>;

/// By round and word, for each input word that makes a difference: with how many changes the difference was the change.
using Seen = std::map<std::pair<std::size_t, std::size_t>, std::map<std::uint32_t, std::size_t>>;

class Follower {
 public:
  Follower(const mpc::Protocol& protocol, std::vector<Word> input, Word change, Skeleton run)
      : protocol_(protocol),
        shape_(protocol.shape()),
        input_(std::move(input)),
        change_(change),
        run_(std::move(run)) {}

  /// The world in which the input words `changed` are larger.
  World world(const std::vector<std::uint32_t>& changed) const {
    World world(shape_.rounds);
    for (std::uint32_t round = 1; round <= shape_.rounds; ++round) {
      for (std::uint32_t machine = 0; machine < shape_.machines; ++machine) {
        std::vector<simulate::Message> messages;
        bool touched = false;
        if (round == 1) {
          for (std::uint64_t i = machine * shape_.block_words;
               i < std::min<std::uint64_t>(input_.size(), (machine + 1) * shape_.block_words); ++i) {
            const bool here = std::ranges::find(changed, i) != changed.end();
            touched |= here;
            messages.push_back({machine, static_cast<std::uint32_t>(i - machine * shape_.block_words),
                                input_[i] + (here ? change_ : 0)});
          }
        } else {
          for (const std::size_t w : run_.inbox[round - 2][machine]) {
            const Skeleton::Sent& sent = run_.rounds[round - 2][w];
            const auto other = world[round - 2].find(w);
            touched |= other != world[round - 2].end();
            messages.push_back(
                {sent.source, sent.sequence, other == world[round - 2].end() ? sent.word : other->second});
          }
        }
        if (touched) compare(round, machine, simulate::run_step(protocol_, round, machine, messages), world);
      }
    }
    return world;
  }

  /// Adds to `seen` the words that differ between two worlds, and whether by the change itself.
  void note(const World& with, const World& without, std::uint32_t origin, Seen& seen) const {
    for (std::size_t r = 0; r < with.size(); ++r) {
      // Only words that differ from the run in one of the two can differ between them.
      std::map<std::size_t, Word> either = without[r];
      either.insert(with[r].begin(), with[r].end());
      for (const auto& [w, unused] : either) {
        const Word own = run_.rounds[r][w].word;
        const auto a = with[r].find(w), b = without[r].find(w);
        const Word ours = a == with[r].end() ? own : a->second,
                   theirs = b == without[r].end() ? own : b->second;
        if (ours == theirs) continue;
        seen[{r, w}][origin] += ours == theirs + change_;
      }
    }
  }

 private:
  void compare(std::uint32_t round, std::uint32_t machine, const simulate::Stepped& stepped,
               World& world) const {
    if (stepped.fault.kind != simulate::FaultKind::kNone) return;  // no such step: nothing is followed
    const auto& words = run_.rounds[round - 1];
    const std::size_t begin = run_.first[round - 1][machine], end = run_.first[round - 1][machine + 1];
    const bool last = round == shape_.rounds;
    const auto destination = [&](std::size_t i) {
      return last ? words[begin + i].output : words[begin + i].destination;
    };
    const auto likeness = [&](std::size_t i, std::size_t j) {
      if (destination(i) != stepped.sent[j].destination) return Likeness::kNone;
      const Word more = stepped.sent[j].word - words[begin + i].word;
      return more == 0 ? Likeness::kEqual : more == change_ ? Likeness::kMoved : Likeness::kClose;
    };
    for (const AlignedPair& pair : align(end - begin, stepped.sent.size(), likeness)) {
      const Word other = stepped.sent[pair.b].word;
      if (other != words[begin + pair.a].word) world[round - 1][begin + pair.a] = other;
    }
  }

  const mpc::Protocol& protocol_;
  const mpc::Shape shape_;
  const std::vector<Word> input_;
  const Word change_;
  const Skeleton run_;
};

}  // namespace

std::vector<AlignedPair> align(std::size_t a, std::size_t b,
                               const std::function<Likeness(std::size_t, std::size_t)>& likeness) {
  const auto same = [&](std::size_t i, std::size_t j) { return likeness(i, j) == Likeness::kEqual; };
  std::vector<AlignedPair> pairs;
  std::size_t begin = 0;
  while (begin < a && begin < b && same(begin, begin)) pairs.push_back({begin, begin}), ++begin;
  std::size_t tail = 0;
  while (tail < a - begin && tail < b - begin && same(a - 1 - tail, b - 1 - tail)) ++tail;
  // cost[i][j] of the first i and j words of the middle parts.
  const std::size_t rows = a - begin - tail, columns = b - begin - tail;
  constexpr std::uint32_t kAlone = 3;
  std::vector<std::uint32_t> cost((rows + 1) * (columns + 1));
  const auto at = [&](std::size_t i, std::size_t j) -> std::uint32_t& { return cost[i * (columns + 1) + j]; };
  const auto pair_cost = [&](std::size_t i, std::size_t j) {
    return static_cast<std::uint32_t>(likeness(begin + i - 1, begin + j - 1));
  };
  for (std::size_t i = 0; i <= rows; ++i) {
    for (std::size_t j = 0; j <= columns; ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = static_cast<std::uint32_t>(i + j) * kAlone;
        continue;
      }
      at(i, j) = std::min({at(i - 1, j - 1) + pair_cost(i, j), at(i - 1, j) + kAlone, at(i, j - 1) + kAlone});
    }
  }
  std::vector<AlignedPair> middle;
  for (std::size_t i = rows, j = columns; i > 0 && j > 0;) {
    if (at(i, j) == at(i - 1, j - 1) + pair_cost(i, j)) {
      middle.push_back({begin + --i, begin + --j});
    } else if (at(i, j) == at(i - 1, j) + kAlone) {
      --i;
    } else {
      --j;
    }
  }
  pairs.insert(pairs.end(), middle.rbegin(), middle.rend());
  for (std::size_t i = tail; i > 0; --i) pairs.push_back({a - i, b - i});
  return pairs;
}

void follow(const mpc::Protocol& protocol, std::span<const Word> input, std::vector<RoundTrace>& rounds) {
  std::optional<Skeleton> skeleton = run(protocol, input);
  if (!skeleton) return;
  std::vector<Word> words(input.begin(), input.end());
  std::span<const Word> changes = kChangesWhereTheyAre;
  if (const auto further = moved_apart(protocol.shape(), input)) {
    std::optional<Skeleton> spread = run(protocol, *further);
    if (spread && spread->same_places(*skeleton)) {
      words = *further;
      changes = kChanges;
      skeleton = std::move(spread);
    }
  }
  // Equal words together, the last first.
  std::map<Word, std::vector<std::uint32_t>> equal;
  for (std::uint32_t i = 0; i < words.size(); ++i) equal[words[i]].push_back(i);
  Seen seen;
  for (const Word change : changes) {
    const Follower follower(protocol, words, change, *skeleton);
    for (const auto& [word, places] : equal) {
      std::vector<std::uint32_t> changed;
      World without(protocol.shape().rounds);
      for (auto place = places.rbegin(); place != places.rend(); ++place) {
        changed.push_back(*place);
        World with = follower.world(changed);
        follower.note(with, without, *place, seen);
        without = std::move(with);
      }
    }
  }
  for (const auto& [place, origins] : seen) {
    SentWord& sent = rounds[place.first].words[place.second];
    // A copy is of one input word alone: what moves with several is computed from them.
    const bool copy =
        std::ranges::count(origins, changes.size(), [](const auto& seen_of) { return seen_of.second; }) == 1;
    for (const auto& [origin, moved] : origins)
      (copy && moved == changes.size() ? sent.carries : sent.depends).push_back(origin);
  }
}

}  // namespace roundtrip::explain
