// ANNA against exact attention: 1024 queries, each with one key near it, eight at middle distance, the rest
// far.
#include <fmt/core.h>

#include "roundtrip/anna/dense/attend.h"
using namespace roundtrip;

int main() {
  const anna::InstanceParameters planted{.tokens = 1024, .dimension = 64, .value_dimension = 16, .c = 8};
  const anna::Instance instance = anna::generate_instance(planted);
  const anna::DenseHead head = anna::quantise(instance.queries, instance.keys, instance.values, true);
  const anna::AttendOptions options{.family = anna::FamilyKind::kCrossPolytope, .c = planted.c};
  const anna::AttendPlan plan = anna::plan_attend(1024, 1024, 64, 16, options);
  fmt::print("near within r = {:.3f}, nothing beyond c r = {:.3f} may count: {} tables of {} functions\n",
             plan.radius, plan.c * plan.radius, plan.tables, plan.functions);
  const auto softmax = anna::attend(head, plan, options, anna::AttendCompare::kExact, instance.groups);
  fmt::print("near keys found (recall)            {:.3f}\n", softmax.weights->recall);
  fmt::print("weight on keys within c r           {:.3f}\n", softmax.weights->within_cr);
  fmt::print("difference to softmax over all keys {:.3f} of its norm\n", softmax.relative_error);
  const auto brute = anna::attend(head, plan, options, anna::AttendCompare::kBrute);
  fmt::print("equal to its definition, pair by pair: {}\n", brute.equal);
  return plan.guaranteed && brute.equal && softmax.weights->recall == 1 && softmax.weights->within_cr == 1
             ? 0
             : 1;
}
