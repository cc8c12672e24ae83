// The way back: a random transformer of a small trained one's size, with ANNA in every head, becomes a
// protocol on machines none of which holds more than a part of it; its last rows are the transformer's, bit
// for bit.
#include <fmt/core.h>

#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/simulate/decompile/decompile.h"
using namespace roundtrip;

int main() {
  const anna::RandomModel random = anna::RandomModel::parse("random:L=2,H=4,d=16,m=16,w=64,c=8");
  const mpc::Parameters parameters{.n = 128, .epsilon = {1, 4}, .delta = {1, 4}};
  const anna::Model model =
      anna::make_random_model(random, parameters.n, anna::random_model_tables(random, parameters.n, 0.01));
  const std::vector<mpc::Word> words = anna::random_words(random, parameters.n);

  const simulate::DecompiledRun back = simulate::run_decompiled(model, words, parameters);
  const anna::Activations rows = anna::evaluate(model, simulate::input_activations(words, parameters.n));
  const mpc::RoundFacts used = back.run.ledger.overall();
  fmt::print("{}: {} layers of {} heads\n", random.name(), random.layers, random.heads);
  fmt::print("as a protocol: {} rounds on {} machines of {} words; at most {} sent, {} received\n",
             back.run.ledger.rounds.size(), back.plan.machines, back.plan.memory_words, used.max_words_sent,
             used.max_words_received);
  fmt::print("{} rows of {} numbers, equal bit for bit: {}\n", rows.tokens(), rows.dimension(),
             back.rows == rows);
  return back.rows == rows && back.run.ledger.rounds.size() == back.plan.rounds ? 0 : 1;
}
