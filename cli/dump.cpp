#include "roundtrip/cli/dump.h"

#include <fmt/format.h>

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::cli {
namespace {

constexpr std::size_t kKeyWidth = 16;  // round and machine in front of an entry, so that entries sort as text

std::optional<std::uint32_t> one_or_all(const std::string& text) {
  if (text == "*") return {};
  return static_cast<std::uint32_t>(parse_count(text, "--dump", 0, 0xffffffffu));
}

/// A word and, where it could be an input's number, that.
std::string word_text(mpc::Word word, const mpc::Shape& shape) {
  constexpr std::int64_t kNear = std::int64_t{1} << 32;
  const std::int64_t number = mpc::decode_input(word, shape);
  return word >= (mpc::Word{1} << 32) && number > -kNear && number < kNear
             ? fmt::format("{} ({})", word, number)
             : fmt::format("{}", word);
}

std::string words_text(std::span<const mpc::Word> words, const mpc::Shape& shape) {
  std::string text;
  for (const mpc::Word word : words) text += (text.empty() ? "" : " ") + word_text(word, shape);
  return text;
}

}  // namespace

DumpWish DumpWish::parse(const std::string& text) {
  const std::size_t colon = text.find(':');
  require(colon != std::string::npos, "--dump {}: expected ROUND:MACHINE, either may be *", text);
  return {one_or_all(text.substr(0, colon)), one_or_all(text.substr(colon + 1))};
}

void Dump::stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                   const mpc::Outbox& outbox) {
  if (round != wish_.round.value_or(round) || machine != wish_.machine.value_or(machine)) return;
  const mpc::Shape& shape = instance_.shape();
  std::string phase;
  if (const auto* composition = dynamic_cast<const mpc::Composition*>(instance_.protocol.get())) {
    for (const mpc::Composition::Phase& at : composition->phases()) {
      if (round >= at.first_round && round < at.first_round + at.rounds)
        phase = fmt::format(" ({})", at.name);
    }
  }
  std::string text = fmt::format("{:08x}{:08x}round {}{}, machine {}: {} words in, {} out\n", round, machine,
                                 round, phase, machine, inbox.size(), outbox.sent());
  for (const mpc::Run run : inbox)
    text +=
        fmt::format("  from {}, its {} and on: {}\n", run.source, run.sequence, words_text(run.words, shape));
  std::span<const mpc::Word> words = outbox.words();
  for (const mpc::Sending& sending : outbox.sendings()) {
    text += fmt::format("  {} {}: {}\n", round == shape.rounds ? "output" : "to", sending.destination,
                        words_text(words.first(sending.length), shape));
    words = words.subspan(sending.length);
  }
  entries_.push_back(std::move(text));
}

std::string Dump::text(mpc::Transport& transport) const {
  std::string mine;
  for (const std::string& entry : entries_) mine += entry + '\0';
  std::vector<std::string> all;
  for (const std::string& rank : mpc::all_gather(transport, mine)) {
    for (std::size_t begin = 0; begin < rank.size();) {
      const std::size_t end = rank.find('\0', begin);
      all.push_back(rank.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (transport.rank() != 0) return {};
  std::ranges::sort(all);
  std::string text;
  for (const std::string& entry : all) text += entry.substr(kKeyWidth);
  return text;
}

}  // namespace roundtrip::cli
