"""Random command lines drawn from the program's own reference, and random small instances of every protocol against
oracles of numpy and plain Python that share no code with it. fuzz_test.py --roundtrip PATH CLASS, see cli_test.py."""

import collections
import itertools
import json
import os
import pathlib
import random
import re
import resource

import jsonschema
import numpy as np

import cli_test

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schema"
STATUSES = {0, 1, 2, 3, 4, 5}  # 70 is a fault of ours
SEED = int(os.environ.get("ROUNDTRIP_FUZZ_SEED", "1"))


def declarations():
    """{subcommand: [(flag, value's name or None)]}, from the manual page that the program writes of itself."""
    manual = cli_test.call("reference", "man").stdout.replace("\\-", "-").replace("\\e", "\\")
    commands, flags = {}, None
    for line in manual.splitlines():
        if found := re.match(r'\.SS "roundtrip (\w+)', line):
            flags = commands.setdefault(found[1], [])
        elif found := re.match(r"\\fB(--[\w-]+)\\fR(?: \\fI(.*)\\fR)?$", line):
            if flags is not None:
                flags.append((found[1], found[2]))
    return commands


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class CommandLines(cli_test.Case):
    """Each ends in a documented status, an error with one line, none by a signal, none above 30 s of processor time (the
    machine may be busy)."""
    NUMBERS = ["0", "1", "2", "3", "5", "7", "16", "33", "64", "100", "1000", "2952", "4294967296", "1099511627776",
               "9223372036854775807", "99999999999999999999", "-1", "x", ""]
    RATIONALS = ["1/2", "2/5", "1/3", "0.9", "99/100", "1/100", "0", "1", "-1/2", "3/2", "1/0", "1e3", "nan",
                 "1/99999999999999999999", "123456789/987654321"]
    REALS = ["8", "12", "1.5", "1.0000001", "1e-300", "1e300", "1e308", "nan", "inf", "0", "-1", "x"]
    WORTH = {"sizes": ["small"], "threads": ["0", "1", "3", "4096"],
             "functions": ["0", "1", "2", "3", "5", "100", "-1", "x", ""]}  # flags whose other values take minutes

    def value_of(self, rng, flag, kind, protocol):
        name = flag[2:]
        if name in self.WORTH:
            return rng.choice(self.WORTH[name])
        if name == "param":
            options = [option["name"] for option in self.protocols.get(protocol, {"options": []})["options"]]
            return rng.choice(options + ["k", "q"]) + rng.choice(["=", ""]) + rng.choice(self.NUMBERS + ["add", "max"])
        if name in ("c", "r", "width", "beta"):
            return rng.choice(self.REALS)
        if kind == "P/Q":
            return rng.choice(self.RATIONALS)
        if kind == "FILE" or kind == "DIR":
            if name == "input":
                return rng.choice([str(self.numbers), str(self.edges), "/no/such", str(self.path)])
            return rng.choice([str(self.path / f"{name}{rng.randrange(3)}.json"), "-", "/no/such/file", str(self.path)])
        if name == "n":  # few are large: they are to run
            return rng.choice(["1", "2", "3", "9", "20", "33", "48", "64", "90"] * 4 + self.NUMBERS)
        if choices := self.choices.get(flag):
            return rng.choice(choices + ["nothing"] * (rng.random() < 0.05))
        return rng.choice(self.NUMBERS)

    def line(self, rng, commands):
        command = rng.choice(["run", "run", "run", "compile", "decompile", "attend", "explain", "list", "reference"])
        protocol = rng.choice(sorted(self.protocols))
        words = [command]
        if command in ("run", "compile", "decompile", "explain"):
            words.append(rng.choice([protocol] * 9 + ["random:L=1,H=2,c=8", "nothing"]))
        if command == "list":
            words += rng.choice([[], [protocol], ["nothing"]])
        if command == "reference":
            words += rng.choice([["man"], ["completion"], ["names", "run"], ["names"], ["nothing"]])
        flags = [flag for flag in commands.get(command, []) if flag[0] != "--help"]
        if command in ("run", "compile", "decompile", "explain", "attend") and rng.random() < 0.9:
            words += ["--n", self.value_of(rng, "--n", "N", protocol)]
        for flag, kind in rng.sample(flags, min(len(flags), rng.choice([0, 1, 2, 2, 3, 4]))):
            if flag == "--n" and "--n" in words:
                continue
            words += [flag] if kind is None else [flag, self.value_of(rng, flag, kind, protocol)]
        if command == "run" and rng.random() < 0.5:  # shapes, the hardest of all
            for flag in rng.sample(["--memory", "--machines", "--kappa-s", "--eps", "--gamma", "--delta"], 2):
                if flag not in words:
                    words += [flag, self.value_of(rng, flag, "P/Q" if flag in ("--eps", "--gamma", "--delta") else "", protocol)]
        return words

    def look_at(self, words, rank_counts=(0,)):
        for ranks in rank_counts:
            before = processor_seconds()
            try:
                done = cli_test.call(*words, ranks=ranks, timeout=300)
            except UnicodeDecodeError as error:
                self.assertIn("-", words, error)  # .npy on standard output
                return
            seconds = processor_seconds() - before
            what = f"{words}, {ranks} ranks: status {done.returncode}, {seconds:.1f} s\n{done.stderr}"
            self.assertLess(seconds, 30 * max(ranks, 1), what)
            self.assertIn(done.returncode, STATUSES, what)
            lines = [line for line in done.stderr.splitlines() if not line.startswith("roundtrip: warning: ")]
            if done.returncode in (2, 3):
                self.assertEqual(len(lines), 1, what)
                self.assertRegex(lines[0], "^roundtrip: error: ", what)
            else:
                self.assertEqual([line for line in lines if not line.startswith("roundtrip: stopped")], [], what)
            if done.returncode != 2 and "--json" in words and (name := words[words.index("--json") + 1]) != "-":
                facts = json.loads(pathlib.Path(name).read_text())
                if (schema := SCHEMAS / f"{facts['schema'].split('/')[1]}.json").exists():
                    jsonschema.validate(facts, json.loads(schema.read_text()))

    def many(self, count):
        self.numbers = self.file(" ".join(map(str, range(40, 0, -1))), "numbers")
        self.edges = self.file("".join(f"{i} {i * 7 % 20}\n" for i in range(20)), "edges")
        self.protocols = {p["name"]: p for p in json.loads(cli_test.call("list", "--json", "-").stdout)["protocols"]}
        script = cli_test.call("reference", "completion").stdout
        self.choices = {flag: choices.split() for flag, choices in
                        re.findall(r"^    \w+:(--[\w-]+)\) compgen_options='-W' choices='([^']*)'", script, re.M)}
        commands = declarations()
        self.assertIn(("--kappa-s", "K"), commands["run"])
        rng = random.Random(SEED)
        for i in range(count):
            words = self.line(rng, commands)
            with self.subTest(number=i, line=" ".join(words)):
                self.look_at(words, (0, 2) if i % 25 == 0 else (0,))

    def test_some(self):
        self.many(int(os.environ.get("ROUNDTRIP_FUZZ_LINES", "60")))


class ManyCommandLines(CommandLines):
    def test_some(self):
        self.many(int(os.environ.get("ROUNDTRIP_FUZZ_LINES", "500")))


class Shapes(CommandLines):
    """Every combination of the flags of shape runs, or is refused with what would do."""

    def test_some(self):
        self.protocols = {p["name"]: p for p in json.loads(cli_test.call("list", "--json", "-").stdout)["protocols"]}
        rng = random.Random(SEED)
        for name, i in itertools.product(sorted(self.protocols), range(int(os.environ.get("ROUNDTRIP_FUZZ_SHAPES", "6")))):
            words = ["run", name, "--n", rng.choice([1, 2, 3, 16, 33, 48, 100]), "--quiet"]
            for flag, values in (("--memory", [1, 40, 2952, 100000]), ("--kappa-s", [1, 2, 3, 7, 40, 500]),
                                 ("--machines", [1, 5, 60, 400]), ("--eps", ["1/3", "1/2", "9/10", "1/50"]),
                                 ("--gamma", ["0", "1/4", "1"]), ("--delta", ["1/10", "9/10"])):
                if rng.random() < 0.5:
                    words += [flag, rng.choice(values)]
            with self.subTest(line=" ".join(map(str, words))):
                self.look_at(words)

    def test_named(self):
        self.refuse("run", "join", "--n", 33, "--memory", 2952, "--kappa-s", 3, says=["kappa_s is 3", "allowed is at least"])
        self.refuse("run", "sort", "--n", 50, "--kappa-s", 1 << 40, says=["kappa_s = 1099511627776", "4294967295"])
        self.refuse("run", "k_hop", "--n", 50, "--param", "k=99999999999999999999", says="9223372036854775807")


def components_of(ends):
    leader = {}

    def find(v):
        while leader.setdefault(v, v) != v:
            leader[v] = leader[leader[v]]
            v = leader[v]
        return v
    for u, v in zip(ends[::2], ends[1::2]):
        a, b = find(u), find(v)
        leader[max(a, b)] = min(a, b)
    return find


class Instances(cli_test.Case):
    """Small random instances at random eps and ranks, against oracles by definition."""
    INSTANCES = int(os.environ.get("ROUNDTRIP_FUZZ_INSTANCES", "3"))  # of each protocol

    def sorted_out(self, rng, n):
        values = [rng.randrange(-50, 50) for _ in range(n)]
        return {}, values, [str(v) for v in sorted(values)]

    def summed(self, rng, n):
        values = [rng.randrange(-50, 50) for _ in range(n)]
        return {}, values, [str(sum(values))]

    def hopped(self, rng, n):
        values, k = [str(rng.randrange(1 + n // 3)) for _ in range(n)], rng.randrange(1, 9)
        return {"k": k}, values, cli_test.lines_of(cli_test.hop(values, k)).splitlines()

    def joined(self, rng, n):
        values = [rng.randrange(n) for _ in range(n)]
        return {}, values, [str(values[v]) for v in values]

    def connected(self, rng, n):
        n += n % 2
        names = [rng.randrange(1 + n) for _ in range(n)]
        order = {v: i for i, v in enumerate(dict.fromkeys(names))}
        find = components_of([order[v] for v in names])
        first = list(order)
        return {"--format": "edges"}, names, [str(first[find(i)]) for i in range(len(first))]

    ORACLES = {"sort": sorted_out, "sum": summed, "k_hop": hopped, "join": joined, "components": connected}

    def test_against_oracles(self):
        """Protocols with an oracle here, by definition; all others by --check, whose oracles are sequential."""
        protocols = json.loads(cli_test.call("list", "--json", "-").stdout)["protocols"]
        rng = random.Random(SEED)
        counted = collections.Counter()
        for protocol, i in itertools.product(protocols, range(self.INSTANCES)):
            name, n = protocol["name"], rng.randrange(2, 120)
            ranks = rng.choice([0] * 16 + [1, 2, 3, 4])
            eps = f"{rng.randrange(30, 80)}/100"
            with self.subTest(protocol=name, n=n, eps=eps, ranks=ranks, number=i):
                if name not in self.ORACLES:
                    command = ("--eps", eps, "--seed", rng.randrange(1000), "--check")
                    done = cli_test.call("run", name, "--n", n, *command, ranks=ranks)
                    if done.returncode == 2:  # a size that the protocol does not serve: most serve multiples of 48
                        self.assertRegex(done.stderr, "^roundtrip: error: .*\n$")
                        done = cli_test.call("run", name, "--n", 48 * rng.randrange(1, 4), *command, ranks=ranks)
                    if done.returncode == 2:
                        self.assertRegex(done.stderr, "^roundtrip: error: .*\n$")
                        continue
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn("verdict: verified", done.stdout)
                else:
                    options, values, expected = self.ORACLES[name](self, rng, n)
                    source = self.file(" ".join(map(str, values)) if "--format" not in options else
                                       "".join(f"{u} {v}\n" for u, v in zip(values[::2], values[1::2])))
                    more = itertools.chain(*([key, value] if key.startswith("--") else ["--param", f"{key}={value}"]
                                             for key, value in options.items()))
                    got = self.succeed("run", name, "--input", source, *more, "--eps", eps, "--output", "-", ranks=ranks)
                    self.assertEqual(got.splitlines(), expected)
                counted[name] += 1
        for protocol in protocols:
            self.assertGreater(counted[protocol["name"]], 0, counted)


class ManyInstances(Instances):
    INSTANCES = int(os.environ.get("ROUNDTRIP_FUZZ_INSTANCES", "300"))


if __name__ == "__main__":
    cli_test.main()
