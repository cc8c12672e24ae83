#include "roundtrip/mpc/parameters.h"

#include <charconv>
#include <limits>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kMaxMachines = std::uint64_t{1}
                                       << 31;     // a machine or output fits 31 bits of a run's header
constexpr std::uint64_t kMaxWords = 0xffffffffu;  // a sequence number fits 32 bits

void require_open_unit(const char* name, const Rational& value) {
  require(value > Rational(0) && value < Rational(1), "{} is {}, allowed is above 0 and below 1", name,
          value.to_string());
}

}  // namespace

void Parameters::validate() const {
  require(n >= 1, "N is 0, allowed is at least 1 input word");
  require_open_unit("eps", epsilon);
  require(gamma >= Rational(0), "gamma is {}, allowed is at least 0", gamma.to_string());
  require_open_unit("delta", delta);
  require_open_unit("eta", eta);
  require(!kappa_s || *kappa_s >= 1, "kappa_s is 0, allowed is at least 1");
  require(!memory_words || *memory_words >= 1, "memory is 0 words, allowed is at least 1");
  require(!machines || (*machines >= 1 && *machines < kMaxMachines), "machines is {}, allowed is 1 to {}",
          machines.value_or(0), kMaxMachines - 1);
}

std::int64_t Parameters::integer_option(const std::string& name, std::int64_t fallback, std::int64_t low,
                                        std::int64_t high) const {
  const auto found = options.find(name);
  if (found == options.end()) return fallback;
  const std::string& text = found->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  // A number that is no more than too large is answered with the bound that it exceeds.
  const bool open =
      high == std::numeric_limits<std::int64_t>::max() && error != std::errc::result_out_of_range;
  require(whole && value >= low && value <= high, "{} is '{}', allowed is an integer {}", name, text,
          open ? fmt::format("of at least {}", low) : fmt::format("from {} to {}", low, high));
  return value;
}

void Shape::validate() const {
  require(n >= 1, "N is 0, allowed is at least 1 input word");
  require(block_words >= 1, "b is 0 words, allowed is at least 1");
  require(memory_words >= block_words && memory_words <= kMaxWords, "s is {} words, allowed is b = {} to {}",
          memory_words, block_words, kMaxWords);
  require(machines >= 1 && machines < kMaxMachines, "q is {} machines, allowed is 1 to {}", machines,
          kMaxMachines - 1);
  require(input_machines() <= machines, "q is {} machines, allowed is at least ceil(N / b) = {}", machines,
          input_machines());
  require(outputs < kMaxMachines && ceil_div(outputs, block_words) <= machines,
          "outputs is {}, allowed is at most b q = {} and below {}", outputs, block_words * machines,
          kMaxMachines);
  require(rounds >= 1, "R is 0, allowed is at least 1 round");
  require(word_bits >= 1 && word_bits <= 62, "p is {} bits, allowed is 1 to 62", word_bits);
  require(input_bits >= 1 && input_bits <= word_bits, "p_in is {} bits, allowed is 1 to p = {}", input_bits,
          word_bits);
  require(scratch_words <= kMaxWords, "scratch is {} words, allowed is at most {}", scratch_words, kMaxWords);
  require(allowed_heap_words() <= kMaxWords, "heap is {} words, allowed is at most {}", allowed_heap_words(),
          kMaxWords);
}

std::uint64_t block_words(const Parameters& parameters, std::uint64_t kappa_s) {
  if (parameters.memory_words) return *parameters.memory_words / kappa_s;
  return ceil_power(parameters.n, parameters.epsilon) - seeded("root-rounded-down");
}

}  // namespace roundtrip::mpc
