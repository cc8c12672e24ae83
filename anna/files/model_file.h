// Purpose: models on disk: a JSON description, and beside it the weights as safetensors, which numpy and
// PyTorch read. Maps that are a registered protocol's are stored by name; what a protocol is, a resolver
// knows, not this folder.
//
// The description:
//   schema "roundtrip-model", version 1 or 2 (what only 2 has is marked so), tokens, input_dimension
//   maps       {kind "weights", file, xxh3 (optional: of the file's bytes, 16 hexadecimal digits)} or
//              {kind "protocol", protocol, construction, version, seed, parameters {name: text}}
//   expected   (optional) what the model's source gave for some inputs: not looked at here
//   blocks     (2, optional) {name: weights}: what several layers share
//   layers     list of {heads, query_dimension, value_dimension, output_dimension, mechanism,
//              weights (if the maps' kind is "weights"; 2: or the name of a block)}
//   mechanism  {kind, ..}: by MechanismInfo::read and Mechanism::write of the mechanism of that name
//              (anna/attention/); {kind "anna", family, tables, functions, seed, width (p-stable only),
//              rotations (hadamard only), r (optional), c (optional)}, for example
//   weights    {row_limit, row_fraction_bits, position_digits, position_base, output,
//              heads: list of {query, key, value}}; output, query, key and value are maps; row_limit is a number
//              or (2) names a tensor [columns]
//   map        list of {weight, bias (optional), weight_fraction_bits, output_fraction_bits, relu,
//              clamp (optional)}; weight [outputs, inputs] and bias [outputs] name tensors, each used once; clamp is a
//              number or (2) names a tensor [outputs]
//   weight (2) may also be {inputs, values, columns, starts}: a sparse matrix (CSR), whose tensors are values [nonzeros],
//              none of them 0, columns [nonzeros], rising within a row and below inputs, and starts [outputs + 1], from
//              0 to nonzeros and never falling
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "roundtrip/anna/files/safetensors.h"
#include "roundtrip/anna/transformer/model.h"

namespace roundtrip::anna {

struct Resolved {
  Transformer transformer;
  std::string version;  ///< of the protocol that is registered here
};
/// The compiled transformer of a registered protocol; nullopt if its name or construction is not known here.
using Resolver = std::function<std::optional<Resolved>(const ProtocolMaps&)>;
/// Adds a resolver that load_model() asks where it is given none, in the order of registration: what compiles
/// protocols lies above this folder and says so at start-up. Not while another thread loads. ContractError
/// for an empty one.
void register_resolver(Resolver resolver);
/// The weights file of that name, beside the description.
using OpenWeights = std::function<std::string(const std::string& file)>;

struct LoadedModel {
  Model model;
  /// Floating-point tensors are rounded to their declared fractional bits, half to even; this is the largest
  /// difference to what the file says. 0 for integer tensors.
  double largest_rounding = 0;
};

/// Reads a description; `path` names it in messages. ContractError naming the place as a JSON path, the
/// value and what is allowed, for anything that is missing, unknown, given twice, out of range or does
/// not fit the rest; nothing is evaluated or allocated on a size's word alone. Cost: memory proportional to
/// the two files.
LoadedModel parse_model(std::string_view description, const std::string& path,
                        const OpenWeights& open_weights, const Resolver& resolver);
/// The same for files; without a resolver, the registered ones are asked.
LoadedModel load_model(const std::string& path, const Resolver& resolver = nullptr);

struct ModelFiles {
  std::string description;
  std::string weights;  ///< empty if the maps are a protocol's
};
/// How the matrices of a model are written; numbers have the smallest integer type that holds a matrix's.
enum class Matrices : std::uint8_t {
  kSmaller,  ///< each as sparse or dense, whichever takes fewer bytes
  kDense,    ///< for readers that know no other; ContractError beyond 2^27 numbers in all
};
/// Layers that are one object are written once, as a block.
ModelFiles write_model(const Model& model, const std::string& weights_file,
                       Matrices matrices = Matrices::kSmaller);

/// Writes `path`, which must end in .json, and the weights, if any, to the same name ending in .safetensors.
/// Each file is replaced whole or not at all, the weights first; the description holds their checksum, so
/// that a pair of two saves, after a crash between, is refused by load_model.
void save_model(const Model& model, const std::string& path, Matrices matrices = Matrices::kSmaller);

}  // namespace roundtrip::anna
