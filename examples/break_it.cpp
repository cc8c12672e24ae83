// Breaking a transformer and being told where: values kept in single precision lose words of more than 24
// bits. The search names the layer, the machine and the word where transformer and run part, on an input as
// small as it finds.
#include <fmt/core.h>

#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/simulate/compile/counterexample.h"
using namespace roundtrip;

/// Exact-match attention over values that went through a float.
class SinglePrecision final : public anna::Attention {
 public:
  std::string name() const override { return "single precision"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    anna::HeadInput rounded = head;
    rounded.values.copy_borrowed();
    for (anna::Entry& entry : rounded.values.entries) entry.value = static_cast<float>(entry.value);
    exact_->attend(codebook, rounded, out);
  }

 private:
  std::unique_ptr<anna::Attention> exact_ = anna::make_exact_match();
};

int main() {
  const auto compile_at = [](std::uint64_t n) -> std::optional<simulate::Compiled> {
    return simulate::compile("sort", {.n = n});
  };
  std::vector<mpc::Word> words(64, 3);
  const auto exact = anna::make_exact_match();
  SinglePrecision single;
  const bool small_words_pass = !simulate::find_counterexample(compile_at, words, 0, single);
  words[20] = (1 << 24) + 1;  // the first whole number that a float cannot hold
  const bool sound_passes = !simulate::find_counterexample(compile_at, words, 0, *exact);
  const auto found = simulate::find_counterexample(compile_at, words, 0, single);
  fmt::print("small words in single precision: {}\n", small_words_pass ? "equal" : "differ");
  fmt::print("one of 25 bits, values exact:    {}\n", sound_passes ? "equal" : "differ");
  fmt::print("one of 25 bits, single precision:\n{}", found ? simulate::describe(*found) : "equal\n");
  return small_words_pass && sound_passes && found && found->input.size() == 21 ? 0 : 1;
}
