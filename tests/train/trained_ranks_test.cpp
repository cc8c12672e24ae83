// The committed models as protocols, on ranks: the rows are those of the evaluation, bit for bit, and the answers the
// scorer's.
#include <gtest/gtest.h>

#include <algorithm>

#include "mpi_main.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/train/score.h"

namespace roundtrip::train {
namespace {

void check_as_protocol(const std::string& name, std::uint32_t inputs) {
  const Task& task = find_task(name);
  const anna::Model model = anna::load_model(fmt::format("{}/{}.json", ROUNDTRIP_TRAINED, name)).model;
  mpc::Parameters parameters;
  parameters.n = task.tokens;
  const auto protocol = simulate::decompile(model, parameters);
  const simulate::DecompilePlan plan = simulate::plan_decompile(model, parameters);
  const Scorer scorer(model);
  const auto transport = tests::session().transport();
  for (std::uint32_t i = 0; i < inputs; ++i) {
    const Sequences one = make_sequences(task, 1, 21, i);
    const std::vector<mpc::Word> words(one.tokens.begin(), one.tokens.end());
    const mpc::RunResult result = mpc::run(*protocol, words, *transport);
    if (transport->rank() != 0) continue;  // rank 0 has the outputs
    const anna::Activations rows = simulate::decompiled_rows(plan, result.outputs);
    EXPECT_TRUE(rows == anna::evaluate(model, simulate::input_activations(words, task.tokens)));
    EXPECT_EQ(result.ledger.rounds.size(), plan.rounds);
    Rows answers;
    for (std::uint64_t token = 0; token < task.tokens; ++token) {
      std::uint32_t best = 0;
      for (std::uint32_t c = 1; c < task.classes; ++c) {
        if (rows.row(token)[c] > rows.row(token)[best]) best = c;
      }
      answers.push_back(best);
    }
    EXPECT_EQ(answers, scorer.answers(one.tokens));
  }
}

TEST(TrainedModels, AreProtocols) {
  check_as_protocol("match2", 3);
  check_as_protocol("induction", 1);
}
TEST(TrainedModelsLong, OnAHundredInputs) {
  check_as_protocol("match2", 100);
  check_as_protocol("induction", 100);
}

}  // namespace
}  // namespace roundtrip::train
