"""A plain re-implementation of a saved model with exact-match or softmax attention, from its two files and nothing of the project's.

    evaluate_model.py MODEL.json    rows from standard input as JSON, the last layer's rows to standard output
"""
import json
import math
import os
import sys

from numpy_safetensors import read


def apply(stages, tensors, fraction_bits, x):
    for stage in stages:
        weight, bias = tensors[stage["weight"]], tensors[stage["bias"]]
        drop = 2 ** (fraction_bits + stage["weight_fraction_bits"] - stage["output_fraction_bits"])
        y = []
        for row, b in zip(weight.tolist(), bias.tolist()):
            total = b + sum(w * number for w, number in zip(row, x))
            quotient, rest = divmod(total, drop)
            if 2 * rest > drop or (2 * rest == drop and quotient % 2 == 1):
                quotient += 1
            if stage["relu"]:
                quotient = max(quotient, 0)
            if "clamp" in stage:
                quotient = max(-stage["clamp"], min(stage["clamp"], quotient))
            y.append(quotient)
        x, fraction_bits = y, stage["output_fraction_bits"]
    return x


def weigh(mechanism, query, keys):
    if mechanism["kind"] == "ema":
        return [int(key == query) for key in keys]
    assert mechanism["kind"] == "softmax"
    scores = [sum(q * k for q, k in zip(query, key)) for key in keys]
    return [math.exp(mechanism["scale"] * (score - max(scores))) for score in scores]


def layer_rows(layer, tensors, rows):
    weights = layer["weights"]
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
        rows = layer_rows(layer, tensors, rows)
    json.dump(rows, sys.stdout)
