"""docs/algorithms.md is what the program says and measures of the algorithms of the literature. Run by ctest:
    algorithms_test.py ROUNDTRIP SOURCE [--update]"""

import json
import pathlib
import re
import subprocess
import sys
import unittest

ROUNDTRIP = SOURCE = None  # set below
HEAD = """# Algorithms of the literature

One row a protocol whose card names a source: R by formula, R at three sizes, each as the formula has it and as a run took it; then layers and width H m of the
transformer by the direct construction at N = 2^8, and the source with what is ours. `roundtrip list NAME` explains the symbols.
N is the next multiple of three below for edges with weights. eps = 1/2, every other parameter as it is without flags.
`tests/docs/algorithms_test.py` writes this page (`--update`) and compares it.

| protocol | R | at 2^8, 2^12, 2^16 | layers | width | source; what is ours |
|---|---|---|---|---|---|
"""


def call(*arguments):
    return subprocess.run([ROUNDTRIP, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=True).stdout


def facts(command, protocol, n):
    """At N, or the next smaller size that the protocol serves: N may be words of whole records."""
    for size in (n, n - 1, n - 2):
        done = subprocess.run([ROUNDTRIP, command, protocol, "--n", str(size), "--quiet", "--json", "-"], capture_output=True,
                              text=True, timeout=300)
        if done.returncode != 2:
            return json.loads(done.stdout)
    raise AssertionError(done.stderr)


def row(protocol):
    card = call("list", protocol)
    source = re.search(r"^Source: (.*?)\n\n", card, re.M | re.S)
    if source is None:
        return ""
    formula = re.search(r"^rounds   R = (.*)$", card, re.M)[1]
    measured = []
    for bits in (8, 12, 16) if "k_hop_walk" != protocol else (8, 12):  # which takes up to 2^14 words
        run = facts("run", protocol, 2**bits)
        assert run["rounds"] == run["rounds_bound"], f"{protocol} at 2^{bits}: {run['rounds']}, {run['rounds_bound']} by formula"
        measured.append(str(run["rounds"]))
    compiled = facts("compile", protocol, 256)
    text = source[1].replace("\n", " ").rstrip(".")
    return f"| `{protocol}` | {formula} | {', '.join(measured)} | {compiled['depth']} | {compiled['width']} | {text} |\n"


def page():
    names = [protocol["name"] for protocol in json.loads(call("list", "--json", "-"))["protocols"]]
    return HEAD + "".join(row(name) for name in names if not name.endswith("_program"))  # those are in docs/weights.md


class Algorithms(unittest.TestCase):
    def test_the_page_is_what_is_measured(self):
        self.assertEqual((SOURCE / "docs/algorithms.md").read_text(), page(), "run with --update")

    def test_a_changed_number_is_noticed(self):
        self.assertNotEqual(row("sort"), row("sort").replace("17", "18"))


if __name__ == "__main__":
    ROUNDTRIP, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
    if "--update" in sys.argv[3:]:
        (SOURCE / "docs/algorithms.md").write_text(page())
    else:
        unittest.main(argv=sys.argv[:1])
