"""Protocols written in Python: classes, functions and MapReduce jobs. A step is a pure function: the same protocol is run on
machines, compiled to a transformer, verified and drawn."""
from __future__ import annotations

import inspect
import re
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from . import _core

__all__ = ["Protocol", "protocol", "MapReduce"]

Messages = Union[None, Mapping[int, Any], Iterable[tuple[int, Any]]]
Size = Union[int, Callable[["Protocol"], int]]


class Protocol:
    """A protocol as a class: derive from it, say `rounds` and `outputs`, and define step().

    Numbers are integers of -2^46 .. 2^47 - 1, those of the input below 2^46. Machine i begins with numbers i b .. i b + b - 1 of the input. In rounds
    1 .. rounds - 1 step() returns messages (machine, number or numbers), in the last round outputs (index, number or
    numbers; None for one that is absent), each index once over all machines. A machine keeps only what it sends to itself.

    `rounds`, `outputs` and `machines` (at least so many) are numbers or functions of the protocol, which has `n`,
    `block` (b), `memory` (s), `seed` and `options`. With fits() it asks for more memory.

    Answers are judged by oracle(values, options), the outputs, or where more than one answer is right by
    check(values, outputs, options): what is wrong, or None. A protocol that draws by `seed` states the
    `failure_probability` that verify() holds it to, over seeds.

    >>> import roundtrip
    >>> class Largest(roundtrip.Protocol):
    ...     '''the largest number'''
    ...     rounds, outputs, kappa_s = 2, 1, 1
    ...     def fits(self):
    ...         return self.memory * self.block >= self.n      # one number from every machine reaches machine 0
    ...     def step(self, machine, round, inbox):
    ...         if len(inbox):
    ...             yield 0, inbox.words.max()                 # round 1: to machine 0; round 2: output 0
    ...     def oracle(values, options):
    ...         return [max(values)]
    >>> roundtrip.run(Largest, [3, 1, 4, 1, 5], check=True).outputs
    array([5])
    >>> roundtrip.compile(Largest, [3, 1, 4, 1, 5]).equal
    True
    """

    rounds: Size = 1
    outputs: Size = 1
    machines: Size = 1
    kappa_s: int = 8
    name: str = ""
    options: Any = {}
    oracle: Optional[Callable[..., Sequence[Optional[int]]]] = None
    check: Optional[Callable[..., Optional[str]]] = None
    failure_probability: float = 0
    generate: Optional[Callable[..., Sequence[int]]] = None
    n: int
    seed: int
    block: int
    memory: int

    def step(self, machine: int, round: int, inbox: _core.Inbox) -> Messages:
        """One machine's computation in one round.

        >>> import roundtrip
        >>> class Copy(roundtrip.Protocol):
        ...     outputs = lambda protocol: protocol.n
        ...     def step(self, machine, round, inbox):
        ...         return {machine * self.block: inbox.words} if len(inbox) else None
        >>> roundtrip.run(Copy, [7, 8]).outputs
        array([7, 8])
        """
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    def fits(self) -> bool:
        """Whether `memory` words are enough; if not, kappa_s is raised until they are.

        >>> import roundtrip
        >>> class Gather(roundtrip.Protocol):
        ...     rounds, kappa_s = 2, 1
        ...     def fits(self):
        ...         return self.memory >= self.n
        ...     def step(self, machine, round, inbox):
        ...         return {0: inbox.words if round == 1 else inbox.words.sum()} if len(inbox) else None
        >>> gathered = roundtrip.run(Gather, range(100))
        >>> gathered.outputs, gathered.memory_words, gathered.kappa_raised
        (array([4950]), 100, True)
        """
        return True

    # What roundtrip calls: sizes are asked for once for every memory that is tried, and fixed at last.
    def _plan(self, block: int, memory: int) -> Optional[dict[str, int]]:
        self.block, self.memory = block, memory
        if not self.fits():
            return None
        return {what: self._size(what) for what in ("rounds", "outputs", "machines")}

    def _size(self, what: str) -> int:
        size = inspect.getattr_static(type(self), what)
        return int(size(self)) if callable(size) else int(size)

    def _shaped(self, machines: int, block: int, memory: int, rounds: int, outputs: int) -> None:
        self.machines, self.block, self.memory, self.rounds, self.outputs = machines, block, memory, rounds, outputs


def protocol(*, rounds: Size, outputs: Size, machines: Size = 1, kappa_s: int = 8,
             fits: Optional[Callable[[Protocol], bool]] = None,
             oracle: Optional[Callable[..., Sequence[Optional[int]]]] = None,
             check: Optional[Callable[..., Optional[str]]] = None, failure_probability: float = 0,
             generate: Optional[Callable[..., Sequence[int]]] = None,
             options: Optional[Mapping[str, Any]] = None) -> Callable[[Callable[..., Messages]], type[Protocol]]:
    """A protocol as a function step(machine, round, inbox), or step(machine, round, inbox, shape) if it wants sizes.

    >>> import roundtrip
    >>> @roundtrip.protocol(rounds=2, outputs=1, kappa_s=1)
    ... def total(machine, round, inbox):
    ...     '''the sum of all numbers'''
    ...     return [(0, inbox.words.sum())] if len(inbox) else None
    >>> roundtrip.run(total, range(100)).outputs
    array([4950])
    """

    def made(step: Callable[..., Messages]) -> type[Protocol]:
        with_shape = len(inspect.signature(step).parameters) > 3

        def method(self: Protocol, machine: int, round: int, inbox: _core.Inbox) -> Messages:
            return step(machine, round, inbox, self) if with_shape else step(machine, round, inbox)

        members: dict[str, Any] = {
            "rounds": rounds, "outputs": outputs, "machines": machines, "kappa_s": kappa_s, "name": step.__name__,
            "options": dict(options or {}), "oracle": oracle, "check": check,
            "failure_probability": failure_probability, "generate": generate, "__doc__": step.__doc__ or "",
            "step": method}
        if fits is not None:
            members["fits"] = fits
        return type(step.__name__, (Protocol,), members)

    return made


class MapReduce:
    """MapReduce: map(record) -> pairs (key, value), the values of a key combined, reduce(key, value) -> record or None.

    A record, key or value of one number is an int, of more a tuple. `combine(left, right)` is associative; without it
    the first value is kept. `pairs` is the most that map makes of one record. `output` says of every number of an output
    record whether it is a symbol of the input (s) or a number (n). Within s for any keys, also if all are one.

    >>> import roundtrip
    >>> index = roundtrip.MapReduce(
    ...     record_words=2, key_words=2, map=lambda record: [(record, 1)], combine=lambda a, b: a + b)
    >>> roundtrip.run(index, [7, 1, 5, 2, 7, 1, 7, 3]).records       # (word, document) pairs
    [(5, 2, 1), (7, 1, 2), (7, 3, 1)]
    """

    def __init__(self, *, map: Callable[[Any], Iterable[tuple[Any, Any]]],
                 combine: Optional[Callable[[Any, Any], Any]] = None,
                 reduce: Optional[Callable[[Any, Any], Any]] = None, pairs: int = 1, key_words: int = 1,
                 value_words: int = 1, made_words: int = 0, record_words: int = 1, output: str = "",
                 name: str = "map_reduce", kappa_s: int = 8) -> None:
        self.name, self.record_words, self.output, self.kappa_s = name, record_words, output, kappa_s
        self.jobs: list[dict[str, Any]] = []
        self.then(map=map, combine=combine, reduce=reduce, pairs=pairs, key_words=key_words, value_words=value_words,
                  made_words=made_words)

    def then(self, *, map: Callable[[Any], Iterable[tuple[Any, Any]]],
             combine: Optional[Callable[[Any, Any], Any]] = None,
             reduce: Optional[Callable[[Any, Any], Any]] = None, pairs: int = 1, key_words: int = 1,
             value_words: int = 1, made_words: int = 0, output: Optional[str] = None) -> "MapReduce":
        """One more job, on the records of the one before (`made_words` numbers each; 0: key and value).

        >>> import roundtrip
        >>> add = lambda a, b: a + b
        >>> often = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=add)
        >>> often = often.then(map=lambda record: [(record[1], 1)], combine=add)     # how many words occur how often
        >>> roundtrip.run(often, "to be or not to be".split()).records
        [(1, 2), (2, 2)]
        """
        self.jobs.append({"map": map, "combine": combine, "reduce": reduce, "pairs": pairs, "key_words": key_words,
                          "value_words": value_words, "record_words": made_words or key_words + value_words})
        if output is not None:
            self.output = output
        return self

    def _info(self) -> _core.Info:
        return _core.map_reduce(self.name, "a MapReduce in Python", self.record_words, self.jobs, self.output,
                                self.kappa_s)


AnyProtocol = Union[str, type[Protocol], MapReduce]
_registered: dict[str, Any] = {}  # what a name that verify() knows stands for now


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _made(given: type[Protocol], name: str, late: bool) -> _core.Info:
    def factory(n: int, seed: int, options: dict[str, str]) -> Protocol:
        cls = _registered[name] if late else given
        instance = cls()
        instance.n, instance.seed = n, seed
        instance.options = {**cls.options, **options}
        return instance

    def plain(member: str) -> Any:
        function = inspect.getattr_static(given, member)
        return function.__func__ if isinstance(function, staticmethod) else function

    summary = (inspect.cleandoc(given.__doc__) if given.__doc__ and given.__doc__ != Protocol.__doc__ else "").split("\n")
    return _core.python_protocol(name, summary[0], "\n".join(summary), given.kappa_s,
                                 [(option, str(value)) for option, value in given.options.items()], factory,
                                 plain("oracle"), plain("check"), float(given.failure_probability), plain("generate"))


def info_of(given: AnyProtocol) -> _core.Info:
    """The core's record of a protocol.

    >>> from roundtrip.protocols import info_of
    >>> info_of("sum").name
    'sum'
    """
    if isinstance(given, str):
        return _core.find(given)
    if isinstance(given, MapReduce):
        return given._info()
    if isinstance(given, type) and issubclass(given, Protocol):
        return _made(given, given.name or _snake(given.__name__), late=False)
    raise TypeError(f"{given!r} is no protocol: a name, a class derived from roundtrip.Protocol or a MapReduce")


def register(given: AnyProtocol) -> str:
    """Makes a protocol known by its name, to verify(); the last one of a name counts.

    >>> import roundtrip
    >>> @roundtrip.protocol(rounds=1, outputs=1)
    ... def nothing(machine, round, inbox):
    ...     return [(0, 0)] if machine == 0 else None
    >>> roundtrip.register(nothing)
    'nothing'
    >>> roundtrip.run("nothing", [1, 2]).outputs
    array([0])
    """
    if isinstance(given, str):
        return given
    name = given.name or _snake(getattr(given, "__name__", ""))
    known = name in _registered
    if not known:
        if isinstance(given, MapReduce):
            _core.register(given._info())
        else:
            _core.register(_made(given, name, late=True))
    elif isinstance(given, MapReduce) and _registered[name] is not given:
        raise ValueError(f"the name {name} is taken: give the MapReduce another by name=")
    _registered[name] = given
    return name
