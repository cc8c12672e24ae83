"""The export script for PyTorch, as the page runs it: the model is its source, within what the file allows, and what is not
converted is seen. export_test.py --roundtrip PATH Exported. Needs numpy, and takes PyTorch's own modules if they are there."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import unittest.mock

import cli_test

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/export_from_torch.py"
NUMBERS = "5 -200 199 0 17 63 -64 100"


def script():
    spec = importlib.util.spec_from_file_location("export_from_torch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Exported(cli_test.Case):
    def export(self, kind):
        path = self.path / f"{kind}.json"
        subprocess.run([sys.executable, SCRIPT, path, kind], check=True, timeout=120)
        return path

    def facts(self, path, status=0, fault="", command="decompile", numbers=NUMBERS):
        facts = self.path / "facts"
        with unittest.mock.patch.dict(os.environ, {"ROUNDTRIP_FAULT": fault} if fault else {}):
            text = self.succeed(command, path, "--input", self.file(numbers), "--json", facts, status=status)
        return text, json.loads(facts.read_text())

    def changed(self, path, change):
        model = json.loads(path.read_text())
        change(model)
        path.write_text(json.dumps(model))

    def test_is_its_source(self):
        for kind, numbers, inputs in (("softmax", NUMBERS, 3), ("tokens", "3 0 11 5 5", 2)):
            text, facts = self.facts(self.export(kind), numbers=numbers)
            source = facts["source"]
            self.assertEqual((facts["verdict"], source["inputs"], source["tolerance"]), ("verified", inputs, .05))
            self.assertLess(source["largest_difference"], .02)
            self.assertIn(f"{inputs} inputs of its own: the largest difference is 0.00", text)
        self.assertIsNone(self.facts(self.export("numbers"))[1]["source"])

    def test_what_is_not_converted_is_refuted(self):
        def scores(model):  # of rows in units of 1, not of 2^-8
            for layer in model["layers"]:
                layer["mechanism"]["scale"] *= 4**8

        def sources(model):
            model["expected"]["examples"][1]["rows"][2][3] += .06

        for change in (scores, sources):
            path = self.export("softmax")
            self.changed(path, change)
            text, facts = self.facts(path, status=1)
            self.assertEqual((facts["verdict"], facts["equal"]), ("refuted", True))
            self.assertGreater(facts["source"]["largest_difference"], .05)
            self.assertIn("more than the allowed 0.05", text)
            self.assertEqual(self.facts(path, fault="source-uncompared")[1]["verdict"], "verified")  # which this test then would miss

    def test_explain_says_so_too(self):
        path = self.export("tokens")
        self.assertIn("verdict: verified", self.succeed("explain", path, "--input", self.file("3 0 11"), "--round", 0))
        self.changed(path, lambda model: model["expected"].update(tolerance=1e-6))
        text = self.succeed("explain", path, "--input", self.file("3 0 11"), "--round", 0, status=1)
        self.assertIn("more than the allowed 1e-06", text)
        self.assertIn("verdict: refuted", text)

    def test_refusals(self):
        for change, says in ((lambda m: m["expected"].pop("tolerance"), "expected has no 'tolerance'"),
                             (lambda m: m["expected"].update(examples=[]), "expected has no example"),
                             (lambda m: m["expected"]["examples"][0]["input"].append(7), "examples[0] has an input of 17 numbers"),
                             (lambda m: m["expected"]["examples"][0]["input"].__setitem__(0, 512), "input[0] is 512; allowed is -512 to 511"),
                             (lambda m: m["expected"]["examples"][2]["rows"][0].pop(), "rows[0] has 5 numbers"),
                             (lambda m: m["expected"]["examples"][2]["rows"][0].__setitem__(1, "x"), "rows[0][1] is no number"),
                             (lambda m: m.update(expectd={}), "expectd")):
            path = self.export("softmax")
            self.changed(path, change)
            self.refuse("decompile", path, "--input", self.file(NUMBERS), says=says)

    def test_maps(self):
        """A list of arrays and, where PyTorch is, its modules of any float type are one; a bias may be missing."""
        export = script()
        import numpy
        weight = numpy.array([[1.5, -2], [0, 4]], "f4")
        (w, b, relu), (_, again, _) = export.stages([(weight, None, True), (weight, numpy.array([1, 2.0]), False)])
        self.assertEqual((w.tolist(), b.tolist(), relu, again.tolist()), (weight.tolist(), [0, 0], True, [1, 2]))
        table = numpy.arange(12.).reshape(4, 3)
        x = numpy.array([[1, v, 9.] for v in range(4)] + [[0, 0, 9.]])
        for stage_weight, stage_bias, stage_relu in export.stages(export.embedding(table)(1)):
            x = x @ stage_weight.T + stage_bias
            x = numpy.maximum(x, 0) if stage_relu else x
        self.assertEqual(x.tolist(), table.tolist() + [[0, 0, 0]])
        if export.torch is not None:
            linear = export.torch.nn.Linear(2, 2, bias=False).to(export.torch.bfloat16)
            linear.weight.data = export.torch.from_numpy(weight).to(export.torch.bfloat16)
            (w, b, relu), = export.stages(export.torch.nn.Sequential(linear, export.torch.nn.ReLU()))
            self.assertEqual((w.tolist(), b.tolist(), relu), (weight.tolist(), [0, 0], True))


if __name__ == "__main__":
    cli_test.main()
