// The translators for registered protocols: everything from values alone.
#include <memory>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::simulate {

Compiled compile(std::string_view name, const mpc::Parameters& parameters, CompileOptions options) {
  options.name = name;
  options.eta = parameters.eta;
  if (parameters.delta_given) options.delta = parameters.delta;
  Compiled compiled =
      compile(std::shared_ptr<const mpc::Protocol>(mpc::find_protocol(name).make(parameters)), options);
  compiled.parameters = parameters;
  return compiled;
}

std::shared_ptr<const anna::Layer> compile_layer(std::string_view name, const mpc::Parameters& parameters,
                                                 std::uint32_t number, const CompileOptions& options) {
  const Compiled compiled = compile(name, parameters, options);
  require(number < compiled.transformer.depth(), "{}: layer is {}, allowed is 0 to {}", name, number,
          compiled.transformer.depth() - 1);
  return compiled.transformer.layers[number];
}

}  // namespace roundtrip::simulate
