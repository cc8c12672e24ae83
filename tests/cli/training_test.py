"""Drives `roundtrip train` and `roundtrip experiment` as a user does; see cli_test.py."""

import json
import pathlib

import cli_test

TRAINED = pathlib.Path(__file__).resolve().parents[2] / "examples/trained"


class Training(cli_test.Case):
    def train(self, name, *arguments, **options):
        path = self.path / f"{name}.json"
        facts = json.loads(self.succeed("train", "match2", "--steps", 4, "--out", path, "--json", "-", *arguments, **options))
        return facts, json.loads(path.read_text())["layers"], path.with_suffix(".safetensors").read_bytes()

    def test_a_seed_is_a_model(self):
        first, again, other = self.train("a"), self.train("b"), self.train("c", "--seed", 2)
        self.assertEqual(first[1:], again[1:])
        self.assertNotEqual(first[2], other[2])
        self.assertEqual(first[0]["tables"], [32])
        self.assertEqual(first[0]["trained_error"], again[0]["trained_error"])
        softmax = self.train("d", "--surrogate", "softmax", "--tables", 3, "--functions", 2)
        self.assertEqual((softmax[0]["surrogate"], softmax[0]["tables"], softmax[0]["functions"]), ("softmax", [3], 2))
        self.assertNotEqual(first[2], softmax[2])
        text = self.succeed("decompile", self.path / "d.json", "--n", 32)
        self.assertIn("equal to the evaluation, bit for bit", text)
        self.assertIn("at most ell = 3 tables", text)

    def test_weights_with_another_attention(self):
        model = TRAINED / "match2.json"
        for attention, option in (("ema", ()), ("softmax", ("--param", "temperature=100000")), ("state_space", ())):
            text = self.succeed("decompile", model, "--n", 32, "--attention", attention, *option)
            self.assertIn("equal to the evaluation, bit for bit", text)
        self.refuse("decompile", model, "--n", 32, "--param", "temperature=3", says="temperature")

    def test_experiment(self):
        arguments = ("experiment", "match2", "--model", TRAINED / "match2.json", "--draws", 2, "--sequences", 3)
        facts = json.loads(self.succeed(*arguments, "--json", "-", "--quiet"))
        [weights] = facts["weights"]
        self.assertLess(weights["own_error"], 0.01)
        self.assertGreater(weights["ema_error"], 0.2)
        self.assertEqual(len(weights["grid"]), 36)
        self.assertEqual({cell["answers"] for cell in weights["grid"]}, {2 * 3 * 32})
        rows = self.succeed(*arguments, "--csv", "-").splitlines()
        self.assertEqual(rows[0], "weights,functions,tables,error,least_error,largest_error,answers")
        self.assertEqual(len(rows), 37)
        for row, cell in zip(rows[1:], weights["grid"]):
            self.assertAlmostEqual(float(row.split(",")[3]), cell["error"], places=12)

    def test_mechanisms(self):
        rows = self.path / "rows.csv"
        arguments = ("experiment", "mechanisms", "--rows", "softmax,window,lstm:4", "--seeds", 2, "--steps", 3, "--csv", rows)
        page = self.path / "page.html"
        text = self.succeed(*arguments, "--html", page)
        for part in ("match2: ", "error of each seed", "  window           4     31  tokens to each side", "guessing errs at 0.4"):
            self.assertIn(part, text)
        self.assertEqual(page.read_text().count("<svg"), 2)
        kept = rows.read_text()
        self.assertEqual(len(kept.splitlines()), 1 + 2 * 4)
        # What the file has is not trained again; more rows go on with it.
        facts = json.loads(self.succeed(*arguments, "--json", "-"))
        self.assertEqual(rows.read_text(), kept)
        self.assertEqual([row["mechanism"] for row in facts["rows"]][::2], ["softmax", "window", "window", "lstm"])
        for row in facts["rows"]:
            self.assertGreater(row["error"], 0.2)
            self.assertEqual((row["steps"], row["answers"]), (3, 8 * 16 * 32))
        self.succeed(*arguments[:3], "rnn:8", *arguments[4:], "--quiet")
        self.assertEqual(sorted(rows.read_text().splitlines()[3:]), sorted(kept.splitlines()[1:]))
        other = self.succeed("experiment", "mechanisms", "--task", "k_hop", "--k", 2, "--symbols", 4, "--rows", "state_space:4",
                             "--seeds", 1, "--steps", 1)
        self.assertIn("the symbol 2 hops back: N = 64, 4 symbols, causal", other)
        self.refuse("experiment", "mechanisms", "--rows", "gru", says=["--rows gru", "lstm:64"])
        self.refuse("experiment", "mechanisms", "--rows", "softmax,,", says="--rows 'softmax,,'")
        self.refuse("experiment", "mechanisms", "--task", "sum", says="sum")
        self.refuse("experiment", "mechanisms", "--k", 5, says="--k 5: expected an integer in 1..4")
        self.refuse("experiment", "mechanisms", "--model", TRAINED / "match2.json", says="trains its own networks")
        self.refuse("experiment", "mechanisms", "--csv", self.file("a,b\n"), says="holds another table")

    def test_refusals(self):
        out = self.path / "m.json"
        self.refuse("train", "match2", says="--out")
        self.refuse("train", "match3", "--out", out, says=["'match3'", "match2, induction"])
        self.refuse("train", "match2", "--out", self.path / "m.txt", says=["m.txt", ".json"])
        self.refuse("train", "match2", "--out", self.path / "no/m.json", says="no/m.json")
        self.refuse("train", "match2", "--out", out, "--steps", 0, says="--steps 0: expected an integer in 1..1000000")
        self.refuse("train", "match2", "--out", out, "--functions", 65, says="1..64")
        self.refuse("train", "match2", "--out", out, "--surrogate", "exact", says="surrogate")
        self.assertFalse(out.exists())
        self.refuse("experiment", "match2", "--model", out, says="m.json")
        self.refuse("experiment", "induction", "--model", TRAINED / "match2.json",
                    says="takes 32 tokens of 2 numbers and writes 2; induction has 100 tokens of 2 and 5 classes")
        self.refuse("experiment", "match2", "--draws", 1001, says="1..1000")
        self.succeed("compile", "sum", "--n", 16, "--export", out, "--quiet")
        self.refuse("experiment", "match2", "--model", out, says="maps are a protocol's")


if __name__ == "__main__":
    cli_test.main()
