"""The module as a program: results beside the command line's, errors with their fields, steps that go wrong."""
import argparse
import collections
import re
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import numpy

import roundtrip

PROGRAM = "roundtrip"


def add(left, right):
    return left + right


def zipf(n, seed=1):
    """A text of n words by Zipf's law, of 50,000 different ones at most."""
    return (numpy.random.default_rng(seed).zipf(1.2, n) - 1) % 50_000


class Largest(roundtrip.Protocol):
    """the largest number"""
    rounds, outputs, kappa_s = 2, 1, 1

    def fits(self):
        return self.memory * self.block >= self.n

    def step(self, machine, round, inbox):
        if len(inbox):
            yield 0, inbox.words.max()

    def oracle(values, options):
        return [max(values)]


class Results(unittest.TestCase):
    def test_facts_are_those_of_the_command_line(self):
        numbers = list(numpy.random.default_rng(2).integers(-1000, 1000, 500))
        run = roundtrip.run("sort", numbers, epsilon="2/5", check=True)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "in").write_text("\n".join(map(str, numbers)))
            subprocess.run([PROGRAM, "run", "sort", "--input", path / "in", "--eps", "2/5", "--json", path / "json",
                            "--output", path / "out", "--quiet"], check=True)
            facts = json.loads((path / "json").read_text())
            outputs = [int(line) for line in (path / "out").read_text().split()]
        self.assertEqual(run.outputs.tolist(), outputs)
        for key in ("n", "machines", "memory_words", "rounds", "rounds_bound", "max_words_sent", "max_words_received"):
            self.assertEqual(run.to_dict()[key], facts[key], key)

    def test_numpy_lists_words_and_texts(self):
        for values in ([3, 1, 2], numpy.array([3, 1, 2], dtype="uint8"), iter([3, 1, 2]), range(3, 0, -1)):
            self.assertEqual(sorted(roundtrip.run("sort", values).outputs.tolist()), [1, 2, 3])
        for text in ("a b a c a", "a b a c a".split()):
            hop = roundtrip.run("k_hop", text, k=1, check=True)
            self.assertEqual(len(hop.outputs), 5)
            self.assertTrue(all(word is None or word in "abc" for word in hop.outputs))

    def test_html_and_dictionaries(self):
        run = roundtrip.run("sum", [1, 2, 3])
        self.assertIn("<table>", run._repr_html_())
        self.assertEqual(json.loads(json.dumps(run.to_dict()))["outputs"], [6])
        with self.assertRaisesRegex(AttributeError, "it has protocol, n"):
            _ = run.no_such_fact
        page = roundtrip.explain("k_hop", "a b a c a b", k=1)
        self.assertTrue(page.lower().startswith("<!doctype html>") and page._repr_html_().startswith("<iframe"))
        self.assertIn("&lt;script", roundtrip.explain("k_hop", ["<script>x</script>", "b", "b"], k=1))

    def test_compile_and_decompile(self):
        for construction in ("direct", "scattered", "routed"):
            both = roundtrip.compile(Largest, range(50), construction=construction, attention="anna")
            self.assertTrue(both.equal)
            self.assertEqual((both.outputs.tolist(), both.layers), ([49], both.layers_bound))
        again = roundtrip.decompile("random:L=2,H=2,d=8,m=2,w=2,c=8", n=16)
        self.assertEqual((again.rows.shape, again.equal, again.rounds), ((16, 2), True, again.rounds_bound))

    def test_sweep(self):
        table = roundtrip.sweep("sort", n=[64, 256], what="run")
        self.assertEqual([row["rounds"] == row["rounds_bound"] for row in table], [True, True])
        self.assertEqual(len(table.csv().splitlines()), 3)

    def test_plots(self):
        table = roundtrip.Table([{"n": 10**i, "w": 10**(2 * i), "k": k, "name": "<&>"} for i in range(3) for k in (1, 2)])
        places = re.findall(r'<circle cx="([0-9.]+)" cy="([0-9.]+)"', table.plot("n", "w", by="name"))
        across, up = ([float(place[i]) for place in places] for i in (0, 1))
        self.assertEqual((across[0], up[0], across[-1], up[-1]), (80, 350, 500, 20))
        self.assertEqual((across[2], up[2]), (290, 185))  # the middle of both, by logarithms
        self.assertEqual(table.plot("n", "w", by="k").count("<polyline"), 2)
        xml.etree.ElementTree.fromstring(table.plot("n", "w", by="name"))
        one = roundtrip.Table([{"n": 0, "w": -1}, {"n": 0, "w": 1}]).plot("n", "w")  # no logarithm, one place
        self.assertEqual(re.findall(r'<circle cx="([0-9.]+)" cy="([0-9.]+)"', one), [("290.0", "350.0"), ("290.0", "20.0")])
        for call, why in ((lambda: table.plot("x", "w"), "no column 'x', allowed are n, w, k, name"),
                          (lambda: table.plot("n", "name"), "name has '<&>', allowed are numbers"),
                          (lambda: roundtrip.Table([{"n": float("nan")}]).plot("n", "n"), "nan, allowed are numbers"),
                          (lambda: roundtrip.Table().plot("n", "w"), "none in an empty table")):
            with self.assertRaises(roundtrip.ContractError) as caught:
                call()
            self.assertIn(why, str(caught.exception))


class OwnProtocols(unittest.TestCase):
    def test_a_class_has_everything(self):
        for n in (1, 2, 17, 1000):
            values = numpy.random.default_rng(n).integers(-99, 99, n)
            self.assertEqual(roundtrip.run(Largest, values, check=True).outputs[0], values.max())
        report = roundtrip.verify(Largest)
        self.assertEqual(report.verdict, "verified", str(report))
        self.assertTrue(report.controls and all(control["rejected"] for control in report.controls))
        self.assertIn("<html", roundtrip.explain(Largest, [3, 1, 2]))

    def test_verify_refutes_a_wrong_one(self):
        class LargestButOne(Largest):
            def step(self, machine, round, inbox):
                if len(inbox):
                    yield 0, inbox.words.max() - (round == 2)

        self.assertEqual(roundtrip.verify(LargestButOne, controls=False).verdict, "refuted")
        with self.assertRaises(roundtrip.Refuted) as caught:
            roundtrip.run(LargestButOne, [1, 2, 3], check=True)
        self.assertEqual(str(caught.exception), "output 0 is 2, expected 3")
        self.assertEqual(caught.exception.result.outputs[0], 2)

    def test_verify_finds_what_is_kept_outside_of_messages(self):
        class Cheats(Largest):
            kept = {}

            def step(self, machine, round, inbox):
                self.kept[self.n, machine] = self.kept.get((self.n, machine), 0) + 1
                if len(inbox):
                    yield 0, inbox.words.max() + (self.kept[self.n, machine] > 5)

        self.assertEqual(roundtrip.verify(Cheats, controls=False).verdict, "refuted")

    def test_errors_name_machine_round_and_line(self):
        @roundtrip.protocol(rounds=3, outputs=1)
        def fails(machine, round, inbox):
            if machine == 2 and round == 2:
                return inbox.words[10 ** 6]  # the line
            return [(machine, inbox.words)]

        line = next(i for i, text in enumerate(pathlib.Path(__file__).read_text().split("\n"), 1) if "# the line" in text)
        with self.assertRaises(roundtrip.StepFailed) as caught:
            roundtrip.run(fails, range(100))
        error = caught.exception
        self.assertEqual((error.machine, error.round), (2, 2))
        self.assertIsInstance(error.__cause__, IndexError)
        self.assertRegex(str(error), rf"machine 2 in round 2 failed: IndexError: .*\(module_test.py, line {line}\)")
        with self.assertRaises(roundtrip.StepFailed):
            roundtrip.compile(fails, range(100))

    def test_what_a_step_may_not_send(self):
        def sending(messages):
            return roundtrip.protocol(rounds=2, outputs=1)(
                lambda machine, round, inbox: messages if round == 1 and machine == 0 else None)

        for messages, why in (([(0, 1.5)], "are 1.5, allowed are integers"), ([(0, 2 ** 70)], "does not fit"), ([(0, 2 ** 47)], "does not fit"), ([(-1, 3)], "sent to -1"),
                              ([3], "a message is 3"), (7, "not iterable"), ([(0, "x")], "allowed are integers"), ([(0, None)], "are None")):
            with self.assertRaises(roundtrip.StepFailed) as caught:
                roundtrip.run(sending(messages), [1, 2])
            self.assertIn(why, str(caught.exception))
        for messages, kind in (([(9, 1)], "destination"), ([(0, list(range(1000)))], "words sent")):
            with self.assertRaises(roundtrip.ModelViolation) as caught:
                roundtrip.run(sending(messages), [1, 2])
            self.assertEqual(caught.exception.kind, kind)
        with self.assertRaises(roundtrip.ModelViolation) as caught:
            roundtrip.run(sending([]), [1, 2])
        self.assertEqual(caught.exception.kind, "missing output")

    def test_an_inbox_ends_with_its_step(self):
        kept = []

        @roundtrip.protocol(rounds=1, outputs=1)
        def keeps(machine, round, inbox):
            kept.append(inbox)
            return [(0, 0)] if machine == 0 else None

        roundtrip.run(keeps, [1])
        with self.assertRaisesRegex(ValueError, "its step alone"):
            len(kept[0])

    def test_inboxes(self):
        @roundtrip.protocol(rounds=2, outputs=1)
        def looks(machine, round, inbox, shape):
            if round == 1:
                return [(0, inbox.words[:1]), (0, inbox.words[1:])] if len(inbox) else None
            if machine == 0:
                assert [source for source, _, _ in inbox.runs] == sorted({source for source, _, _ in inbox.runs})
                assert numpy.concatenate([words for _, _, words in inbox.runs]).tolist() == inbox.words.tolist()
                assert inbox.sent_by(1).tolist() == [shape.block + i for i in range(shape.block)]
                return [(0, len(inbox))]

        self.assertEqual(roundtrip.run(looks, range(16), kappa_s=4).outputs.tolist(), [16])


class Refusals(unittest.TestCase):
    def test_contracts(self):
        for call, field, why in (
            (lambda: roundtrip.run("som", [1]), "", "nearest known one is 'sum'"),
            (lambda: roundtrip.run("sum", []), "", "there are none"),
            (lambda: roundtrip.run("sum", [1.5]), "", "float64"),
            (lambda: roundtrip.run("sum"), "", "none given"),
            (lambda: roundtrip.run("sum", [1, 2], n=3), "", "n = 3"),
            (lambda: roundtrip.run("sum", [2 ** 60]), "", "value 0 is"),
            (lambda: roundtrip.run("sum", [1], epsilon="7/2"), None, "eps is 7/2"),
            (lambda: roundtrip.run("sum", [1], machines=-1), "machines", "allowed"),
            (lambda: roundtrip.run("k_hop", [1], j=2), "j", "no such parameter"),
            (lambda: roundtrip.run(Largest, [1], j=2), "j", "no such parameter"),
            (lambda: roundtrip.compile("sum", [1], construction="x"), "", "construction"),
            (lambda: roundtrip.compile("sum", [1], attention="x"), "attention", "ema or anna"),
            (lambda: roundtrip.explain("sum", range(65)), "values", "2 to 64"),
            (lambda: roundtrip.decompile("no/such.json", [1]), None, "no/such.json"),
            (lambda: roundtrip.verify("som"), "", "som"),
            (lambda: roundtrip.attend([[1]], [[1, 2]], [[1]]), None, ""),
            (lambda: roundtrip.attend([1], [[1]], [[1]]), "queries", "matrix"),
            (lambda: roundtrip.sweep("sum", n=[1], what="x"), "", "plan, run and compile"),
        ):
            with self.assertRaises(roundtrip.ContractError) as caught:
                call()
            self.assertIn(why, str(caught.exception))
            if field is not None:
                self.assertEqual(caught.exception.field, field, str(caught.exception))
            self.assertIsInstance(caught.exception, ValueError)
        with self.assertRaisesRegex(TypeError, "is no protocol"):
            roundtrip.run(7, [1])

    def test_errors_in_maps(self):
        for job, why in (
            (dict(map=lambda word: [(word, 1), (word, 1)]), "map made pair 2"),
            (dict(map=lambda word: [word]), "allowed is a pair"),
            (dict(map=lambda word: [((word, 1), 1)]), "a key is"),
            (dict(map=lambda word: [(word, 1 // 0)]), "ZeroDivisionError"),
            (dict(map=lambda word: [(word, 1)], combine=lambda a, b: (a, b)), "what combine made"),
            (dict(map=lambda word: [(word, 1)], reduce=lambda key, value: 3), "a record is 3"),
        ):
            with self.assertRaises(roundtrip.StepFailed) as caught:
                roundtrip.run(roundtrip.MapReduce(**job), [1, 1, 2])
            self.assertIn(why, str(caught.exception))


class MapReduces(unittest.TestCase):
    count = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=add, name="count_in_python")

    def test_counts_texts_of_every_kind(self):
        for words in (zipf(20_000), numpy.full(10_000, 7), numpy.arange(3000), numpy.array([5])):
            run = roundtrip.run(self.count, words)
            self.assertEqual(run.records, sorted(collections.Counter(words.tolist()).items()))
            self.assertLessEqual(max(run.max_words_sent, run.max_words_received), run.memory_words)

    def test_compiles_and_verifies(self):
        both = roundtrip.compile(self.count, zipf(256))
        self.assertTrue(both.equal)
        self.assertEqual(roundtrip.verify(self.count).verdict, "verified")

    def test_reduce_drops_and_jobs_chain(self):
        words = zipf(2000)
        rare = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=add,
                                   reduce=lambda word, times: (word, times) if times <= 2 else None)
        counted = collections.Counter(words.tolist())
        self.assertEqual(roundtrip.run(rare, words).records,
                         sorted((word, times) for word, times in counted.items() if times <= 2))
        spread = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=add).then(
            map=lambda record: [(record[1], 1)], combine=add)
        self.assertEqual(roundtrip.run(spread, words).records, sorted(collections.Counter(counted.values()).items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--roundtrip")
    arguments, rest = parser.parse_known_args()
    PROGRAM = arguments.roundtrip
    unittest.main(argv=[sys.argv[0], *rest])
