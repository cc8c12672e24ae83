"""Transformers from PyTorch as models that decompile() takes."""
from __future__ import annotations

from typing import Any

from . import _export_from_torch

__all__ = ["export"]


def export(path: str, layers: list[dict[str, Any]], tokens: int, mechanism: dict[str, Any]) -> str:
    """Writes `path` (NAME.json) and NAME.safetensors, and returns `path`: a model for decompile(), as in
    docs/own_transformer.md.

    A layer is {"heads": [{"query": map, "key": map, "value": map}, ..], "output": map}; a map is a torch.nn.Sequential of
    Linear and ReLU, or a list of (weight, bias, relu) of numpy arrays. A head's maps see the row and the digits of the
    token's number, the output map these and all heads' averages.

    >>> import numpy, roundtrip, roundtrip.torch, tempfile
    >>> rng, digits = numpy.random.default_rng(1), 4                                    # 16 tokens
    >>> linear = lambda rows, columns: [(rng.normal(size=(rows, columns)).astype("f4"), None, False)]
    >>> head = {"query": linear(4, 2 + digits), "key": linear(4, 2 + digits), "value": linear(3, 2 + digits)}
    >>> layer = {"heads": [head], "output": linear(2, 2 + digits + 3)}
    >>> anna = {"kind": "anna", "family": "cross-polytope", "tables": 4, "functions": 1, "seed": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = roundtrip.torch.export(f"{folder}/model.json", [layer], tokens=16, mechanism=anna)
    ...     roundtrip.decompile(model, range(16)).equal
    True
    """
    _export_from_torch.export(path, layers, tokens, mechanism)
    return path
