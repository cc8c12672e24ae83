"""A transformer from PyTorch as a model that `roundtrip decompile` takes: NAME.json and, beside it, NAME.safetensors.

    python3 export_from_torch.py NAME.json [numbers | softmax | tokens]

The transformers here are small random ones: of numbers with LSH attention (the default) or softmax, and of token numbers
with an embedding table and softmax. With one of yours, call export() with its maps. A map is a torch.nn.Sequential of Linear
(with or without bias, of any float type) and ReLU or, without PyTorch, a list of (weight, bias, relu) of numpy arrays. With
softmax the file also holds what the source itself gives for a few inputs (`expected`): `roundtrip decompile` compares.
docs/own_transformer.md explains what is asked of a model.

What the file does not have is converted here, into the weights of a layer's first stages:
  - the first rows are integers, (1, x + 2^(INPUT_BITS - 1)), where the source has the numbers (1, x);
  - a token's binary digits are integers, where rows and averages are in units of 2^-ROW_BITS;
  - softmax multiplies integer scores, in units of 2^(-2 ROW_BITS), by its scale.
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
INPUT_BITS = 10  # input numbers are -512 to 511
TOLERANCE = 0.05  # of what the fixed-point model may differ from its source, in any number of a row


def array(tensor):
    """Of a parameter of any float type, bfloat16 too, which numpy lacks; an array stays one."""
    return numpy.asarray(tensor.detach().float().numpy() if hasattr(tensor, "detach") else tensor, "f8")


def stages(network):
    """[(weight, bias, relu)] of every Linear of a torch.nn.Sequential, or of such a list; a bias of None is one of zeros."""
    found = []
    for module in network:
        if isinstance(module, tuple):
            weight, bias, relu = module
        elif torch is not None and isinstance(module, torch.nn.Linear):
            weight, bias, relu = module.weight, module.bias, False
        elif torch is not None and isinstance(module, torch.nn.ReLU):
            found[-1] = (*found[-1][:2], True)
            continue
        else:
            raise SystemExit(f"{module} is neither Linear nor ReLU")
        found.append((array(weight), numpy.zeros(len(weight)) if bias is None else array(bias), relu))
    return found


def embedding(table):
    """The map of (present, number, ..) to the number's row of a torch.nn.Embedding or an array; 0 for a token that is absent.
    relu(x - k) for k = -1 .. V, of which second differences are 1 at x alone; then the table. `more` inputs are not looked at."""
    table = array(table.weight if hasattr(table, "weight") else table)

    def of(more):
        hinges = numpy.zeros((len(table) + 2, 2 + more))
        hinges[:, 1], hinges[:, 0] = 1, -numpy.arange(-1, len(table) + 1)
        one_hot = numpy.zeros((len(table), len(table) + 2))
        for number in range(len(table)):
            one_hot[number, number:number + 3] = 1, -2, 1
        return [(hinges, None, True), (one_hot, None, False), (table.T, None, False)]
    return of


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = numpy.ascontiguousarray(tensor, "<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def digits_of(tokens):
    return max(1, (tokens - 1).bit_length())


def forward(layers, numbers, tokens, scale):
    """The source itself, in floating point: the last rows of the tokens that have a number."""
    def apply(network, x):
        for weight, bias, relu in stages(network):
            x = x @ weight.T + bias
            x = numpy.maximum(x, 0) if relu else x
        return x

    digits = numpy.array([[token >> d & 1 for d in range(digits_of(tokens))] for token in range(tokens)], "f8")
    rows = numpy.zeros((tokens, 2))
    rows[:len(numbers), 0], rows[:len(numbers), 1] = 1, numbers
    for layer in layers:
        seen = numpy.hstack([rows, digits])
        averages = []
        for head in layer["heads"]:
            scores = scale * apply(head["query"], seen) @ apply(head["key"], seen).T
            weights = numpy.exp(scores - scores.max(axis=1, keepdims=True))
            averages.append(weights / weights.sum(axis=1, keepdims=True) @ apply(head["value"], seen))
        rows = apply(layer["output"], numpy.hstack([seen, *averages]))
    return rows[:len(numbers)]


def export(path, layers, tokens, mechanism, inputs=()):
    """layers: [{"heads": [{"query": map, "key": map, "value": map}, ..], "output": map}, ..]. A head's maps see the row and
    the token's number (its binary digits, lowest first), the output map sees these and then all heads' averages. A mechanism
    {"kind": "softmax", "scale": of the source} is converted; what the source gives for `inputs` is written beside it."""
    tensors, described, digits = {}, [], digits_of(tokens)

    def describe(network, name, row_columns, first):
        """`row_columns` of the input are the row, then come the digits."""
        result = []
        for s, (weight, bias, relu) in enumerate(stages(network)):
            if s == 0:
                weight = weight.copy()
                weight[:, 0 if first else row_columns:row_columns + digits] *= 2**ROW_BITS
                if first:
                    weight[:, 0] -= 2**(INPUT_BITS - 1) * weight[:, 1]
            tensors[f"{name}.{s}.weight"], tensors[f"{name}.{s}.bias"] = weight, bias
            result.append({"weight": f"{name}.{s}.weight", "bias": f"{name}.{s}.bias", "relu": relu, "clamp": LIMIT,
                           "weight_fraction_bits": WEIGHT_BITS, "output_fraction_bits": ROW_BITS})
        return result

    stored, row_columns = dict(mechanism), 2
    if mechanism["kind"] == "softmax":
        stored["scale"] = mechanism["scale"] / 4**ROW_BITS
    for l, layer in enumerate(layers):
        heads = [{which: describe(head[which], f"layers.{l}.heads.{h}.{which}", row_columns, l == 0)
                  for which in ("query", "key", "value")} for h, head in enumerate(layer["heads"])]
        output = describe(layer["output"], f"layers.{l}.output", row_columns, l == 0)
        width = [len(stages(layer["heads"][0][which])[-1][1]) for which in ("query", "value")]
        described.append({
            "heads": len(heads), "query_dimension": width[0], "value_dimension": width[1],
            "output_dimension": len(stages(layer["output"])[-1][1]), "mechanism": stored,
            "weights": {"row_limit": 2**INPUT_BITS - 1 if l == 0 else LIMIT, "row_fraction_bits": ROW_BITS,
                        "position_digits": digits, "position_base": 2, "output": output, "heads": heads}})
        row_columns = described[-1]["output_dimension"]
    weights_file = path.removesuffix(".json") + ".safetensors"
    write_safetensors(weights_file, tensors)
    description = {"schema": "roundtrip-model", "version": 1, "tokens": tokens, "input_dimension": 2, "layers": described,
                   "maps": {"kind": "weights", "file": weights_file.rsplit("/", 1)[-1]}}
    if mechanism["kind"] == "softmax":
        description["expected"] = {"tolerance": TOLERANCE, "examples": [
            {"input": list(map(int, numbers)), "rows": forward(layers, numbers, tokens, mechanism["scale"]).tolist()}
            for numbers in inputs]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(description, file, indent=1)


def random_map(rng, sizes, bias=True, unit=1):
    """Layers of the given sizes with ReLU between them: in PyTorch if it is there, with the same numbers otherwise. The
    second input counts in `unit`s."""
    arrays = [(rng.normal(0, a**-0.5, (b, a)).astype("f4"), rng.normal(0, 0.5, b).astype("f4") if bias else None)
              for a, b in zip(sizes, sizes[1:])]
    arrays[0][0][:, 1] /= unit
    if torch is None:
        return [(weight, offset, n + 1 < len(arrays)) for n, (weight, offset) in enumerate(arrays)]
    modules = []
    for n, (weight, offset) in enumerate(arrays):
        linear = torch.nn.Linear(*weight.shape[::-1], bias=bias)
        linear.weight.data = torch.from_numpy(weight)
        if bias:
            linear.bias.data = torch.from_numpy(offset)
        modules += [linear, torch.nn.ReLU()] if n + 1 < len(arrays) else [linear]
    return torch.nn.Sequential(*modules)


def random_layers(rng, count, row, digits, unit):
    """Layers of two heads: queries and keys of 8 numbers, values of 4 without a bias, rows of 6."""
    layers = []
    for _ in range(count):
        heads = [{"query": random_map(rng, (row + digits, 16, 8), unit=unit), "key": random_map(rng, (row + digits, 16, 8), unit=unit),
                  "value": random_map(rng, (row + digits, 4), bias=False, unit=unit)} for _ in range(2)]
        layers.append({"heads": heads, "output": random_map(rng, (row + digits + 2 * 4, 16, 6), unit=unit)})
        row, unit = 6, 1
    return layers


if __name__ == "__main__":
    kind = sys.argv[2] if len(sys.argv) == 3 else "numbers"
    if len(sys.argv) not in (2, 3) or kind not in ("numbers", "softmax", "tokens"):
        sys.exit(__doc__)
    rng, softmax = numpy.random.Generator(numpy.random.PCG64(1)), {"kind": "softmax", "scale": 8**-0.5}
    if kind == "numbers":
        export(sys.argv[1], random_layers(rng, 2, 2, 6, unit=64), 64,
               {"kind": "anna", "family": "cross-polytope", "tables": 8, "functions": 2, "seed": 1})
    elif kind == "softmax":
        export(sys.argv[1], random_layers(rng, 2, 2, 4, unit=64), 16, softmax,
               [rng.integers(-200, 200, count) for count in (16, 9, 1)])
    else:
        table, nothing = rng.normal(0, 1, (12, 5)), [(numpy.zeros((1, 2 + 4)), None, False)]
        first = {"heads": [dict.fromkeys(("query", "key", "value"), nothing)], "output": embedding(table)(4 + 1)}
        export(sys.argv[1], [first, *random_layers(rng, 1, 5, 4, unit=1)], 16, softmax, [rng.integers(0, 12, 16), range(12)])
