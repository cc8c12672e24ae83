"""Drives `roundtrip compare` as a user does; see cli_test.py."""

import csv
import json

import cli_test


class Compare(cli_test.Case):
    def rows(self, *arguments):
        facts = json.loads(self.succeed("compare", *arguments, "--json", "-", "--quiet"))
        return {(row["mechanism"], row["construction"]): row for row in facts["rows"]}

    def test_k_hop(self):
        at = {k: self.rows("k_hop", "--n", 32, "--param", f"k={k}") for k in (1, 4)}
        for k, rows in at.items():
            for name in ("ema", "anna", "rnn", "lstm", "state_space", "softmax", "window", "chunked"):
                row = rows[name, "native"]
                self.assertEqual((row["wrong"], row["task"], row["n"], row["k"]), (0, "k_hop", 32, k), name)
                self.assertGreater(row["work"], 0)
                self.assertGreater(row["machines"], 0)
            self.assertEqual({row["wrong"] for row in rows.values() if "wrong" in row}, {0})
        # Pointers double, recurrences hop once a layer.
        layers = {k: {name: rows[name, "native"]["layers"] for name in ("ema", "softmax", "rnn")} for k, rows in at.items()}
        self.assertEqual([layers[4][name] - layers[1][name] for name in ("ema", "softmax", "rnn")], [2, 2, 3])
        # N / k^6 is 32 at k = 1, and below 1 at k = 4.
        bounds = {k: next(row for (name, _), row in rows.items() if name == "state_space") for k, rows in at.items()}
        self.assertEqual((bounds[1]["bound"], bounds[1]["in_range"]), ("1 layer, or width N / k^6 = 32", "yes"))
        self.assertEqual((bounds[4]["bound"], bounds[4]["in_range"]), ("nothing: N / k^6 = 0.0078 < 1", "no"))

    def test_other_tasks(self):
        rows = self.rows("match2", "--n", 32, "--param", "M=11")
        self.assertEqual((rows["anna", "native"]["layers"], rows["anna", "native"]["wrong"]), (1, 0))
        self.assertEqual(rows["state_space", "none"]["bound"], "a state of 11 bits, and a pass each way")
        self.assertNotIn("layers", rows["state_space", "none"])
        for name in ("softmax", "window", "chunked"):
            self.assertEqual((rows[name, "native"]["layers"], rows[name, "native"]["wrong"], rows[name, "native"]["error"]),
                             (1, 0, 0.0), name)
        rows = self.rows("sum", "--n", 32)
        self.assertEqual(rows["window", "native"]["bound"], "L w >= N - 1 = 31")
        for (name, construction), row in rows.items():
            if construction == "native":
                self.assertEqual((row["layers"], row["width"], row["wrong"]), (1, 1, 0), name)
        self.assertEqual([name for name, construction in rows if construction == "none"], ["state_space"])
        numbers = self.file("5 -1 7\n")  # no network holds a negative word
        self.assertIn(("rnn", "none"), self.rows("sum", "--input", numbers))
        for construction in ("direct", "routed"):
            self.assertEqual(rows["ema", construction]["wrong"], 0)

    def test_files(self):
        page, table = self.path / "page.html", self.path / "table.csv"
        text = self.succeed("compare", "k_hop", "--n", 16, "--html", page, "--csv", table)
        self.assertIn("theory asks for", text)
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            self.assertIn(f"  {row['mechanism']:<12}{row['construction']}", text)
        self.assertEqual(page.read_text().count("<svg"), 2)
        self.assertIn("layers over k", page.read_text())
        words = self.file("a b a b c a b\n")
        text = self.succeed("compare", "k_hop", "--input", words, "--format", "words", "--param", "k=1")
        self.assertIn("k_hop k=1: N = 7 words", text)

    def test_trained(self):
        header = "task,k,symbols,mechanism,size,steps,seed,unit,need,layers,error,guessing_error,answers,seconds\n"
        line = "{},{},{},{},{},9,{},cells,17,{},{},.4,100,1.0\n".format
        table = self.file(header + line("match2", "", 37, "reformer", 4, 1, 1, 0.25) + line("match2", "", 37, "reformer", 4, 2, 1, 0.75)
                          + line("k_hop", 2, 16, "lstm", 8, 1, 2, 0.125))
        row = self.rows("match2", "--n", 16, "--trained", table)["chunked", "trained:4"]
        self.assertEqual((row["n"], row["layers"], row["error"], row["bound"]), (32, 1, 0.5, "17 cells"))
        row = self.rows("k_hop", "--n", 16, "--param", "k=2", "--trained", table)["lstm", "trained:8"]
        self.assertEqual((row["n"], row["k"], row["layers"], row["error"]), (64, 2, 2, 0.125))
        refuse = lambda text, *says: self.refuse("compare", "match2", "--n", 16, "--trained", self.file(text), says=["--trained", *says])
        self.refuse("compare", "match2", "--trained", self.path / "none.csv", says="none.csv: there is no such file")
        self.refuse("compare", "sum", "--n", 16, "--trained", table, says="has no network of sum")
        self.refuse("compare", "k_hop", "--n", 16, "--param", "k=3", "--trained", table, says="has no network of k_hop with k=3")
        refuse("a,b\n1,2\n", "holds another table")
        refuse(header + "match2,1\n", "a row has 2 cells, expected 14")
        refuse(header + line("match2", "", 37, "rnn", "many", 1, 1, 0.5), "size is 'many'; a whole number is needed")
        for error in ("2", "-1", "nan", "0.5x", ""):
            refuse(header + line("match2", "", 37, "rnn", 8, 1, 1, error), f"error is '{error}'; allowed are 0 .. 1")

    def test_refusals(self):
        self.refuse("compare", says="TASK")
        self.refuse("compare", "sort", says=["compare sort", "known are k_hop, match2, sum"])
        self.refuse("compare", "k_hop", "--param", "k=0", says="k")
        self.refuse("compare", "sum", "--param", "k=2", says="k")
        self.refuse("compare", "k_hop", "--n", 4097, says=["N is 4097", "1 to 4096"])
        self.refuse("compare", "k_hop", "--html", self.path / "no/page.html", says="no/page.html")


if __name__ == "__main__":
    cli_test.main()
