"""Every command in every status that it can end in, and that status, JSON and text say the same; each defect that is
seeded in what the program concludes is seen by one of them. On faulty_roundtrip: status_test.py --roundtrip PATH CLASS."""

import json
import os
import pathlib
import re
import unittest.mock

import cli_test

STATUS = {"done": 0, "verified": 0, "refuted": 1, "violated": 3, "inconclusive": 4, "failed": 70}
OVERFLOW = ("--construction", "routed", "--eta", "999/1000")  # bundles so small that some seed overflows one
NUMBERS = "1 2 3 4 7 6 5 8 9 10\n"
COUNTED = "NUMBERS"  # stands for a file of these numbers


def overflowing(command):
    """A seed with which a bundle overflows, which no transformer survives."""
    for seed in range(1, 60):
        done = cli_test.call(*command, *OVERFLOW, "--seed", seed, "--quiet")
        if done.returncode == 4:
            return (*command, *OVERFLOW, "--seed", seed)
    raise AssertionError("no seed overflows")


class StatusCase(cli_test.Case):
    def problems(self, verdict, *arguments, fault=""):
        """What a reader of status, JSON and report would find wrong in `arguments`, whose verdict should be `verdict`."""
        facts = self.path / "facts"
        facts.unlink(missing_ok=True)
        arguments = [self.file(NUMBERS, "numbers") if word == COUNTED else word for word in arguments]
        with unittest.mock.patch.dict(os.environ, {"ROUNDTRIP_FAULT": fault} if fault else {}):
            done = cli_test.call(*arguments, "--json", facts, timeout=120)
        found = []
        if done.returncode != STATUS[verdict]:
            found.append(f"status {done.returncode}")
        if facts.exists() and (word := json.loads(facts.read_text()).get("verdict")) is not None:
            if word != verdict or STATUS[word] != done.returncode:
                found.append(f"JSON says {word}")
        elif arguments[0] not in ("explain", "list"):
            found.append("no JSON")
        said = re.findall(r"^(?:verdict: )?(done|verified|refuted|violated|inconclusive|failed)(?::.*)?$", done.stdout, re.M)
        if said and said[-1] != verdict:
            found.append(f"the report says {said[-1]}")
        if STATUS[verdict] in (3, 70) and arguments[0] != "verify" and not done.stderr.startswith("roundtrip: error: "):
            found.append("no error")
        return found

    def agree(self, verdict, *arguments, fault=""):
        with self.subTest(verdict=verdict, arguments=arguments, fault=fault):
            self.assertEqual(self.problems(verdict, *arguments, fault=fault), [])


class Statuses(StatusCase):
    def test_run(self):
        self.agree("done", "run", "sum", "--n", 64)
        self.agree("verified", "run", "sum", "--n", 64, "--check")
        self.agree("refuted", "run", "wrong", "--n", 64, "--check")
        self.agree("done", "run", "wrong", "--n", 64)
        self.agree("violated", "run", "sum", "--n", 64, "--limit-words", 1)
        self.agree("verified", "run", "unlucky", "--n", 64, "--check", "--seed", 1)
        self.agree("inconclusive", "run", "unlucky", "--n", 64, "--check", "--seed", 3)
        self.agree("violated", "run", "greedy", "--n", 64)
        self.agree("failed", "run", "throwing", "--n", 64)

    def test_compile(self):
        self.agree("verified", "compile", "sum", "--n", 64, "--check")
        self.agree("refuted", "compile", "wrong", "--n", 64, "--check")
        self.agree("verified", "compile", "unlucky", "--n", 64, "--check", "--seed", 1)
        self.agree("inconclusive", "compile", "unlucky", "--n", 64, "--check", "--seed", 3)
        self.agree("refuted", "compile", "unlucky", "--n", 64, "--check", "--seed", 3, fault="head-too-many")  # not by chance
        self.agree("refuted", "compile", "counting", "--input", COUNTED)
        self.agree("refuted", "compile", "sum", "--n", 64, fault="head-too-many")  # wider than the formula
        self.agree("inconclusive", *overflowing(("compile", "copy", "--n", 64)))
        self.agree("violated", "compile", "sum", "--n", 64, "--limit-words", 1)
        self.agree("failed", "compile", "throwing", "--n", 64)

    def test_decompile(self):
        self.agree("verified", "decompile", "random:L=1,H=1,c=8", "--n", 24)
        self.agree("verified", "decompile", "sum", "--n", 64, "--roundtrip")
        self.agree("refuted", "decompile", "counting", "--input", COUNTED)
        self.agree("violated", "decompile", "random:L=1,H=1,c=8", "--n", 24, "--limit-words", 1)
        self.agree("inconclusive", *overflowing(("decompile", "copy", "--n", 64)))

    def test_attend(self):
        self.agree("done", "attend", "--n", 64)
        self.agree("done", "attend", "--n", 64, "--compare", "exact")
        self.agree("verified", "attend", "--n", 64, "--compare", "brute")
        self.agree("refuted", "attend", "--n", 64, "--compare", "brute", "--tables", 3, "--functions", 3, fault="bucket-size")

    def test_verify(self):
        self.agree("verified", "verify", "reduce")
        self.agree("verified", "verify", "unlucky")
        self.agree("refuted", "verify", "wrong")
        self.agree("violated", "verify", "greedy")
        self.agree("failed", "verify", "throwing")
        self.agree("inconclusive", "verify", "choosy")
        self.agree("failed", "verify", "reduce", fault="blind-turns")  # a control slips through
        self.agree("verified", "verify", "--faults", "check-lost")

    def test_rows_that_differ(self):
        """A model of maps that count their calls: run and evaluation differ, and no compiled protocol's run stands beside."""
        model = self.path / "counting.json"
        self.succeed("compile", "counting", "--input", self.file("1 2 3 4 5 6\n"), "--export", model)
        command = ("refuted", "decompile", model, "--input", self.file("1 2 7 4 7 6\n", "sevens"))
        self.agree(*command)
        self.assertNotEqual(self.problems(*command, fault="rows-uncompared"), [])

    def test_explain_and_list(self):
        self.agree("done", "explain", "sum", "--n", 16)
        self.agree("violated", "explain", "sum", "--n", 16, "--limit-words", 1)
        self.agree("failed", "explain", "throwing", "--n", 16)
        self.agree("done", "list")

    def test_usage(self):
        for command in ("run", "compile", "decompile", "attend", "verify", "explain", "list", "reference"):
            done = cli_test.call(command, "--no-such-flag")
            self.assertEqual(done.returncode, 2, command)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_same_on_ranks(self):
        for status, arguments in ((1, ("run", "wrong", "--n", 64, "--check")), (3, ("run", "greedy", "--n", 64)),
                                  (70, ("run", "throwing", "--n", 64)), (1, ("compile", "wrong", "--n", 64, "--check")),
                                  (1, ("verify", "wrong")), (70, ("verify", "throwing"))):
            self.assertEqual(cli_test.call(*arguments, ranks=2).returncode, status, arguments)

    def test_seeded_defects_are_seen(self):
        """fault: a command whose status, JSON or report then is wrong."""
        inconclusive = overflowing(("compile", "copy", "--n", 64))
        seen = {
            "refuted-leaves-zero": ("refuted", "run", "wrong", "--n", 64, "--check"),
            "inconclusive-leaves-zero": ("inconclusive", *inconclusive),
            "violated-leaves-zero": ("violated", "explain", "sum", "--n", 16, "--limit-words", 1),
            "failed-leaves-zero": ("failed", "run", "throwing", "--n", 64),
            "throw-is-violation": ("failed", "run", "throwing", "--n", 64),
            "one-finding-decides": ("refuted", "compile", "wrong", "--n", 64, "--check"),
            "answers-unchecked": ("refuted", "run", "wrong", "--n", 64, "--check"),
        }
        for fault, (verdict, *arguments) in seen.items():
            with self.subTest(fault=fault):
                self.assertNotEqual(self.problems(verdict, *arguments, fault=fault), [])
        hooks = set()
        for path in (pathlib.Path(__file__).parents[2] / "cli").rglob("*.cpp"):
            hooks |= set(re.findall(r'seeded\("([a-z0-9-]+)"\)', path.read_text()))
        elsewhere = {"depth-uncompared", "width-uncompared", "attend-uncompared"}  # verdict_test.cpp, for one defect is on at a time
        elsewhere |= {"rows-uncompared", "source-uncompared"}  # in test_rows_that_differ, and export_test.py
        elsewhere |= set(NUMBERS_FAULTS)
        self.assertEqual(hooks, set(seen) | elsewhere)


NUMBERS_FAULTS = ("csv-columns-swapped", "total-less-last-round", "received-is-sent", "recall-of-all", "weight-of-near-alone",
                  "guarantee-claimed", "quarter-of-the-memory")  # numbers_test.py


class Verdicts(StatusCase):
    """What users read where something is wrong."""

    def test_wrong_answers_are_refuted_everywhere(self):
        text = self.succeed("verify", "wrong", status=1)
        self.assertIn("refuted without it, too", text)
        self.assertNotIn("SOUND ONE", text)
        self.assertRegex(text, r"(?m)^refuted: 1 statement")

    def test_a_wrong_output_index_is_one(self):
        for command in ("run", "compile"):
            done = cli_test.call(command, "shifted", "--n", 64)
            self.assertEqual(done.returncode, 3)
            self.assertRegex(done.stderr, r"machine 7 in round 2 delivered output word 64, allowed 0 to 63")
        self.assertIn("delivered output word", self.succeed("verify", "shifted", "--n", 64, status=3))

    def test_phases_are_named(self):
        facts = self.path / "facts"
        done = cli_test.call("run", "sort", "--n", 64, "--limit-words", 20, "--json", facts)
        violation = json.loads(facts.read_text())["violation"]
        self.assertTrue(violation["phase"])
        self.assertIn(f"(round {violation['round']}: {violation['phase']})", done.stderr)
        done = cli_test.call("run", "greedy", "--n", 64)  # no phases
        self.assertNotIn("(round", done.stderr)

    def test_why_it_is_inconclusive(self):
        self.assertIn("inconclusive: sizes that the protocol serves at N = 256: no N will do",
                      self.succeed("verify", "choosy", status=4))

    def test_one_instance(self):
        facts = self.path / "facts"
        self.succeed("verify", "prefix_scan", "--n", 400, "--param", "op=max", "--eps", "2/5", "--json", facts, "--quiet")
        checks = json.loads(facts.read_text())["checks"]
        self.assertEqual({(check["n"], check["epsilon"]) for check in checks}, {(400, "2/5")})
        numbers = self.file(" ".join(str(i * i - 300) for i in range(320)))
        self.succeed("verify", "prefix_scan", "--input", numbers, "--json", facts, "--quiet")
        self.assertEqual({check["n"] for check in json.loads(facts.read_text())["checks"]}, {320})
        self.succeed("verify", "prefix_scan", "--input", numbers, "--quiet", ranks=2)
        words = self.file("a b a c b a\n" * 20, "words")
        self.succeed("verify", "broadcast", "--input", words, "--format", "words", "--quiet")
        self.assertIn("a machine could hold the input", self.succeed("verify", "k_hop", "--n", 100, status=4))
        self.succeed("verify", "match2", "--param", "M=5", "--quiet")
        self.refuse("verify", "sort", "k_hop", "--n", 64, says="one protocol's name")
        self.refuse("verify", "--n", 64, says="one protocol's name")
        self.refuse("verify", "lsh_algorithm", "--n", 64, says="'lsh_algorithm'")
        self.refuse("verify", "sort", "--param", "k=2", says="--param k: sort has no such parameter")
        self.refuse("verify", "sort", "--n", 64, "--faults", says="without --faults")
        self.refuse("verify", "list_ranking", "--input", self.file("5 5 5\n", "bad"), says="element 0 is followed by 5")


if __name__ == "__main__":
    cli_test.main()
