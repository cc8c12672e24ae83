#include "roundtrip/simulate/decompile/layer_decompiler.h"

#include <algorithm>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"

namespace roundtrip::simulate {

// One in each file, for the list below alone.
const LayerDecompiler& causal_low_rank_decompiler();
const LayerDecompiler& causal_softmax_decompiler();
const LayerDecompiler& causal_window_decompiler();
const LayerDecompiler& chunked_decompiler();
const LayerDecompiler& global_window_decompiler();
const LayerDecompiler& hashed_decompiler();
const LayerDecompiler& low_rank_decompiler();
const LayerDecompiler& recurrence_decompiler();
const LayerDecompiler& softmax_decompiler();
const LayerDecompiler& state_space_decompiler();
const LayerDecompiler& window_decompiler();

namespace {

struct Entry {
  const anna::MechanismInfo* mechanism;
  const LayerDecompiler* decompiler;
};

const std::vector<Entry>& entries() {
  // Of several lines of a mechanism the first is for all forms that no later one takes.
  static const std::vector<Entry> all{{&anna::ExactMatch::info(), &hashed_decompiler()},
                                      {&anna::Anna::info(), &hashed_decompiler()},
                                      {&anna::Softmax::info(), &softmax_decompiler()},
                                      {&anna::Softmax::info(), &softmax_ring_decompiler()},
                                      {&anna::Softmax::info(), &causal_softmax_decompiler()},
                                      {&anna::LowRank::info(), &low_rank_decompiler()},
                                      {&anna::LowRank::info(), &causal_low_rank_decompiler()},
                                      {&anna::Performer::info(), &low_rank_decompiler()},
                                      {&anna::Performer::info(), &causal_low_rank_decompiler()},
                                      {&anna::Polynomial::info(), &low_rank_decompiler()},
                                      {&anna::Polynomial::info(), &causal_low_rank_decompiler()},
                                      {&anna::StateSpace::info(), &state_space_decompiler()},
                                      {&anna::Window::info(), &window_decompiler()},
                                      {&anna::Window::info(), &global_window_decompiler()},
                                      {&anna::Window::info(), &causal_window_decompiler()},
                                      {&anna::Chunked::info(), &chunked_decompiler()},
                                      {&anna::Rnn::info(), &recurrence_decompiler()},
                                      {&anna::Lstm::info(), &recurrence_decompiler()}};
  return all;
}

}  // namespace

const LayerDecompiler& decompiler_of(const anna::MechanismInfo& mechanism) {
  const auto found = std::ranges::find(entries(), &mechanism, &Entry::mechanism);
  require(found != entries().end(), "layers of {} attention do not become protocols yet", mechanism.name);
  return *found->decompiler;
}

const LayerDecompiler& decompiler_of(const anna::Mechanism& mechanism) {
  for (const Entry& entry : entries()) {
    if (entry.mechanism == &mechanism.info() && entry.decompiler->takes != nullptr &&
        entry.decompiler->takes(mechanism))
      return *entry.decompiler;
  }
  return decompiler_of(mechanism.info());
}

std::vector<const LayerDecompiler*> decompilers() {
  std::vector<const LayerDecompiler*> all;
  for (const Entry& entry : entries()) {
    if (std::ranges::find(all, entry.decompiler) == all.end()) all.push_back(entry.decompiler);
  }
  return all;
}

std::string rounds_formula(const std::vector<const LayerDecompiler*>& layers) {
  std::vector<std::string_view> formulas;
  for (const LayerDecompiler* layer : layers) {
    if (std::ranges::find(formulas, layer->rounds_formula) == formulas.end())
      formulas.push_back(layer->rounds_formula);
  }
  return fmt::format("2 + sum over layers of {}", fmt::join(formulas, " or "));
}

}  // namespace roundtrip::simulate
