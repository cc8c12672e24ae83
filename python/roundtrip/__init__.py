"""Massively Parallel Computation protocols and ANNA-transformers, each compiled to the other.

>>> import roundtrip
>>> roundtrip.run("sum", [1, 2, 3]).outputs
array([6])

Under mpirun every rank calls the same functions with the same arguments, and gets the same results.
"""
from __future__ import annotations

import atexit
import itertools
import sys
from typing import Any, Callable, Iterable, Optional, Sequence, Union

import numpy

from . import _core
from ._core import Inbox, __version__
from .errors import ContractError, InternalError, ModelViolation, Refuted, RoundtripError, StepFailed
from .protocols import AnyProtocol, MapReduce, Protocol, info_of, protocol, register
from .results import Attended, Compiled, Decompiled, Page, Plan, Plot, Report, Result, Run, Table

__all__ = [
    "run", "compile", "decompile", "verify", "attend", "plan", "explain", "list", "sweep", "rank", "ranks", "Protocol",
    "protocol", "MapReduce", "register", "Inbox", "Result", "Run", "Compiled", "Decompiled", "Attended", "Plan", "Report",
    "Page", "Plot", "Table", "RoundtripError", "ContractError", "ModelViolation", "StepFailed", "Refuted", "InternalError",
    "__version__",
]

Values = Union[None, str, Sequence[int], Sequence[str], Iterable[int], numpy.ndarray]

_list = __builtins__["list"] if isinstance(__builtins__, dict) else __builtins__.list


def _numbers(info: _core.Info, values: Values, n: Optional[int],
             parameters: dict[str, Any]) -> tuple[numpy.ndarray, list[str]]:
    """The input as numbers, and the texts that they stand for (words are numbered by first occurrence)."""
    if values is None:
        if n is None:
            raise ContractError("values: none given, and no n of numbers to generate")
        return _core.generate(info, n, parameters), []
    if isinstance(values, str):
        values = values.split()
    given = values if isinstance(values, numpy.ndarray) else _list(values)
    texts: list[str] = []
    if len(given) > 0 and isinstance(given[0], str):
        numbers: dict[str, int] = {}
        given = [numbers.setdefault(str(word), len(numbers)) for word in given]
        texts = _list(numbers)
    array = numpy.asarray(given)
    if array.size == 0:
        raise ContractError("values: there are none, allowed is at least 1")
    if array.dtype.kind not in "iub":
        raise ContractError(f"values: they are of type {array.dtype}, allowed are integers and words")
    array = numpy.ascontiguousarray(array.ravel()[:n], dtype=numpy.int64)
    if n is not None and array.size < n:
        raise ContractError(f"values: there are {array.size}, n = {n} are wanted")
    return array, texts


def _outputs(info: _core.Info, found: tuple[numpy.ndarray, numpy.ndarray], texts: list[str]) -> numpy.ndarray:
    """Outputs as the user sees them: integers if all are there and none is a symbol, else objects."""
    values, present = found
    form = info.output
    if info.drops_absent_tail and present.size:
        there = numpy.flatnonzero(present)
        kept = int(there[-1]) + 1 if there.size else 0
        values, present = values[:kept], present[:kept]
    if present.all() and not (texts and "s" in form):
        return values
    outputs = values.astype(object)
    outputs[~present] = None
    if texts:
        for at, kind in enumerate(form):
            if kind == "s":
                for t in range(at, len(outputs), len(form)):
                    number = outputs[t]
                    if number is not None and 0 <= number < len(texts):
                        outputs[t] = texts[number]
    return outputs


def run(protocol: AnyProtocol, values: Values = None, *, n: Optional[int] = None, check: bool = False,
        limit_words: int = 0, **parameters: Any) -> Run:
    """Runs a protocol on its machines and counts every word.

    `protocol` is a name of list(), a class derived from Protocol or a MapReduce. `values` are integers, words or a text
    (split at white space); without them `n` are generated. `check` compares with the oracle, or asks its check. `limit_words` replaces s.
    Parameters: epsilon, gamma, delta, eta ("1/2"), kappa_s, memory, machines, seed, and the protocol's own.

    >>> import roundtrip
    >>> run = roundtrip.run("k_hop", "the cat sat on the mat and the dog sat on the rug", k=1, check=True)
    >>> run.outputs[-2], run.rounds <= run.rounds_bound, run.max_words_received <= run.memory_words
    ('dog', True, True)
    """
    info = info_of(protocol)
    array, texts = _numbers(info, values, n, parameters)
    facts = _core.run(info, array, parameters, limit_words, check)
    wrong = facts.pop("difference", "")
    facts["outputs"] = _outputs(info, facts["outputs"], texts)
    facts["record_words"] = len(info.output)
    result = Run(facts)
    if wrong:
        error = Refuted(wrong)
        error.result = result
        raise error
    return result


def compile(protocol: AnyProtocol, values: Values = None, *, n: Optional[int] = None, construction: str = "direct",
            attention: str = "ema", **parameters: Any) -> Compiled:
    """Compiles a protocol to a transformer, evaluates it and compares it with the run, word for word.

    `construction` is "direct", "scattered" or "routed", `attention` "ema" (exact match), "anna" (by hash tables) or
    "softmax" (standard attention, so cold that equal ids win). Raises Refuted if
    an output differs.

    >>> import roundtrip
    >>> routed = roundtrip.compile("sum", range(64), construction="routed")
    >>> routed.equal, routed.layers, routed.layers == routed.layers_bound
    (True, 6, True)
    """
    info = info_of(protocol)
    array, texts = _numbers(info, values, n, parameters)
    facts = _core.compile(info, array, parameters, construction, attention)
    facts["outputs"] = _outputs(info, facts["outputs"], texts)
    result = Compiled(facts)
    if not result.equal and not result.overflow:
        at = result.first_difference
        error = Refuted(f"output {at} of the transformer is not the run's")
        error.result = result
        raise error
    return result


def decompile(model: str, values: Values = None, *, n: Optional[int] = None, attention: str = "",
              **parameters: Any) -> Decompiled:
    """Makes a protocol of a transformer and runs it; its rows are those of the evaluation, bit for bit, or Refuted is
    raised. `model` is a file, a random model ("random:L=2,H=4,c=8") or a protocol to compile first.

    >>> import roundtrip
    >>> again = roundtrip.decompile("sum", range(16))
    >>> again.layers, again.equal
    (3, True)
    """
    if values is None:
        if n is None:
            raise ContractError("values: none given, and no n of numbers to generate")
        values = numpy.arange(n)
    elif isinstance(values, str):
        raise ContractError("values: a text, allowed are integers")
    array = numpy.asarray(values if isinstance(values, numpy.ndarray) else _list(values))
    if array.dtype.kind not in "iub" or array.size == 0:
        raise ContractError(f"values: {array.size} of type {array.dtype}, allowed are integers, at least 1")
    result = Decompiled(_core.decompile(str(model), array.ravel()[:n].astype(numpy.int64), parameters, attention))
    if not result.equal:
        error = Refuted("the protocol's rows are not the transformer's")
        error.result = result
        raise error
    return result


def verify(*what: Union[str, AnyProtocol], full: bool = False, seed: int = 1, controls: bool = True) -> Report:
    """Verifies statements of the theory or protocols (also of your own); without names, all statements.

    >>> import roundtrip
    >>> roundtrip.verify("sum", controls=False).verdict
    'verified'
    """
    names = [register(given) for given in what]
    facts, text = _core.verify(names, full, seed, controls)
    return Report(text, facts)


def attend(queries: Any, keys: Any, values: Any, *, c: float = 8.0, family: str = "hadamard",
           radius: Optional[float] = None, eta: float = 0.01, tables: Optional[int] = None,
           functions: Optional[int] = None, seed: int = 1, compare: str = "") -> Attended:
    """Approximate nearest neighbour attention over matrices [N, d], [N, d] and [N, m]; `compare` with "exact", "ema" or
    "brute".

    >>> import numpy, roundtrip
    >>> rng = numpy.random.default_rng(1)
    >>> q, v = rng.normal(size=(64, 16)), rng.normal(size=(64, 4))
    >>> done = roundtrip.attend(q, q, v, c=8, compare="brute")
    >>> done.rows.shape, done.equal
    ((64, 4), True)
    """
    return Attended(_core.attend(numpy.asarray(queries), numpy.asarray(keys), numpy.asarray(values), c, family, radius,
                                 eta, tables, functions, seed, compare))


def plan(protocol: AnyProtocol, *, n: int, construction: str = "direct", **parameters: Any) -> Plan:
    """Sizes of the run and of the transformer, before any input is seen.

    >>> import roundtrip
    >>> roundtrip.plan("sum", n=1 << 20).rounds_bound
    2
    """
    return Plan(_core.plan(info_of(protocol), n, parameters, construction))


def explain(protocol: AnyProtocol, values: Values = None, *, n: Optional[int] = None, construction: str = "direct",
            attention: str = "ema", **parameters: Any) -> Page:
    """Rounds beside layers as a page, for 2 to 64 values.

    >>> import roundtrip
    >>> page = roundtrip.explain("sort", [3, 1, 2])
    >>> "<html" in page
    True
    """
    info = info_of(protocol)
    array, texts = _numbers(info, values, n, parameters)
    return Page(_core.explain(info, array, parameters, construction, attention, texts))


def list() -> Table:
    """The protocols that are there by name.

    >>> import roundtrip
    >>> "k_hop" in roundtrip.list().column("name")
    True
    """
    return Table(_core.list())


def sweep(protocol: AnyProtocol, *, what: str = "plan", **parameters: Any) -> Table:
    """One row for every combination of the parameters that are given as lists: by `what` "plan", "run" or "compile".

    >>> import roundtrip
    >>> table = roundtrip.sweep("sum", n=[256, 4096], epsilon=["1/2", "1/3"])
    >>> [(row["n"], row["epsilon"], row["rounds_bound"]) for row in table]
    [(256, '1/2', 2), (256, '1/3', 3), (4096, '1/2', 2), (4096, '1/3', 3)]
    """
    does: dict[str, Callable[..., Result]] = {"plan": plan, "run": run, "compile": compile}
    if what not in does:
        raise ContractError(f"what: is {what!r}, allowed are plan, run and compile")
    names = [name for name, value in parameters.items() if isinstance(value, (_list, tuple, range, numpy.ndarray))]
    rows = Table()
    for chosen in itertools.product(*(parameters[name] for name in names)):
        given = {**parameters, **dict(zip(names, chosen))}
        facts = does[what](protocol, **given).to_dict()
        kept = {key: value for key, value in facts.items() if not isinstance(value, (_list, dict))}
        rows.append({**dict(zip(names, chosen)), **{key: value for key, value in kept.items() if key not in names}})
    return rows


def rank() -> int:
    """This process's number among those that mpirun started together; it starts MPI there.

    >>> import roundtrip
    >>> 0 <= roundtrip.rank() < roundtrip.ranks()
    True
    """
    return _core.rank()


def ranks() -> int:
    """How many processes mpirun started together; 1 without it.

    >>> import roundtrip
    >>> roundtrip.ranks() >= 1
    True
    """
    return _core.ranks()


def _end_all(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """An error that one rank alone may have: the others could wait for it for ever."""
    sys.__excepthook__(kind, error, trace)
    if not issubclass(kind, RoundtripError):
        sys.stderr.flush()
        _core.abort(1)


if _core.under_launcher():
    sys.excepthook = _end_all
atexit.register(_core.finish)
