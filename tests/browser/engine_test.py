"""The engine in the page against the program: the same lines for random sentences, k and s, refusals included.
engine_test.py --axe FILE --runs PATH --engine FILE"""

import argparse
import pathlib
import random
import subprocess
import tempfile
import unittest

import browser

AXE = RUNS = ENGINE = None
COUNT = 10_000
BATCH = 250

SCRIPT = """
return arguments[0].map(([protocol, numerator, denominator, k, limit, values]) => {
  const run = RoundtripEngine.run({protocol, words: values.map(String), asNumbers: values, eps: [numerator, denominator], k, limit});
  if (run.refusal) return `refused ${run.refusal}`;
  const {b, s, q, rounds} = run.shape;
  const whole = run.violation ? run.violation.round - 1 : rounds;
  let text = `b=${b} s=${s} q=${q} R=${rounds}`;
  for (const round of run.rounds.slice(0, whole))
    text += " |" + round.words.map(w => ` ${w.source}>${w.output ?? w.destination}:${w.word}`).join("");
  if (run.violation) return `${text} violation ${run.violation.text}`;
  return `${text} outputs` + run.outputs.map(o => ` ${o ?? "none"}`).join("");
});
"""


def case(random_):
    """Most are small, so that there are many; sizes, ranges and limits go over their edges now and then."""
    protocol = random_.choice(["sum", "word_count", "odd_even_sort", "k_hop_walk"])
    n = random_.randint(2, 16) if random_.random() < 0.8 else random_.randint(2, 64)
    top = random_.choice([1, 2, 4, n - 1, n - 1, n + 1, 1000, 2**17, 2**40]) if random_.random() < 0.7 else n - 1
    low = random_.choice([0, 0, 0, -top])
    values = [random_.randint(low, top) for _ in range(n)]
    denominator = random_.choice([2, 3, 4, 5, 7])
    k = random_.choice([1, 2, 3, 5, 9]) if random_.random() < 0.97 else random_.choice([0, 4097, -1])
    limit = 0 if random_.random() < 0.4 else random_.randint(1, 12)
    return [protocol, random_.randint(1, denominator - 1), denominator, k, limit, values]


class Engine(unittest.TestCase):
    def test_equals_the_program(self):
        random_ = random.Random(1)
        cases = [case(random_) for _ in range(COUNT)]
        lines = "".join(" ".join(map(str, [*c[:5], *c[5]])) + "\n" for c in cases)
        expected = subprocess.run([RUNS], input=lines, capture_output=True, text=True, check=True, timeout=200).stdout.splitlines()
        self.assertEqual(len(expected), COUNT)
        # The cases have what they are for: runs that go through, that break s on either side, and refusals of each kind.
        for part, least in (("outputs", 3000), ("received", 200), ("sent", 100), ("refused k", 30), ("refused word", 100)):
            self.assertGreater(sum(part in line for line in expected), least, part)
        with tempfile.TemporaryDirectory() as folder, browser.Browser(AXE) as chromium:
            source = pathlib.Path(ENGINE).read_text()

            def load(script):
                file = pathlib.Path(folder, "engine.html")
                file.write_text(f'<!doctype html><html lang="en"><title>engine</title><script>{script}</script></html>')
                return chromium.open(file)

            page = load(source)
            for first in range(0, COUNT, BATCH):
                for i, line in enumerate(page.run(SCRIPT, cases[first:first + BATCH]), first):
                    self.assertEqual(line, expected[i], cases[i])
            self.assertEqual(chromium.errors(), [])
            # Defects in the engine are seen: another sum, another limit.
            for good, bad in (("(n - 1) % 2 *", "n % 2 *"), ("load[side] > allowed", "load[side] >= allowed")):
                self.assertEqual(source.count(good), 1)
                self.assertNotEqual(load(source.replace(good, bad)).run(SCRIPT, cases[:BATCH]), expected[:BATCH])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--engine", required=True)
    known, rest = parser.parse_known_args()
    AXE, RUNS, ENGINE = known.axe, known.runs, known.engine
    unittest.main(argv=[__file__, *rest])
