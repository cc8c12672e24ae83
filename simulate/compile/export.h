// Purpose: compiled transformers as models: to be evaluated layer by layer with their mechanisms, decompiled,
// and saved by name, the maps being the registered protocol's.
#pragma once

#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::simulate {

/// The transformer with `mechanism` in every layer. Its maps are named by the registered protocol, its
/// parameters and the construction if it was compiled by name (then it can be saved), else by options.name
/// alone.
anna::Model as_model(const Compiled& compiled, std::string_view mechanism);

/// The compiled protocol that a saved model's maps name; ContractError for parameters that it can't be made
/// of.
Compiled compile(const anna::ProtocolMaps& maps);

/// What load_model() asks: compile(maps) for registered protocols and constructions.
anna::Resolver protocol_resolver();

}  // namespace roundtrip::simulate
