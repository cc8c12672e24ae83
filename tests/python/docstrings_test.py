"""Every public function, class and method of the module has a docstring with an example, and every example holds."""
import doctest
import inspect
import sys

import roundtrip
import roundtrip.errors
import roundtrip.protocols
import roundtrip.results
import roundtrip.torch

MODULES = [roundtrip, roundtrip.errors, roundtrip.protocols, roundtrip.results, roundtrip.torch]


def undocumented():
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or thing is roundtrip.Inbox:
                continue
            if ">>>" not in (thing.__doc__ or ""):
                yield f"{module.__name__}.{name}"
            if inspect.isclass(thing):
                for method, function in vars(thing).items():
                    if method.startswith("_") or not (inspect.isfunction(function) or isinstance(function, property)):
                        continue
                    if ">>>" not in (function.__doc__ or ""):
                        yield f"{module.__name__}.{name}.{method}"


class NoExample:
    def without_any(self):
        """It does something."""


def main():
    missing = list(undocumented())
    for name in missing:
        print(f"{name} has no example in its docstring")
    failed = 0
    for module in MODULES:
        result = doctest.testmod(module)
        failed += result.failed
        print(f"{module.__name__}: {result.attempted} examples, {result.failed} failed")
        assert result.attempted > 0 or module.__name__ == "roundtrip.torch"
    roundtrip.NoExample, roundtrip.__all__ = NoExample, [*roundtrip.__all__, "NoExample"]  # the check fires
    assert list(undocumented())[-2:] != missing[-2:] and any("NoExample.without_any" in name for name in undocumented())
    sys.exit(1 if failed or missing else 0)


if __name__ == "__main__":
    main()
