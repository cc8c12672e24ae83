"""A plain re-implementation of a saved model with exact-match or softmax attention, from its two files and nothing of the project's.

    evaluate_model.py MODEL.json    rows from standard input as JSON, the last layer's rows to standard output
"""
import json
import math
import os
import sys

from numpy_safetensors import read


def rows_of(weight, tensors):
    """The rows of a matrix, dense or by compressed rows, as lists of pairs of a column and its weight."""
    if isinstance(weight, str):
        return [[(c, w) for c, w in enumerate(row) if w] for row in tensors[weight].tolist()]
    values, columns, starts = (tensors[weight[name]].tolist() for name in ("values", "columns", "starts"))
    return [list(zip(columns[begin:end], values[begin:end])) for begin, end in zip(starts, starts[1:])]


def apply(stages, tensors, fraction_bits, x):
    for stage in stages:
        bias, clamp = tensors[stage["bias"]].tolist(), stage.get("clamp")
        clamps = tensors[clamp].tolist() if isinstance(clamp, str) else [clamp] * len(bias)
        drop = 2 ** (fraction_bits + stage["weight_fraction_bits"] - stage["output_fraction_bits"])
        y = []
        for row, b, limit in zip(rows_of(stage["weight"], tensors), bias, clamps):
            total = b + sum(w * x[column] for column, w in row)
            quotient, rest = divmod(total, drop)
            if 2 * rest > drop or (2 * rest == drop and quotient % 2 == 1):
                quotient += 1
            if stage["relu"]:
                quotient = max(quotient, 0)
            if limit is not None:
                quotient = max(-limit, min(limit, quotient))
            y.append(quotient)
        x, fraction_bits = y, stage["output_fraction_bits"]
    return x


def weigh(mechanism, query, keys):
    if mechanism["kind"] == "ema":
        return [int(key == query) for key in keys]
    assert mechanism["kind"] == "softmax"
    scores = [sum(q * k for q, k in zip(query, key)) for key in keys]
    return [math.exp(mechanism["scale"] * (score - max(scores))) for score in scores]


def layer_rows(layer, blocks, tensors, rows):
    weights = layer["weights"]
    if isinstance(weights, str):
        weights = blocks[weights]
    bits = weights["row_fraction_bits"]
    inputs = []
    for token, row in enumerate(rows):
        digits = []
        for _ in range(weights["position_digits"]):
            token, digit = divmod(token, weights["position_base"])
            digits.append(digit)
        inputs.append(row + digits)
    outputs = [list(x) for x in inputs]
    for head in weights["heads"]:
        queries, keys, values = ([apply(head[which], tensors, bits, x) for x in inputs] for which in ("query", "key", "value"))
        shift = bits - head["value"][-1]["output_fraction_bits"]
        for query, out in zip(queries, outputs):
            shares = weigh(layer["mechanism"], query, keys)
            total = sum(shares)
            for column in zip(*values):
                average = float(sum(w * v for w, v in zip(shares, column))) / float(total) if total else 0.0
                out.append(round(math.ldexp(average, shift)))  # half to even
    return [apply(weights["output"], tensors, bits, x) for x in outputs]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        model = json.load(file)
    tensors, _ = read(os.path.join(os.path.dirname(sys.argv[1]), model["maps"]["file"]))
    rows = json.load(sys.stdin)
    for layer in model["layers"]:
        rows = layer_rows(layer, model.get("blocks"), tensors, rows)
    json.dump(rows, sys.stdout)
