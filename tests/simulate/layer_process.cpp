// One layer of a compiled protocol in a process of its own: all that it is given is on the command line, and
// the array is all that goes in and out. Usage:
//   layer_process PROTOCOL N EPSILON KAPPA_S SEED OPTIONS CONSTRUCTION ema|anna LAYER IN OUT
// KAPPA_S 0: the protocol's default; OPTIONS: key=value,key=value or "-".
#include <cstdio>
#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/simulate/compile/compare.h"

namespace {

using namespace roundtrip;

int evaluate_layer(char** arguments) {
  mpc::Parameters parameters;
  const std::string name = arguments[0];
  parameters.n = std::stoull(arguments[1]);
  parameters.epsilon = Rational::parse(arguments[2], "epsilon");
  if (const auto kappa = std::stoull(arguments[3]); kappa != 0) parameters.kappa_s = kappa;
  parameters.seed = std::stoull(arguments[4]);
  std::string options = arguments[5];
  while (options != "-" && !options.empty()) {
    const std::string option = options.substr(0, options.find(','));
    parameters.options[option.substr(0, option.find('='))] = option.substr(option.find('=') + 1);
    options.erase(0, option.size() + 1);
  }
  simulate::CompileOptions compile_options;
  compile_options.seed = parameters.seed;
  compile_options.construction = arguments[6];
  const auto layer = simulate::compile_layer(
      name, parameters, static_cast<std::uint32_t>(std::stoul(arguments[8])), compile_options);
  const auto attention = simulate::make_attention(layer->codebook(), arguments[7], parameters.seed);
  anna::evaluate(*layer, *attention, anna::Activations::load(arguments[9])).save(arguments[10]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 12) return 2;
  try {
    return evaluate_layer(argv + 1);
  } catch (const roundtrip::Error& error) {
    std::fprintf(stderr, "layer_process: %s\n", error.what());
    return 70;
  }
}
