// Purpose: running a registered protocol on values in process, as the tests of protocols do it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc::testing {

struct CaseResult {
  Shape shape;
  Outputs outputs;
  RunResult run;
};

inline CaseResult run_case(const std::string& name, const Parameters& parameters, const Values& values,
                           const RunOptions& options = {}) {
  const ProtocolInfo& info = find_protocol(name);
  const std::unique_ptr<const Protocol> protocol = info.make(parameters);
  CaseResult result{.shape = protocol->shape(), .outputs = {}, .run = {}};
  std::vector<Word> input;
  input.reserve(values.size());
  for (const std::int64_t value : values) input.push_back(encode_input(value, result.shape, "a test value"));
  const std::unique_ptr<Transport> transport = make_in_process_transport();
  result.run = run(*protocol, input, *transport, options);
  for (std::uint64_t i = 0; i < result.run.outputs.size(); ++i) {
    result.outputs.push_back(info.decode(*protocol, i, result.run.outputs[i]));
  }
  return result;
}

/// N values in low..high.
inline Values random_values(std::uint64_t n, std::int64_t low, std::int64_t high, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest);
  Values values(n);
  for (std::int64_t& value : values) {
    value = low + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(high - low) + 1));
  }
  return values;
}

inline Parameters parameters_of(std::uint64_t n, Rational epsilon = {1, 2}) {
  Parameters parameters;
  parameters.n = n;
  parameters.epsilon = epsilon;
  return parameters;
}

/// Machines in random order and the protocol made anew before every step: must change nothing.
inline RunOptions shaken(const std::string& name, const Parameters& parameters, std::uint64_t seed) {
  RunOptions options;
  options.order_seed = seed;
  options.rebuild = [name, parameters] { return find_protocol(name).make(parameters); };
  return options;
}

}  // namespace roundtrip::mpc::testing
