"""Drives `roundtrip decompile` and the round trips of `roundtrip compile` as a user does; see cli_test.py."""

import json
import pathlib
import re
import subprocess
import sys

import cli_test

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

KEYS = """depth heads embedding_dim width tokens block_tokens token_words state_below_range softmax_machines passes
 equal""".split()


class Decompile(cli_test.Case):
    def facts(self, *arguments, **options):
        path = self.path / "facts"
        self.succeed(*arguments, "--json", path, **options)
        return json.loads(path.read_text())

    def test_random_models(self):
        for attention in ("anna", "ema", "low_rank", "performer", "polynomial", "state_space", "window", "chunked", "rnn", "lstm", "softmax"):
            facts = self.facts("decompile", "random:L=2,H=2,c=8", "--n", 48, "--attention", attention)
            self.assertLessEqual(set(cli_test.RUN_KEYS + KEYS), set(facts))
            self.assertEqual((facts["verdict"], facts["equal"], facts["depth"], facts["heads"]), ("verified", True, 2, 2))
            self.assertEqual(facts["rounds"], facts["rounds_bound"])
            self.assertLessEqual(facts["max_words_received"], facts["memory_words"])
            self.assertEqual(facts["passes"][0]["name"], "input to blocks")
        self.assertEqual((facts["passes"][2]["name"], facts["machines"]), ("layer 0: copy keys", facts["softmax_machines"]))
        ring = self.facts("decompile", "random:L=2,H=2,c=8", "--n", 48, "--attention", "softmax", "--softmax", "ring")
        self.assertEqual((ring["verdict"], ring["passes"][2]["name"]), ("verified", "layer 0: sums around"))
        self.assertEqual(ring["rounds"], 2 + 2 * 2 * -(-48 // ring["block_tokens"]))
        self.assertLess(ring["machines"], facts["machines"])
        self.assertGreater(ring["rounds"], facts["rounds"])
        text = self.succeed("decompile", "random:L=1,H=1,c=8", "--n", 48, "--passes")
        for part in ("equal to the evaluation, bit for bit", "contrast", "layer 0: scan buckets", "verdict: verified"):
            self.assertIn(part, text)

    def test_a_ring_is_for_softmax(self):
        self.refuse("decompile", "random:L=1,H=1,c=8", "--n", 48, "--softmax", "ring",
                    says="--softmax ring: no layer of random:L=1,H=1,c=8 has softmax attention")
        self.refuse("decompile", "sum", "--n", 48, "--softmax", "star", says=["--softmax", "star"])

    def test_round_trips(self):
        for arguments in (("decompile", "random:L=1,H=2,d=8", "--n", 30, "--attention", "ema"),
                          ("decompile", "random:L=1,H=1,d=8", "--n", 30, "--attention", "low_rank", "--param", "rank=3"),
                          ("decompile", "random:L=1,H=1,d=4,m=2,w=4", "--n", 30, "--attention", "state_space"),
                          ("decompile", "random:L=1,H=1,d=4,m=2,w=4", "--n", 30, "--attention", "performer"),
                          ("decompile", "random:L=1,H=1,d=4,m=2,w=4", "--n", 30, "--attention", "chunked"),
                          ("decompile", "sum", "--n", 64, "--construction", "routed"),
                          ("decompile", "sum", "--n", 64, "--attention", "softmax"),
                          ("compile", "sum", "--n", 64, "--attention", "anna")):
            facts = self.facts(*arguments, "--roundtrip")
            self.assertEqual((facts["verdict"], facts["equal"], facts["roundtrip"]["equal"]), ("verified", True, True))

    def test_low_rank_in_layers(self):
        facts = self.facts("decompile", "random:L=2,H=3,m=4", "--n", 48, "--attention", "low_rank", "--param", "rank=2", "--native")
        self.assertEqual({key: facts["layers"][key] for key in ("depth", "heads", "width", "equal")},
                         {"depth": 2, "heads": 3, "width": 3 * 2 * 5, "equal": True})
        self.assertIn("in ANNA layers    L = 2", self.succeed("decompile", "random:L=2", "--n", 48, "--attention", "low_rank", "--native"))
        self.refuse("decompile", "random:L=1,c=8", "--n", 48, "--native", says=["layer 0", "anna", "features"])

    def test_export(self):
        model = self.path / "sum.json"
        numbers = self.file("".join(f"{i * i - 500}\n" for i in range(64)))
        self.succeed("compile", "sum", "--input", numbers, "--construction", "routed", "--export", model)
        self.assertEqual(json.loads(model.read_text())["maps"]["protocol"], "sum")
        self.assertEqual(self.facts("decompile", model, "--n", 64)["verdict"], "verified")
        output = self.path / "output"
        self.succeed("decompile", "sum", "--input", numbers, "--output", output)
        self.assertEqual(output.read_text(), f"{sum(i * i - 500 for i in range(64))}\n")

    def test_what_a_part_is_for(self):
        """`explain` says which tokens end with another row without a head, or with fewer tables: those of a model whose file
        has the head's values clamped to 0, or fewer tables."""
        subprocess.run([sys.executable, EXAMPLES / "export_from_torch.py", self.path / "whole.json"], check=True, capture_output=True)
        whole = json.loads((self.path / "whole.json").read_text())
        whole["tokens"] = 12

        def rows(name, model):
            (self.path / name).write_text(json.dumps(model))
            (self.path / name).with_suffix(".safetensors").write_bytes((self.path / "whole.safetensors").read_bytes())
            output = self.path / "rows"
            self.succeed("decompile", self.path / name, "--n", 12, "--output", output)
            numbers = output.read_text().split()
            width = len(numbers) // 12
            return [numbers[token * width:(token + 1) * width] for token in range(12)]

        right = rows("model.json", whole)
        self.succeed("explain", self.path / "model.json", "--json", self.path / "trace", "--quiet")  # takes 12 words by itself
        withouts = json.loads((self.path / "trace").read_text())["withouts"]
        tables = max(layer["mechanism"]["tables"] for layer in whole["layers"] if layer["mechanism"]["kind"] == "anna")
        self.assertEqual([w["part"] for w in withouts],
                         [f"without head {h} of layer {l}" for l in range(2) for h in range(2)] +
                         [f"with {1 << i} of {tables} hash tables" for i in range(tables.bit_length()) if 1 << i < tables])
        for without in withouts:
            less = json.loads(json.dumps(whole))
            numbers = [int(number) for number in re.findall(r"\d+", without["part"])]
            for number, layer in enumerate(less["layers"]):
                if "head " not in without["part"]:
                    if layer["mechanism"]["kind"] == "anna":
                        layer["mechanism"]["tables"] = min(numbers[0], layer["mechanism"]["tables"])
                elif number == numbers[1]:
                    layer["weights"]["heads"][numbers[0]]["value"][-1]["clamp"] = 0
            others = rows("less.json", less)
            self.assertEqual(without["tokens"], [t for t in range(12) if others[t] != right[t]], without["part"])
        self.assertTrue(any(0 < len(without["tokens"]) for without in withouts))

    def test_a_model_is_no_protocol(self):
        for command in ("run", "compile", "verify", "sweep"):
            self.refuse(command, "./model.json", says=["names a model", "roundtrip decompile"])

    def test_words_beyond_the_rows_of_a_model(self):
        """Of Match2 modulo 37 the rows take words up to 36, in 6 bits: a generated input has no others, a file's are refused."""
        model = self.path / "match2.json"
        self.succeed("compile", "match2", "--n", 16, "--param", "M=37", "--native", "--export", model)
        for seed in (1, 2, 3):
            self.assertEqual(self.facts("decompile", model, "--n", 16, "--seed", seed)["verdict"], "verified")
        self.assertEqual(self.facts("decompile", model, "--input", self.file("-32 4 0"))["verdict"], "verified")
        self.refuse("decompile", model, "--input", self.file("-32 4 5"), says=["value 3 of the input is 5", "-32 to 4"])

    def test_hops_by_every_mechanism(self):
        """Each mechanism's own k-hop is written as a model, and runs as a protocol on one and on several ranks."""
        for attention, heads in (("rnn", 1), ("lstm", 1), ("state_space", 1), ("softmax", 2), ("window", 2), ("chunked", 12)):
            model = self.path / f"{attention}.json"
            hop = ("compile", "k_hop", "--n", 40, "--param", "k=2", "--attention", attention)
            facts = self.facts(*hop, "--native", "--check", "--export", model)
            self.assertEqual((facts["verdict"], facts["depth"], facts["heads"]), ("verified", 3, heads))
            plans = [self.facts("decompile", model, "--n", 40, "--seed", 3, ranks=ranks) for ranks in (0, 3)]
            self.assertEqual([(plan["verdict"], plan["equal"]) for plan in plans], [("verified", True)] * 2)
            self.assertEqual(plans[0]["rounds"], plans[1]["rounds"])
            if attention != "softmax":  # by which protocols are compiled, too
                self.refuse(*hop, says=[f"'{attention}'", "ema or anna or softmax"])
        self.refuse("compile", "match2", "--n", 9, "--native", "--attention", "rnn", says="known are ema, anna, softmax, window, chunked")
        self.refuse("compile", "k_hop", "--n", 9, "--native", "--attention", "rnn", "--param", "k=65", says="k")

    def test_formula_of_a_file(self):
        """R = 2 + 5 dc is said of a file whose layers attend by softmax, too."""
        model = self.path / "match2.json"
        self.succeed("compile", "match2", "--n", 16, "--native", "--export", model)
        description = json.loads(model.read_text())
        description["layers"][0]["mechanism"] = {"kind": "softmax", "scale": 0.001}
        model.write_text(json.dumps(description))
        self.assertRegex(self.succeed("decompile", model, "--n", 16), r"R = \d+ = 2 \+ sum over layers of 5 dc\n")

    def test_ranks(self):
        for options, all_ranks in (((), (0, 3)), (("--attention", "rnn"), (0, 1, 2, 3, 4, 7)), (("--attention", "lstm"), (0, 1, 2, 3, 4, 7))):
            facts = [self.facts("decompile", "random:L=2,H=2,c=8", "--n", 40, *options, ranks=ranks) for ranks in all_ranks]
            for one in facts:
                for key in cli_test.PLACE_KEYS:
                    one.pop(key)
            for one in facts[1:]:
                self.assertEqual(one, facts[0])
            self.assertEqual((facts[0]["verdict"], facts[0]["equal"]), ("verified", True))

    def test_forms_of_averaging_on_ranks(self):
        """Every form of an averaging mechanism is the same protocol, word for word, on any number of ranks."""
        for attention, *params in (("performer",), ("performer", "causal=1"), ("polynomial",), ("low_rank", "causal=1"),
                                   ("softmax", "causal=1"), ("window", "globals=2"), ("window", "globals=2", "causal=1"),
                                   ("window", "causal=1"), ("chunked",), ("chunked", "causal=1", "chunk=3")):
            arguments = ["decompile", "random:L=2,H=1,d=4,m=2,w=4", "--n", 30, "--attention", attention]
            for param in params:
                arguments += ["--param", param]
            facts = [self.facts(*arguments, ranks=ranks) for ranks in (1, 2, 3, 4, 7)]
            for one in facts:
                self.assertEqual((one["verdict"], one["equal"]), ("verified", True))
                for key in cli_test.PLACE_KEYS:
                    one.pop(key)
                self.assertEqual(one, facts[0])

    def test_plan(self):
        text = self.succeed("decompile", "random:L=4,H=4,c=4", "--n", 4096, "--eps", "1/4", "--delta", "1/4", "--plan")
        self.assertIn("rounds", text)
        self.assertIn("contrast", text)
        self.assertNotIn("run on", text)

    def test_refusals(self):
        random = ("decompile", "random:L=1,H=2,c=8", "--n", 64)
        line = self.refuse(*random, "--kappa-s", 1, says="the least s that works is")
        least = int(line.split("kappa_s = ")[1].rstrip(")\n"))
        self.succeed(*random, "--kappa-s", least)
        self.refuse(*random, "--kappa-s", least - 1, says="the least s that works is")
        self.refuse("decompile", "random:L=0", "--n", 64, says="L is 0")
        self.refuse("decompile", "sums", "--n", 64, says="'sum'")
        self.refuse("decompile", "./missing.json", "--n", 64, says="missing.json")
        for attention in ("low_rank", "state_space", "performer", "polynomial", "window", "chunked", "rnn", "lstm"):
            self.refuse("decompile", "sum", "--n", 64, "--attention", attention, says="random models")
        self.refuse("compile", "sum", "--n", 64, "--export", self.path / "model.txt", says=".json")
        weights = ["compile", "list_ranking", "--weights", "--n", 16]
        self.refuse("compile", "components", "--weights", "--n", 16, says=["--weights", "components has no program", "sort"])
        self.refuse(*weights, "--native", says="--weights: goes without")
        self.refuse(*weights, "--attention", "ema", says="--weights: goes without")
        self.refuse(*weights, "--dense", says="--dense: goes with --export")
        self.refuse("compile", "sum", "--n", 16, "--dense", "--export", self.path / "m.json", says="--dense")
        self.refuse("compile", "sum", "--n", 16, "--export", self.path / "m.onnx", says=".onnx")
        self.refuse(*weights, "--dense", "--export", self.path / "m.onnx", says=".onnx")
        # A graph that would be too large is refused, and leaves nothing.
        self.refuse("compile", "list_ranking_routed_program", "--weights", "--n", 256, "--quiet", "--export", self.path / "l.onnx",
                    says=["ONNX", "134217728"])
        self.assertEqual([file.name for file in self.path.glob("l.*")], [])
        facts = self.facts(*weights, "--check", "--export", self.path / "l.json")
        self.assertEqual((facts["verdict"], facts["depth"]), ("verified", facts["rounds"] + 1))
        self.succeed(*weights, "--quiet", "--export", self.path / "l.onnx")
        self.assertEqual(sorted(file.name for file in self.path.glob("l.*")),
                         ["l.json", "l.onnx", "l.safetensors", "l.tables.json"])
        self.assertFalse((self.path / "model.txt").exists())


if __name__ == "__main__":
    cli_test.main()
