#include "roundtrip/mpc/stages/composition.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "roundtrip/base/fault.h"

namespace roundtrip::mpc {
namespace {

class OwnRounds final : public Stage {
 public:
  OwnRounds(std::uint32_t rounds, std::uint64_t scratch_words,
            std::function<void(const Context&, std::uint32_t)> body)
      : rounds_(rounds), scratch_words_(scratch_words), body_(std::move(body)) {}
  std::uint32_t rounds() const override { return rounds_; }
  void step(const Context& context, std::uint32_t round) const override { body_(context, round); }
  std::uint64_t scratch_words() const override { return scratch_words_; }

 private:
  std::uint32_t rounds_;
  std::uint64_t scratch_words_;
  std::function<void(const Context&, std::uint32_t)> body_;
};

/// Places [begin, end) in the inbox of the words from one source.
struct Places {
  std::size_t begin;
  std::size_t end;
};

Places places_from(const Inbox& inbox, MachineId source) {
  // First run whose source is not below `bound`.
  const auto first_run = [&](std::uint64_t bound) {
    std::size_t low = 0;
    std::size_t high = inbox.runs();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      inbox.source(middle) < bound ? low = middle + 1 : high = middle;
    }
    return inbox.run_begin(low);
  };
  return {first_run(source), first_run(std::uint64_t{source} + 1)};
}

}  // namespace

MalformedInbox::MalformedInbox() : Error("received words that the previous round cannot have sent") {}

std::span<const Word> Context::from(MachineId source, std::size_t begin, std::size_t count) const {
  const Places places = places_from(inbox, source);
  const std::size_t first = places.begin + std::min(begin, places.end - places.begin);
  return inbox.words(first, std::min(count, places.end - first));
}

std::span<const Word> Context::last_from(MachineId source, std::size_t count) const {
  const Places places = places_from(inbox, source);
  const std::size_t taken = std::min(count, places.end - places.begin);
  return inbox.words(places.end - taken, taken);
}

std::size_t Context::count_from(MachineId source) const {
  const Places places = places_from(inbox, source);
  return places.end - places.begin;
}

std::span<const Word> Context::before(MachineId source) const {
  return inbox.words(0, places_from(inbox, source).begin);
}

std::span<const Word> Context::after(MachineId source) const {
  const Places places = places_from(inbox, source);
  return inbox.words(places.end, inbox.size() - places.end);
}

void Composition::step(const Step& step, const Inbox& inbox, Outbox& outbox) const {
  std::size_t phase = phases_.size();
  while (phase > 0 && phases_[phase - 1].first_round > step.round) --phase;
  // Of phases without rounds and the one after them, which start at the same round, the last is found: it
  // has the round.
  if (phase == 0 || step.round >= phases_[phase - 1].first_round + phases_[phase - 1].rounds) {
    throw InternalError(fmt::format("round {} is outside of 1..{}", step.round, shape_.rounds));
  }
  stages_[phase - 1]->step({step.round, step.machine, inbox, outbox, step.scratch},
                           step.round - phases_[phase - 1].first_round + 1);
}

void Composition::then(std::string name, std::uint32_t rounds, std::uint64_t scratch_words,
                       std::function<void(const Context&, std::uint32_t)> body) {
  append(std::move(name), std::make_unique<OwnRounds>(rounds, scratch_words, std::move(body)));
}

void Composition::append(std::string name, std::unique_ptr<const Stage> stage) {
  phases_.push_back({std::move(name), shape_.rounds + 1, stage->rounds()});
  shape_.rounds += stage->rounds();
  shape_.scratch_words = std::max(shape_.scratch_words, stage->scratch_words() + pending_result_words_);
  // A stage without rounds leaves its whole work, input function included, to whoever reads its result.
  pending_result_words_ =
      stage->rounds() > 0 ? stage->result_scratch_words()
                          : pending_result_words_ + stage->scratch_words() + stage->result_scratch_words();
  stages_.push_back(std::move(stage));
}

namespace {

constexpr std::uint64_t kMaxMemoryWords = 0xffffffffu;  // as Shape::validate() has it

constexpr std::uint64_t kMachinesEnd = std::uint64_t{1} << 31;  // as Shape::validate() has it

/// a / b, or nothing if its parts in lowest terms leave 31 bits.
std::optional<Rational> quotient(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t common = std::gcd(a, b);
  if (std::max(a, b) / common >= kMachinesEnd) return std::nullopt;
  return Rational(static_cast<std::int64_t>(a / common), static_cast<std::int64_t>(b / common));
}

/// Beyond it, more memory makes no plan possible that was not before.
bool ample(std::uint64_t memory_words, std::uint64_t n) {
  return memory_words > 64 * n + 4096;
}

/// --memory, but no plan: says the least that has one with this kappa_s or, if none has, the least kappa_s.
[[noreturn]] void refuse_memory(const Sizes& sizes, const Parameters& parameters,
                                const std::function<bool(const Sizes&)>& has_plan) {
  const std::uint64_t memory = *parameters.memory_words, n = parameters.n;
  for (Sizes least = sizes; !ample(least.memory_words, n);) {
    least.memory_words = sizes.kappa_s * ++least.block_words;
    if (has_plan(least)) {
      throw ContractError(fmt::format(
          "memory is {} words, with kappa_s = {} that is too little for this protocol at N = {}: allowed is "
          "at least {}",
          memory, sizes.kappa_s, n, least.memory_words));
    }
  }
  for (Sizes least = sizes; !ample(least.kappa_s, n);) {
    ++least.kappa_s;
    for (const std::uint64_t block : {memory / least.kappa_s, ceil_power(n, parameters.epsilon)}) {
      least.block_words = block;
      least.memory_words = least.kappa_s * block;
      if (block >= 1 && has_plan(least)) {
        throw ContractError(fmt::format(
            "kappa_s is {}, with memory of {} words or any other that is too little for this protocol at N = {}: "
            "allowed is at least {}, with memory of {}",
            sizes.kappa_s, memory, n, least.kappa_s, least.memory_words));
      }
    }
  }
  throw InternalError("no memory has a plan");  // with s = 64 N every protocol has: a fault of its has_plan
}

}  // namespace

Sizes choose_sizes(const Parameters& parameters, std::uint64_t default_kappa_s,
                   const std::function<bool(const Sizes&)>& has_plan, const Rational& delta) {
  parameters.validate();
  Sizes sizes{};
  sizes.kappa_s = parameters.kappa_s.value_or(default_kappa_s);
  for (;; ++sizes.kappa_s, sizes.kappa_raised = true) {
    sizes.block_words = block_words(parameters, sizes.kappa_s);
    const std::uint64_t unit = parameters.memory_words || delta == Rational(0)
                                   ? sizes.block_words
                                   : ceil_power(parameters.n, parameters.epsilon + delta);
    require(unit <= kMaxMemoryWords / sizes.kappa_s,
            "s is kappa_s = {} times {} words, allowed is a product of at most {}", sizes.kappa_s, unit,
            kMaxMemoryWords);
    sizes.memory_words = sizes.kappa_s * unit;
    if (sizes.block_words >= 1 && has_plan(sizes)) return sizes;
    if (parameters.memory_words) refuse_memory(sizes, parameters, has_plan);
    if (ample(sizes.memory_words, parameters.n)) throw InternalError("no memory has a plan");
  }
}

Shape declare_shape(const Parameters& parameters, const Sizes& sizes, std::uint64_t outputs,
                    std::uint64_t machines) {
  Shape shape;
  shape.n = parameters.n;
  shape.outputs = outputs;
  shape.block_words = sizes.block_words;
  shape.memory_words = sizes.memory_words;
  shape.kappa_s = sizes.kappa_s;
  shape.kappa_raised = sizes.kappa_raised;
  const std::uint64_t needed =
      std::max({shape.input_machines(), ceil_div(outputs, sizes.block_words), machines});
  require(!parameters.machines || *parameters.machines >= needed, "machines is {}, allowed is at least {}",
          parameters.machines.value_or(0), needed);
  std::uint64_t q = parameters.machines.value_or(needed);
  if (!parameters.machines) {
    shape.kappa_q = quotient(needed * shape.block_words, parameters.n);
    // kappa_q N / b is what is needed, so that q is just that at gamma = 0.
    if (parameters.gamma > Rational(0) && needed < kMachinesEnd && !seeded("gamma-overlooked")) {
      q = ceil_power(parameters.n, parameters.gamma, Rational(static_cast<std::int64_t>(needed))) -
          seeded("gamma-rounded-down");
    }
  }
  require(q < kMachinesEnd, "N = {} needs {} machines with gamma = {}, allowed is below 2^31", parameters.n,
          q, parameters.gamma.to_string());
  shape.machines = static_cast<std::uint32_t>(q);
  return shape;
}

}  // namespace roundtrip::mpc
