// Purpose: a transformer that a user names (a file, a random model, a protocol to compile), as the protocol
// that it becomes: what `decompile` and `explain` run.
#pragma once

#include <optional>
#include <string>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/cli/construction.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::cli {

/// What is decompiled. Model and plan are there once N is known.
struct ModelSource {
  std::string name;
  const mpc::ProtocolInfo* compiled_info = nullptr;  ///< of a protocol that is compiled first
  std::optional<simulate::Compiled> compiled;
  anna::Model model;
  simulate::DecompilePlan plan;
  std::optional<simulate::DecompilePlan> contrast;  ///< with standard attention; absent: a token does not fit

  bool is_file() const { return compiled_info == nullptr && !name.starts_with("random:"); }
};

/// ContractError for an --attention that no protocol can be compiled with.
void require_of_protocols(const ConstructionArguments& construction);
/// Names of mechanisms, for help: those that protocols can be compiled with, or the others.
std::string attention_names(bool of_protocols, std::string_view separator);
/// Whether the name is that of a random model or of a file (it has a `/` or a `.`), not of a protocol.
bool names_model(const std::string& name);
/// Of that name; ContractError unless it is a protocol or names_model().
ModelSource make_model_source(const std::string& name);

/// The model as a protocol that every part of the program can handle. Numbers of its input are signed, as a
/// protocol's. Both arguments must outlive it.
mpc::ProtocolInfo as_protocol(const ConstructionArguments& construction, ModelSource& model_source);

}  // namespace roundtrip::cli
