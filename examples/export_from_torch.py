"""A transformer from PyTorch as a model that `roundtrip decompile` takes: NAME.json and, beside it, NAME.safetensors.

    python3 export_from_torch.py NAME.json

The transformer here is a small random one; with one of yours, call export() with its maps. A map is a torch.nn.Sequential
of Linear and ReLU or, without PyTorch, a list of (weight, bias, relu) of numpy arrays: both are tried below, whichever is
installed, and give the same file. docs/own_transformer.md explains what is asked of a model.
"""
import json
import struct
import sys

import numpy

try:
    import torch
except ImportError:
    torch = None

WEIGHT_BITS = 10  # fractional bits of weights: rounded to 1/1024 when the model is read
ROW_BITS = 8  # fractional bits of the rows between layers
LIMIT = 2**15 - 1  # of a row's numbers, in units of 2^-ROW_BITS: beyond it they are clamped


def stages(network):
    """(weight, bias, relu) of every Linear of a torch.nn.Sequential, or of such a list; a bias of None is one of zeros."""
    if isinstance(network, list):
        return [(weight, numpy.zeros(len(weight), "f4") if bias is None else bias, relu) for weight, bias, relu in network]
    found = []
    for module in network:
        if isinstance(module, torch.nn.Linear):
            bias = numpy.zeros(module.out_features, "f4") if module.bias is None else module.bias.detach().numpy()
            found.append((module.weight.detach().numpy(), bias, False))
        elif isinstance(module, torch.nn.ReLU):
            found[-1] = (*found[-1][:2], True)
        else:
            raise SystemExit(f"{module} is neither Linear nor ReLU")
    return found


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = numpy.ascontiguousarray(tensor, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def export(path, layers, tokens, mechanism):
    """layers: [{"heads": [{"query": map, "key": map, "value": map}, ..], "output": map}, ..]. A head's maps see the row and
    the token's number (its binary digits, lowest first), the output map sees these and then all heads' averages."""
    tensors, described, digits = {}, [], max(1, (tokens - 1).bit_length())

    def describe(network, name):
        result = []
        for s, (weight, bias, relu) in enumerate(stages(network)):
            tensors[f"{name}.{s}.weight"], tensors[f"{name}.{s}.bias"] = weight, bias
            result.append({"weight": f"{name}.{s}.weight", "bias": f"{name}.{s}.bias", "relu": relu, "clamp": LIMIT,
                           "weight_fraction_bits": WEIGHT_BITS, "output_fraction_bits": ROW_BITS})
        return result

    for l, layer in enumerate(layers):
        heads = [{which: describe(head[which], f"layers.{l}.heads.{h}.{which}") for which in ("query", "key", "value")}
                 for h, head in enumerate(layer["heads"])]
        output = describe(layer["output"], f"layers.{l}.output")
        first = layer["heads"][0]
        described.append({
            "heads": len(heads), "query_dimension": len(stages(first["query"])[-1][1]),
            "value_dimension": len(stages(first["value"])[-1][1]), "output_dimension": len(stages(layer["output"])[-1][1]),
            "mechanism": mechanism,
            "weights": {"row_limit": LIMIT, "row_fraction_bits": ROW_BITS, "position_digits": digits, "position_base": 2,
                        "output": output, "heads": heads}})
    weights_file = path.removesuffix(".json") + ".safetensors"
    write_safetensors(weights_file, tensors)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": "roundtrip-model", "version": 1, "tokens": tokens, "input_dimension": 2, "layers": described,
                   "maps": {"kind": "weights", "file": weights_file.rsplit("/", 1)[-1]}}, file, indent=1)


def random_map(rng, sizes):
    """Layers of the given sizes with ReLU between them: in PyTorch if it is there, with the same numbers otherwise."""
    arrays = [(rng.normal(0, a**-0.5, (b, a)).astype("f4"), rng.normal(0, 0.5, b).astype("f4"))
              for a, b in zip(sizes, sizes[1:])]
    if torch is None:
        return [(weight, bias, n + 1 < len(arrays)) for n, (weight, bias) in enumerate(arrays)]
    modules = []
    for n, (weight, bias) in enumerate(arrays):
        linear = torch.nn.Linear(*weight.shape[::-1])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        modules += [linear, torch.nn.ReLU()] if n + 1 < len(arrays) else [linear]
    return torch.nn.Sequential(*modules)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng, tokens, row, digits = numpy.random.Generator(numpy.random.PCG64(1)), 64, 2, 6
    layers = []
    for _ in range(2):  # two layers of two heads: queries and keys of 8 numbers, values of 4, rows of 6
        heads = [{"query": random_map(rng, (row + digits, 16, 8)), "key": random_map(rng, (row + digits, 16, 8)),
                  "value": random_map(rng, (row + digits, 4))} for _ in range(2)]
        layers.append({"heads": heads, "output": random_map(rng, (row + digits + 2 * 4, 16, 6))})
        row = 6
    export(sys.argv[1], layers, tokens, {"kind": "anna", "family": "cross-polytope", "tables": 8, "functions": 2, "seed": 1})
