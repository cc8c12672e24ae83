"""Numbers that stand beside results, recomputed by a reader that has raw outputs alone; each defect seeded in what is
reported is seen. On faulty_roundtrip: numbers_test.py --roundtrip PATH Numbers."""

import collections
import csv
import gzip
import json
import math
import os
import random
import subprocess
import sys
import unittest.mock

import attend_test
import cli_test
import status_test


class Numbers(cli_test.Case):
    def call(self, *arguments, fault=""):
        with unittest.mock.patch.dict(os.environ, {"ROUNDTRIP_FAULT": fault} if fault else {}):
            return self.succeed(*arguments, timeout=240)

    # ---- a run: every count follows from the messages

    def messages(self, *arguments):
        """[round][machine] = [(destination, word), ..], and the shape, from a certificate, which is another command's file."""
        path = self.path / "certificate"
        self.call("compile", *arguments, "--certificate", path, "--quiet")
        head, _, *lines = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        rounds = [[list(zip(w[0::2], w[1::2])) for w in line["sent"]] for line in lines if "sent" in line]
        return rounds, head["shape"]

    def run_problems(self, *arguments, fault=""):
        rounds, shape = self.messages(*arguments)
        table, facts = self.path / "table", self.path / "facts"
        self.call("run", *arguments, "--csv", table, "--json", facts, "--quiet", fault=fault)
        facts, found = json.loads(facts.read_text()), []
        rows = {(int(row["round"]), int(row["machine"])): row for row in csv.DictReader(table.read_text().splitlines())}

        def expect(what, reported, counted):
            if reported != counted:
                found.append(f"{what} is {reported}, counted {counted}")

        expect("rows", len(rows), len(rounds) * shape["machines"])
        totals = []
        for r, machines in enumerate(rounds, 1):
            last = r == len(rounds)
            received = collections.Counter(to // shape["block_words"] if last else to for words in machines for to, _ in words)
            sent = [len(words) for words in machines]
            for i in range(shape["machines"]):
                expect(f"round {r} machine {i} sent", int(rows[r, i]["words_sent"]), sent[i])
                expect(f"round {r} machine {i} received", int(rows[r, i]["words_received"]), received[i])
            scratch = max(int(rows[r, i]["scratch_words"]) for i in range(shape["machines"]))
            heap = max(int(rows[r, i]["heap_words"]) for i in range(shape["machines"]))
            totals.append({"max_words_sent": max(sent), "max_words_received": max(received.values(), default=0),
                           "max_scratch_words": scratch, "max_heap_words": heap, "total_words": sum(sent)})
            expect(f"ledger of round {r}", facts["ledger"][r - 1], totals[-1])
        for key in ("max_words_sent", "max_words_received", "max_scratch_words", "max_heap_words"):
            expect(key, facts[key], max(t[key] for t in totals))
        expect("total_words", facts["total_words"], sum(t["total_words"] for t in totals))
        expect("rounds", facts["rounds"], len(rounds))
        for key in ("n", "machines", "memory_words", "word_bits"):
            expect(key, facts[key], shape[key])
        expect("below_range", facts["below_range"], shape["memory_words"] > shape["n"] // 4)
        return found

    def test_runs(self):
        for arguments in (("sort", "--n", 64), ("k_hop", "--n", 50, "--param", "k=3"), ("prefix_scan", "--n", 256),
                          ("three_sum", "--n", 40), ("sum", "--n", 4096, "--eps", "1/4")):
            self.assertEqual(self.run_problems(*arguments), [], arguments)

    def test_defects_of_a_run(self):
        for fault in ("csv-columns-swapped", "total-less-last-round", "received-is-sent"):
            self.assertNotEqual(self.run_problems("prefix_scan", "--n", 256, fault=fault), [], fault)

    # ---- attention: with V the unit matrix, an output row is a query's weights

    POINTS, DIMENSION, RADIUS, FACTOR = 60, 24, 0.4, 2.0

    def points(self):
        """Queries, and for each a key within r; distances from r and c r that rounding could change do not occur."""
        draw = random.Random(5)

        def unit(x):
            norm = math.sqrt(sum(a * a for a in x))
            return [a / norm for a in x]

        while True:
            queries = [unit([draw.gauss(0, 1) for _ in range(self.DIMENSION)]) for _ in range(self.POINTS)]
            keys = [unit([a + draw.gauss(0, .05) for a in q]) for q in queries]
            keys[::3] = [unit([a + draw.gauss(0, .13) for a in q]) for q in queries[::3]]  # some between r and c r
            distance = [[math.dist(q, k) for k in keys] for q in queries]
            if all(abs(d - edge) > 1e-3 for row in distance for d in row for edge in (self.RADIUS, self.RADIUS * self.FACTOR)):
                return queries, keys, distance

    def attend_problems(self, *more, fault=""):
        queries, keys, distance = self.points()
        n = self.POINTS
        values = [[float(i == j) for j in range(n)] for i in range(n)]
        files = [self.file(attend_test.npy(rows, "<f8"), name) for name, rows in (("Q.npy", queries), ("K.npy", keys), ("V.npy", values))]
        out, facts = self.path / "out.npy", self.path / "facts"
        self.call("attend", *files, "--family", "hyperplane", "--r", self.RADIUS, "--c", self.FACTOR, "--compare", "brute",
                  *more, "--output", out, "--json", facts, "--quiet", fault=fault)
        facts, found = json.loads(facts.read_text()), []
        weights = [[x > 1e-9 for x in row] for row in attend_test.read_npy(out.read_bytes())]

        def expect(what, reported, recomputed):
            if reported != recomputed and not (isinstance(reported, float) and math.isclose(reported, recomputed, rel_tol=1e-9, abs_tol=1e-12)):
                found.append(f"{what} is {reported}, recomputed {recomputed}")

        near = [(i, j) for i in range(n) for j in range(n) if distance[i][j] <= self.RADIUS]
        expect("near_pairs", facts["near_pairs"], len(near))
        expect("recall", facts["recall"], sum(weights[i][j] for i, j in near) / len(near))
        expect("empty_queries", facts["empty_queries"], sum(not any(row) for row in weights))
        if facts["tables"] == 1:  # every weight is 0 or the same
            met = [(i, j) for i in range(n) for j in range(n) if weights[i][j]]
            expect("collisions", facts["collisions"], len(met))
            expect("within_cr", facts["within_cr"], sum(distance[i][j] <= self.RADIUS * self.FACTOR for i, j in met) / len(met))
        p1, p2 = (1 - 2 * math.asin(d / 2) / math.pi for d in (self.RADIUS, self.RADIUS * self.FACTOR))
        expect("p1", facts["p1"]["estimate"], p1)
        expect("p2", facts["p2"]["estimate"], p2)
        ell, z = facts["tables"], facts["functions"]
        expect("rho", facts["rho"], math.log(facts["p1"]["low"]) / math.log(facts["p2"]["high"]))
        false, missed = n * n * ell * facts["p2"]["high"] ** z, n * n * (1 - facts["p1"]["low"] ** z) ** ell
        if not math.isclose(facts["missed_pairs"], missed, rel_tol=1e-6, abs_tol=1e-300):
            found.append(f"missed_pairs is {facts['missed_pairs']}, recomputed {missed}")
        expect("false_collisions", facts["false_collisions"], false)
        expect("guaranteed", facts["guaranteed"], false <= .005 and missed <= .005 * (1 + 1e-9))
        expect("hash_evaluations", facts["hash_evaluations"], float(2 * n * ell * z))
        expect("pointless", facts["pointless"], ell >= n)
        return found

    def test_attention(self):
        for more in (("--tables", 1, "--functions", 2), ("--tables", 1, "--functions", 9), ("--tables", 40, "--functions", 8)):
            self.assertEqual(self.attend_problems(*more), [], more)

    def test_defects_of_attention(self):
        for fault in ("recall-of-all", "weight-of-near-alone", "guarantee-claimed"):
            self.assertNotEqual(self.attend_problems("--tables", 1, "--functions", 9, fault=fault), [], fault)

    # ---- memory: what a plan says is needed is no less than what is used

    def memory_problems(self, fault=""):
        arguments = ("attend", "--n", 100000, "--dimension", 64, "--value-dimension", 64, "--family", "cross-polytope",
                     "--tables", 2, "--functions", 3)
        with unittest.mock.patch.dict(os.environ, {"ROUNDTRIP_FAULT": fault} if fault else {}):
            planned = json.loads(self.succeed(*arguments, "--plan", "--json", "-"))["peak_bytes"]
            used = self.peak(*arguments) - self.peak(*arguments[:2], 16, *arguments[3:])
        return [] if .3 * planned <= used <= planned else [f"{planned} bytes are planned, {used} used"]

    def peak(self, *arguments):
        script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
        done = subprocess.run([sys.executable, "-c", script, cli_test.ROUNDTRIP, *map(str, arguments)], capture_output=True, text=True,
                              check=True, timeout=240)
        return int(done.stdout)

    def test_memory(self):
        self.assertEqual(self.memory_problems(), [])
        self.assertNotEqual(self.memory_problems(fault="quarter-of-the-memory"), [])

    def test_all_defects_are_named(self):
        self.assertEqual(set(status_test.NUMBERS_FAULTS), {
            "csv-columns-swapped", "total-less-last-round", "received-is-sent", "recall-of-all", "weight-of-near-alone",
            "guarantee-claimed", "quarter-of-the-memory"})


if __name__ == "__main__":
    cli_test.main()
