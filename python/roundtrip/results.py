"""What the functions of roundtrip return: measured facts as attributes, a table in a notebook, a dictionary on request."""
from __future__ import annotations

import csv
import html
import io
import json
import math
from typing import Any, Iterator

import numpy

from .errors import ContractError

__all__ = ["Result", "Run", "Compiled", "Plan", "Decompiled", "Attended", "Report", "Page", "Plot", "Table"]


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and dictionaries alone, as JSON has them."""
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


class Result:
    """Facts as attributes.

    >>> import roundtrip
    >>> result = roundtrip.run("sum", [1, 2, 3])
    >>> result.rounds, sorted(result.to_dict())[:3]
    (2, ['below_range', 'block_words', 'kappa_raised'])
    """

    _long: tuple[str, ...] = ("ledger", "passes", "outputs", "rows")

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._facts:
            return self._facts[name]
        raise AttributeError(f"{type(self).__name__} has no {name}, it has {', '.join(self._facts)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._facts]

    def to_dict(self) -> dict[str, Any]:
        """All facts, as JSON would hold them.

        >>> import json, roundtrip
        >>> json.dumps(roundtrip.run("sum", [1, 2, 3]).to_dict()["outputs"])
        '[6]'
        """
        return _plain(self._facts)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self._facts.items() if key not in self._long)
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(str(key))}</th>"
            f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
            for key, value in self._facts.items() if key not in self._long
        )
        return f"<table>{rows}</table>"


class Run(Result):
    """A run on machines: `outputs`, `rounds`, `machines`, `memory_words`, `max_words_sent`, `total_words`, `ledger`, ..

    >>> import roundtrip
    >>> run = roundtrip.run("sort", [3, 1, 2])
    >>> run.outputs
    array([1, 2, 3])
    >>> [round["phase"] for round in run.ledger]
    ['to the sort machines', 'deliver']
    """

    @property
    def records(self) -> list[Any]:
        """The outputs of a MapReduce as tuples (or single values, if records are of one word).

        >>> import roundtrip
        >>> count = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=lambda a, b: a + b, output="sn")
        >>> roundtrip.run(count, "to be or not to be").records
        [('to', 2), ('be', 2), ('or', 1), ('not', 1)]
        """
        width = self._facts["record_words"]
        values = list(self.outputs)
        rows = [tuple(values[i:i + width]) for i in range(0, len(values), width)]
        rows = [row for row in rows if row[0] is not None]
        return [row[0] for row in rows] if width == 1 else rows


class Compiled(Result):
    """A protocol beside its transformer: `layers`, `heads`, `width`, `tokens`, `rounds`, `equal`, `outputs`, `passes`, ..

    >>> import roundtrip
    >>> both = roundtrip.compile("sum", [1, 2, 3, 4])
    >>> both.rounds, both.layers, both.equal
    (2, 3, True)
    """


class Plan(Result):
    """Sizes that are known before any input: `machines`, `memory_words`, `rounds_bound`, `layers`, `width`, ..

    >>> import roundtrip
    >>> roundtrip.plan("k_hop", n=1024).rounds_bound == roundtrip.run("k_hop", n=1024).rounds
    True
    """


class Decompiled(Result):
    """A transformer as a protocol: `rows` (its last array), `rounds`, `machines`, `equal` (to its evaluation), ..

    >>> import roundtrip
    >>> model = roundtrip.decompile("random:L=1,H=1,d=4,m=2,w=2", n=16)
    >>> model.rows.shape, model.equal
    ((16, 2), True)
    """


class Attended(Result):
    """Approximate nearest neighbour attention: `rows`, `tables`, `functions`, `guaranteed`, `seconds`, ..

    >>> import numpy, roundtrip
    >>> q = numpy.eye(8, dtype="float32")
    >>> roundtrip.attend(q, q, q, c=8).rows.shape
    (8, 8)
    """


class Report(Result):
    """A verification: `verdict`, `checks`, `controls`, `statements`; printed, the table that the program prints.

    >>> import roundtrip
    >>> report = roundtrip.verify("sum", controls=False)
    >>> report.verdict, len(report.checks) > 10
    ('verified', True)
    """

    _long = ("checks", "controls", "statements", "beside")

    def __init__(self, text: str, facts: str) -> None:
        super().__init__(json.loads(facts))
        self._text = text

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


class Page(str):
    """A self-contained HTML page, shown in a notebook.

    >>> import roundtrip
    >>> page = roundtrip.explain("sum", [1, 2, 3, 4])
    >>> page.startswith("<!doctype html>")
    True
    """

    def save(self, path: str) -> None:
        """Writes the page to a file.

        >>> import os, roundtrip, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     roundtrip.explain("sum", [1, 2, 3, 4]).save(f"{folder}/sum.html")
        ...     os.path.getsize(f"{folder}/sum.html") > 1000
        True
        """
        with open(path, "w", encoding="utf-8") as file:
            file.write(self)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self)}" style="width:100%;height:640px;border:0"></iframe>'


class Plot(str):
    """A picture as SVG, shown in a notebook.

    >>> import roundtrip
    >>> roundtrip.Table([{"n": 4, "rounds": 2}, {"n": 8, "rounds": 3}]).plot("n", "rounds").startswith("<svg")
    True
    """

    def save(self, path: str) -> None:
        """Writes the picture to a file.

        >>> import os, roundtrip, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     roundtrip.sweep("sum", n=[256, 4096]).plot("n", "width").save(f"{folder}/width.svg")
        ...     os.path.getsize(f"{folder}/width.svg") > 500
        True
        """
        with open(path, "w", encoding="utf-8") as file:
            file.write(self)

    def _repr_html_(self) -> str:
        return str(self)


class _Axis:
    """Numbers to places between two ends; by their logarithms if all are positive and the largest is four times the least."""

    def __init__(self, values: list[float], begin: float, end: float) -> None:
        low, high = min(values), max(values)
        self._scale = math.log if low > 0 and high >= 4 * low else float
        self._low, self._high = self._scale(low), self._scale(high)
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        part = (self._scale(value) - self._low) / (self._high - self._low) if self._high > self._low else 0.5
        return round(self._begin + part * (self._end - self._begin), 1)

    @staticmethod
    def ticks(values: list[float]) -> list[float]:
        """The values themselves, eight of them at most."""
        different = sorted(set(values))
        return different[::-(-len(different) // 8)]


class Table(list):
    """A list of dictionaries with equal keys.

    >>> import roundtrip
    >>> roundtrip.Table([{"n": 4, "rounds": 2}, {"n": 8, "rounds": 3}]).column("rounds")
    [2, 3]
    """

    def column(self, name: str) -> list[Any]:
        """One value of every row.

        >>> import roundtrip
        >>> roundtrip.Table([{"n": 4}, {"n": 8}]).column("n")
        [4, 8]
        """
        return [row[name] for row in self]

    def csv(self) -> str:
        """Comma-separated values with a header.

        >>> import roundtrip
        >>> print(roundtrip.Table([{"n": 4, "rounds": 2}]).csv())
        n,rounds
        4,2
        <BLANKLINE>
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, self[0].keys() if self else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self)
        return text.getvalue()

    def plot(self, x: str, y: str, by: str = "") -> Plot:
        """Column y over column x, a line for every value of column `by`; axes are logarithmic where numbers differ much.

        >>> import roundtrip
        >>> table = roundtrip.sweep("sum", n=[256, 4096, 65536], epsilon=["1/2", "1/3"])
        >>> picture = table.plot("n", "width", by="epsilon")
        >>> picture.count("<polyline"), picture.count("<circle")
        (2, 6)
        """
        for name in filter(None, (x, y, by)):
            if not self or any(name not in row for row in self):
                allowed = ", ".join(self[0]) if self else "none in an empty table"
                raise ContractError(f"plot: no column {name!r}, allowed are {allowed}")
        for name in (x, y):
            for value in self.column(name):
                if isinstance(value, bool) or not isinstance(value, (int, float, numpy.number)) or not math.isfinite(value):
                    raise ContractError(f"plot: {name} has {value!r}, allowed are numbers")
        width, height, left, right, top, bottom = 640, 400, 80, 140, 20, 50
        across = _Axis(self.column(x), left, width - right)
        up = _Axis(self.column(y), height - bottom, top)
        lines: dict[Any, list[tuple[float, float]]] = {}
        for row in self:
            lines.setdefault(row[by] if by else y, []).append((row[x], row[y]))
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                 'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>']

        def text(at: float, level: float, words: Any, anchor: str = "middle") -> None:
            parts.append(f'<text x="{at}" y="{level}" text-anchor="{anchor}">{html.escape(str(words))}</text>')

        for value in across.ticks(self.column(x)):
            parts.append(f'<path d="M{across.place(value)} {top}V{height - bottom}" stroke="#ddd"/>')
            text(across.place(value), height - bottom + 16, value)
        for value in up.ticks(self.column(y)):
            parts.append(f'<path d="M{left} {up.place(value)}H{width - right}" stroke="#ddd"/>')
            text(left - 6, up.place(value) + 4, value, "end")
        text((left + width - right) / 2, height - 10, x)
        text(left, top - 6, y, "end")
        colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
        for number, (name, points) in enumerate(lines.items()):
            colour = colours[number % len(colours)]
            places = [(across.place(a), up.place(b)) for a, b in sorted(points)]
            parts.append(f'<polyline points="{" ".join(f"{a},{b}" for a, b in places)}" fill="none" stroke="{colour}"/>')
            parts.extend(f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>' for a, b in places)
            parts.append(f'<path d="M{width - right + 12} {top + 6 + 18 * number}h16" stroke="{colour}" stroke-width="2"/>')
            text(width - right + 34, top + 10 + 18 * number, f"{by} {name}" if by else name, "start")
        return Plot("".join(parts) + "</svg>")

    def _rows(self) -> Iterator[str]:
        for row in self:
            yield "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(str(key))}</th>" for key in (self[0] if self else {}))
        return f"<table><tr>{head}</tr>{''.join(self._rows())}</table>"
