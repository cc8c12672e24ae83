"""The families of errors. All are RoundtripError; each says in one line what is wrong, its value and what is allowed."""
from __future__ import annotations

from typing import Any

__all__ = ["RoundtripError", "ContractError", "ModelViolation", "StepFailed", "Refuted", "InternalError"]


class RoundtripError(Exception):
    """Whatever roundtrip raises of its own.

    >>> import roundtrip
    >>> try:
    ...     roundtrip.run("som", [1, 2, 3])
    ... except roundtrip.RoundtripError as error:
    ...     print(error)
    unknown protocol 'som', the nearest known one is 'sum'
    """


class ContractError(RoundtripError, ValueError):
    """What the caller gave is not acceptable; `field` is the parameter's name, or empty.

    >>> import roundtrip
    >>> try:
    ...     roundtrip.run("sum", [1, 2, 3], colour="red")
    ... except roundtrip.ContractError as error:
    ...     print(error.field)
    colour
    """

    field: str = ""


class ModelViolation(RoundtripError):
    """A protocol broke its model: `kind` ("words sent", "words received", ..), `round`, `machine`, `used`, `allowed`.

    >>> import roundtrip
    >>> try:
    ...     roundtrip.run("sum", list(range(1000)), limit_words=5)
    ... except roundtrip.ModelViolation as error:
    ...     print(error, "|", error.kind, error.round, error.machine, error.used, error.allowed)
    machine 1 in round 1 received 32 words, allowed 5 | words received 1 1 32 5
    """

    kind: str = ""
    round: int = 0
    machine: int = 0
    used: int = 0
    allowed: int = 0


class StepFailed(RoundtripError):
    """A step raised: `round`, `machine`, `detail` with the line of the program; the error itself is the cause.

    >>> import roundtrip
    >>> @roundtrip.protocol(rounds=2, outputs=1)
    ... def broken(machine, round, inbox):
    ...     return [(0, 1 // 0)]
    >>> try:
    ...     roundtrip.run(broken, [1, 2, 3])
    ... except roundtrip.StepFailed as error:
    ...     print(error.machine, error.round, repr(error.__cause__))
    0 1 ZeroDivisionError('integer division or modulo by zero')
    """

    round: int = 0
    machine: int = 0
    detail: str = ""


class Refuted(RoundtripError):
    """Outputs differ from what they should be; `result` is what was found.

    >>> import roundtrip
    >>> @roundtrip.protocol(rounds=1, outputs=1, oracle=lambda values, options: [8])
    ... def seven(machine, round, inbox):
    ...     return [(0, 7)] if machine == 0 else None
    >>> try:
    ...     roundtrip.run(seven, [1, 2, 3], check=True)
    ... except roundtrip.Refuted as error:
    ...     print(error)
    output 0 is 7, expected 8
    """

    result: Any = None


class InternalError(RoundtripError):
    """A bug of roundtrip.

    >>> import roundtrip
    >>> issubclass(roundtrip.InternalError, roundtrip.RoundtripError)
    True
    """
