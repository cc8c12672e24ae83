"""Runs a transformer that `roundtrip compile --native --export MODEL.json` or `--weights` wrote, without anything of
Roundtrip: matrix products, ReLU, and averages over equal keys or by softmax, in PyTorch if it is installed, else in numpy.

    python3 run_exported.py MODEL.json [WORD..]

Without words, the example in MODEL.tables.json is run, and its outputs must come out. Every number is an integer below 2^53
in magnitude, or such an integer over a power of two, so that double precision computes all of it exactly, in any order.
"""
import json
import pathlib
import struct
import sys

import numpy

try:
    import torch
    torch.set_default_dtype(torch.float64)
    array, concatenate, amax = (lambda x: torch.from_numpy(numpy.array(x, "f8"))), torch.cat, torch.amax
except ImportError:
    torch = None
    array, concatenate, amax = (lambda x: numpy.array(x, "f8")), numpy.concatenate, numpy.amax


def read_safetensors(path):
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    kinds = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
    tensors = {}
    for name, entry in json.loads(data[8:end]).items():
        if name != "__metadata__":
            begin, stop = entry["data_offsets"]
            tensors[name] = numpy.frombuffer(data[end + begin:end + stop], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def matrix(weight, tensors):
    """[outputs, inputs] of a weight: a dense tensor, or one by compressed rows."""
    if isinstance(weight, str):
        return tensors[weight]
    values, columns, starts = (tensors[weight[part]] for part in ("values", "columns", "starts"))
    dense = numpy.zeros((len(starts) - 1, weight["inputs"]))
    dense[numpy.repeat(numpy.arange(len(starts) - 1), numpy.diff(starts.astype(int))), columns] = values
    return dense


def prepare(weights, tensors):
    """The arrays of a layer's maps in the places of their names."""
    for stage in weights["output"] + [s for head in weights["heads"] for which in ("query", "key", "value") for s in head[which]]:
        stage["weight"] = array(matrix(stage["weight"], tensors))
        stage["bias"] = array(tensors[stage["bias"]])
        if isinstance(stage.get("clamp"), str):
            stage["clamp"] = array(tensors[stage["clamp"]])


def load(path):
    """The model that a description and its weights are."""
    model = json.loads(path.read_text())
    tensors = read_safetensors(path.parent / model["maps"]["file"])
    blocks = model.get("blocks", {})  # shared
    for weights in [*blocks.values(), *(layer["weights"] for layer in model["layers"])]:
        if not isinstance(weights, str):
            prepare(weights, tensors)
    for layer in model["layers"]:
        if isinstance(layer["weights"], str):
            layer["weights"] = blocks[layer["weights"]]
    return model


def apply(stages, bits, x):
    """x [.., N, inputs] with `bits` fractional bits, through y = clamp(relu(round((W x + b) / 2^drop))) stage by stage."""
    for stage in stages:
        drop = bits + stage["weight_fraction_bits"] - stage["output_fraction_bits"]
        x = ((x @ stage["weight"].T + stage["bias"]) / 2.0**drop).round()  # half to even
        if stage["relu"]:
            x = x.clip(0, None)
        if "clamp" in stage:
            x = x.clip(-stage["clamp"], stage["clamp"])  # one limit, or one a column
        bits = stage["output_fraction_bits"]
    return x


def attend(mechanism, queries, keys, values):
    """The average of the values by softmax, or of those whose keys are the query, zero if there are none."""
    if mechanism["kind"] == "softmax":
        scores = mechanism["scale"] * (queries @ keys.swapaxes(-1, -2))
        if mechanism.get("causal"):
            scores = scores + array(numpy.triu(numpy.full(scores.shape[-2:], -numpy.inf), 1))
        weights = 2.718281828459045**(scores - amax(scores, -1)[..., None])
        return (weights @ values) / weights.sum(-1)[..., None]
    if mechanism["kind"] != "ema":
        raise SystemExit(f"a layer attends by {mechanism['kind']}, whose hash functions only roundtrip draws")
    equal = 1.0 * (queries[..., :, None, :] == keys[..., None, :, :]).all(-1)
    count = equal.sum(-1)
    return (equal @ values) / (count + (count == 0))[..., None]


def evaluate(model, rows):
    """The last layer's rows for the first's, [.., N, columns]: one input, or many at once."""
    for layer in model["layers"]:
        weights = layer["weights"]
        bits, base = weights["row_fraction_bits"], weights["position_base"]
        digits = array([[token // base**digit % base for digit in range(weights["position_digits"])]
                        for token in range(rows.shape[-2])])
        seen = concatenate([rows, digits + 0 * rows[..., :1]], -1)
        heads = []
        for head in weights["heads"]:
            query, key, value = (apply(head[which], bits, seen) for which in ("query", "key", "value"))
            shift = 2.0 ** (bits - head["value"][-1]["output_fraction_bits"])
            heads.append((attend(layer["mechanism"], query, key, value) * shift).round())
        rows = apply(weights["output"], bits, concatenate([seen, *heads], -1))
    return rows


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1])
    model, tables = load(path), json.loads(path.with_suffix(".tables.json").read_text())
    symbols, texts = tables.get("symbols"), sys.argv[2:]
    if not texts:
        words = tables["example"]["words"]
    elif symbols:
        unknown = [text for text in texts if text not in symbols]
        if unknown:
            raise SystemExit(f"{unknown[0]} is not one of the words of {path.with_suffix('.tables.json')}: {' '.join(symbols)}")
        words = [symbols.index(text) for text in texts]
    else:
        words = [int(text) % tables["modulus"] if "modulus" in tables else int(text) + tables["offset"] for text in texts]
    if len(words) > model["tokens"]:
        raise SystemExit(f"{len(words)} words for {model['tokens']} tokens")
    rows = [[1, word] for word in words] + [[0, 0]] * (model["tokens"] - len(words))
    last = evaluate(model, array(rows))
    count = len(tables["example"]["outputs"]) if "offset" in tables else len(words)
    outputs = [int(word) for word in last[:count, 1].tolist()]
    if symbols:
        outputs = [symbols[word - 1] if word else None for word in outputs]
    print(f"{'numpy' if torch is None else 'torch'}: {len(model['layers'])} layers on {len(rows)} tokens", file=sys.stderr)
    if texts:
        print(*("-" if output is None else output for output in outputs))
    elif outputs == tables["example"]["outputs"]:
        print(f"all {len(outputs)} outputs are the run's")
    else:
        raise SystemExit("the outputs are not the run's")


if __name__ == "__main__":
    main()
