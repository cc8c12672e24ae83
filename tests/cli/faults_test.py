"""A fault on one rank ends all of them in seconds, with one line and status 70. Run on faulty_roundtrip:
faults_test.py --roundtrip PATH Faults."""

import json
import os
import time
import unittest.mock

import cli_test

SAYS = {
    "throw": "machine 9 in round 3 failed: thrown in two lines",
    "internal": "machine 9 in round 3 failed: a fault of ours",
    "contract": "machine 9 in round 3 failed: no contract",
    "alien": "machine 9 in round 3 failed: threw something",
    "memory": "machine 9 in round 3 failed: out of memory",
    "send": "out of memory",  # this rank alone knows: it ends the others
    "swallow": "out of memory",
    "make": "made badly",
}


class Faults(cli_test.Case):
    def test_faults(self):
        arguments = ("run", "faulty", "--n", 12, "--quiet")
        for ranks in (0, 2, 3):
            self.succeed(*arguments, ranks=ranks)
            for how, says in SAYS.items():
                # Words that go by messages take memory as they are sent; shared memory is reserved before. A
                # thread of BLAS that starts without any tries again for ever.
                starved = {"ROUNDTRIP_SHARED_MEMORY": "0", "OPENBLAS_NUM_THREADS": "1"}
                environment = starved if how in ("send", "swallow") else {}
                with self.subTest(how=how, ranks=ranks), unittest.mock.patch.dict(os.environ, environment):
                    begin = time.monotonic()
                    kept = self.path / "kept"
                    self.refuse(*arguments, "--param", f"how={how}", "--output", kept, "--json", f"{kept}.json", ranks=ranks,
                                status=70, says=says)
                    self.assertLess(time.monotonic() - begin, 20)

    def test_one_word_more_from_the_heap(self):
        for ranks in (0, 2, 3):
            self.refuse("run", "faulty", "--n", 12, "--quiet", "--param", "how=heap", ranks=ranks, status=3,
                        says="machine 9 in round 3 took 65 words from the heap, allowed 64")
        facts, _ = self.run_facts("faulty", "--n", 12)
        self.assertEqual((facts["max_heap_words"], facts["working_words"]), (64, 64))

    def test_counterexample(self):
        numbers = self.file("1 2 3 4 7 6 5 8 9 10\n")
        for construction in (c["name"] for c in json.loads(self.succeed("list", "--json", "-"))["constructions"]):
            facts = self.path / "facts"
            run = self.succeed("compile", "counting", "--input", numbers, "--construction", construction,
                                   "--json", facts, status=1)
            # The five words up to the 7, all others 0; machine 4's one word in the last round.
            for part in ("smallest input found", "N = 5", "they part after layer", "(round 2), word 0 of machine 4",
                         "run: ", "transformer: ", "verdict: refuted"):
                self.assertIn(part, run)
            found = json.loads(facts.read_text())["counterexample"]
            zero = found["input"][0]
            self.assertEqual(found["input"], [zero] * 4 + [zero + 7])
            self.assertEqual((found["round"], found["machine"]), (2, 4))


if __name__ == "__main__":
    cli_test.main()
