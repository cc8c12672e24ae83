"""A fault on one rank ends all of them in seconds, with one line and status 70. Run on faulty_roundtrip:
faults_test.py --roundtrip PATH Faults."""

import time

import cli_test

SAYS = {
    "throw": "machine 9 in round 3 failed: thrown in two lines",
    "internal": "machine 9 in round 3 failed: a fault of ours",
    "contract": "machine 9 in round 3 failed: no contract",
    "alien": "machine 9 in round 3 failed: threw something",
    "memory": "machine 9 in round 3 failed: out of memory",
    "pack": "out of memory",  # this rank alone knows: it ends the others
    "make": "made badly",
}


class Faults(cli_test.Case):
    def test_faults(self):
        arguments = ("run", "faulty", "--n", 12, "--quiet")
        for ranks in (0, 2, 3):
            self.succeed(*arguments, ranks=ranks)
            for how, says in SAYS.items():
                with self.subTest(how=how, ranks=ranks):
                    begin = time.monotonic()
                    kept = self.path / "kept"
                    self.refuse(*arguments, "--param", f"how={how}", "--output", kept, "--json", kept, ranks=ranks,
                                status=70, says=says)
                    self.assertLess(time.monotonic() - begin, 20)


if __name__ == "__main__":
    cli_test.main()
