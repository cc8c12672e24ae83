"""The table of docs/weights.md is what the compiler makes. Run by ctest: weights_test.py ROUNDTRIP SOURCE [--update]"""

import json
import pathlib
import subprocess
import sys
import unittest

ROUNDTRIP = SOURCE = None  # set below
MARK = "<!-- table -->\n"
HEAD = """| program | R | layers (different) at N = 16, 64, 256 | weights that are not 0 | units at 64 | bits of the largest sum | float32 at 16, 64, 256 |
|---|---|---|---|---|---|---|
"""


def call(*arguments):
    return subprocess.run([ROUNDTRIP, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=True).stdout


def row(name):
    plans = [json.loads(call("compile", name, "--weights", "--n", n, "--plan", "--quiet", "--json", "-")) for n in (16, 64, 256)]
    facts = [plan["weights"] for plan in plans]
    routed = name.endswith("_routed_program")
    for plan, fact in zip(plans, facts):
        assert routed or fact["layers"] == plan["rounds_bound"] + 1, name
    return "| `{}` | {} | {} | {} | {} | {} | {} |\n".format(
        name, ", ".join(str(plan["rounds_bound"]) for plan in plans),
        ", ".join(f"{fact['layers']} ({fact['distinct_layers']})" for fact in facts),
        ", ".join(str(fact["nonzeros"]) for fact in facts), facts[1]["units"],
        ", ".join(str(fact["sum_bits"]) for fact in facts), ", ".join("yes" if fact["float32"] else "no" for fact in facts))


def page():
    text = (SOURCE / "docs/weights.md").read_text()
    before, after = text.split(MARK)
    names = [protocol["name"] for protocol in json.loads(call("list", "--json", "-"))["protocols"]]
    rows = "".join(row(name) for name in names if name.endswith("_program"))
    return before + MARK + "\n" + HEAD + rows + "\n" + after[after.index("## As an ONNX graph"):]


class Weights(unittest.TestCase):
    def test_the_table_is_what_is_compiled(self):
        self.assertEqual((SOURCE / "docs/weights.md").read_text(), page(), "run with --update")


if __name__ == "__main__":
    ROUNDTRIP, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
    if "--update" in sys.argv:
        (SOURCE / "docs/weights.md").write_text(page())
    else:
        unittest.main(argv=sys.argv[:1])
