"""Drives the built program as a user does. One class is one ctest entry: cli_test.py --roundtrip PATH CLASS.

Statuses, streams and files are what is looked at: every refusal is exactly one line on standard error, and no run may
leave a partial file or hang (each call has a timeout)."""

import argparse
import contextlib
import csv
import fractions
import gzip
import json
import math
import os
import pathlib
import pty
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROUNDTRIP = "roundtrip"  # set by main()
MPIEXEC = "mpirun"
RANKS = (1, 2, 3, 4, 7)
# Where Open MPI keeps its sessions: launchers that start and end side by side remove a common folder under each other.
SESSIONS = tempfile.TemporaryDirectory(prefix="s")
os.environ["OMPI_MCA_orte_tmpdir_base"] = SESSIONS.name
LICENCES = pathlib.Path("/usr/share/common-licenses")
# Of a run's JSON, what may differ between ranks and transports.
PLACE_KEYS = ("transport", "ranks", "seconds")
RUN_KEYS = """schema protocol n epsilon gamma delta eta kappa_s kappa_q seed machines memory_words word_bits rounds
 rounds_bound max_words_sent max_words_received max_scratch_words max_heap_words working_words total_words
 below_range transport ranks seconds verdict""".split()
TRANSFORMER_KEYS = """construction digits depth depth_bound heads embedding_dim width width_bound overflow
 equal""".split()


def call(*arguments, ranks=0, stdin="", timeout=60):
    """Runs roundtrip, under mpirun if ranks > 0, and returns the finished process."""
    launcher = [MPIEXEC, "-q", "--oversubscribe", "-n", str(ranks)] if ranks else []
    return subprocess.run(launcher + [ROUNDTRIP, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout)


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name)

    def file(self, content, name="input"):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def licences(self):
        """The licence texts that every Debian has, each once: 37,000 words."""
        files = sorted(f for f in LICENCES.iterdir() if not f.is_symlink())
        return self.file(b"".join(f.read_bytes() for f in files), "licences")

    def succeed(self, *arguments, status=0, **options):
        done = call(*arguments, **options)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stderr}{done.stdout}")
        self.assertEqual(done.stderr, "", arguments)
        return done.stdout

    def refuse(self, *arguments, says, status=2, **options):
        """Ends with the status and one line that holds every part of `says`."""
        done = call(*arguments, **options)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stderr}{done.stdout}")
        self.assertEqual(done.stdout, "", arguments)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("roundtrip: error: "), lines[0])
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, lines[0])
        return lines[0]

    def run_facts(self, *arguments, status=0, **options):
        """(JSON, output bytes) of `run`."""
        output, facts = self.path / "output", self.path / "facts"
        for stale in (output, facts):
            stale.unlink(missing_ok=True)
        self.succeed("run", *arguments, "--output", output, "--json", facts, status=status, **options)
        return json.loads(facts.read_text()), output.read_bytes()


def npy(descr, shape, data):
    """A .npy file as numpy's format description has it."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def hop(words, k):
    """k_hop by its definition (Sanford, Hsu, Telgarsky 2024), positions from 1; quadratic; None is absent."""
    n = len(words)
    find = [0] * (n + 1)
    for i in range(1, n + 1):
        find[i] = next((j for j in range(i, 1, -1) if words[j - 2] == words[i - 1]), 0)
    outputs = []
    for i in range(1, n + 1):
        for _ in range(k):
            i = find[i]
        outputs.append(words[i - 1] if i else None)
    return outputs


def lines_of(outputs):
    return "".join(("" if word is None else word) + "\n" for word in outputs)


class Refusals(Case):
    def test_input(self):
        words = ("--format", "words", "--input")
        self.refuse("run", "k_hop", *words, self.file(""), says="holds no words")
        self.refuse("run", "k_hop", *words, self.file(" \n\t\r\v\f"), says="holds no words")
        self.refuse("run", "k_hop", *words, self.path / "missing", says=["missing", "No such file"])
        self.refuse("run", "k_hop", *words, self.path, says=["is a directory"])
        self.refuse("run", "sort", "--input", self.file(b"\x7fELF\x02\x01\x00\x00"), says=["line 1", "\\x7fELF", "not a number"])
        self.refuse("run", "sort", "--input", self.file("1 2\n3 4x\n"), says=["line 2", "'4x'", "not a number"])
        self.refuse("run", "sort", "--input", self.file("1 2\n3 140737488355328\n"), says=["line 2", "140737488355328", "140737488355327"])
        for huge in ("-99999999999999999999", "99999999999999999999999999"):  # beyond 64 bits
            self.refuse("run", "sum", "--input", self.file(f"1\n\n{huge}\n"),
                        says=f"line 3: '{huge}' is out of range; allowed is -140737488355328 to 140737488355327 (words of 48 bits)")
        self.refuse("run", "sort", "--input", self.file("1 2 3"), "--n", 4, says=["--n 4", "3 numbers"])
        huge = self.file("1", "huge")
        os.truncate(huge, 1 << 42)  # takes no room on disk
        self.refuse("run", "sort", "--input", huge, says=["huge' needs 439804651110", " bytes of memory", "free"])
        self.refuse("run", "sort", "--input", "-", stdin="", says=["standard input", "holds no numbers"])

    def test_npy(self):
        def refuse(content, says):
            self.refuse("run", "sort", "--format", "npy", "--input", self.file(content, "a.npy"), says=["a.npy", says])
        refuse("1 2 3", "not an .npy file")
        refuse(npy("<f8", "(3,)", bytes(24)), "F64")
        refuse(npy("<i8", "(3,)", bytes(23)), "23 bytes")
        refuse(npy("<u8", "(2,)", bytes(15) + b"\x80"), "2^63")
        refuse(npy("<i8", "(2,)", bytes(14) + b"\x00\x40"), "value 2: 4611686018427387904 is out of range")

    def test_edges(self):
        def refuse(content, *says):
            self.refuse("run", "sort", "--format", "edges", "--input", self.file(content), says=["'", *says])
        refuse("# nothing\n% here\n", "holds no ends of edges")
        refuse("1 2\n\n3\n", "line 3", "'3' is not two vertices")
        refuse("%%MatrixMarket matrix array real general\n2 2\n1\n2\n", "line 1", "coordinates")
        refuse("%%MatrixMarket matrix coordinate pattern general\n% 9\n4 4 x\n1 2\n", "line 3", "rows, columns and entries")
        refuse("%%MatrixMarket matrix coordinate pattern general\n4 4 3\n1 2\n3 4\n", "2 entries", "announces 3")
        refuse('digraph g {\n"a" -> "b"\n"a" ->\n}\n', "line 4", "vertex to vertex")
        refuse("one two\n  two three and more\n", "line 2", "2 fields")
        self.refuse("run", "sort", "--format", "edges", "--input", self.file("1 2\n"), "--n", 1, says="even")
        self.refuse("run", "sort", "--format", "edges", "--input", self.file("1 2\n"), "--n", 4, says="only 2 ends of edges")

    def test_gzip(self):
        whole = gzip.compress(b"1 2 3 " * 1000)
        for damaged in (whole[:-1], whole[:len(whole) // 2], whole[:20], whole[:-5] + b"\0" + whole[-4:]):
            self.refuse("run", "sort", "--input", self.file(damaged, "a.gz"), says=["a.gz", "gzip data are damaged"])

    def test_parameters(self):
        for eps in ("0", "1", "-1/2", "3/2"):
            self.refuse("run", "sort", "--n", 100, "--eps", eps, says=["eps"])
        for eps in ("1/0", "x", ""):
            self.refuse("run", "sort", "--n", 100, "--eps", eps, says=["--eps"])
        self.refuse("run", "sort", "--n", 1000, "--memory", 3, "--machines", 1000,
                    says=["memory is 3 words", "allowed is at least 88"])
        self.succeed("run", "sort", "--n", 1000, "--memory", 88, "--machines", 1000)
        self.refuse("run", "sort", "--n", 1000, "--memory", 87, "--machines", 1000, says="allowed is at least 88")
        self.refuse("run", "k_hop", "--n", 100, "--param", "k=0", says=["k", "0"])
        self.refuse("run", "k_hop", "--n", 100, "--param", "k=x", says=["k", "x"])
        self.refuse("run", "k_hop", "--n", 100, "--param", "hops=2", says=["hops", "'k'"])
        self.refuse("run", "k_hop", "--n", 100, "--param", "k", says=["name=value"])
        self.refuse("run", "sum", "--n", 0, says=["--n 0", "1.."])
        self.refuse("run", "sum", "--n", "-3", says=["--n"])
        self.refuse("run", "sum", "--n", 100, "--memory", 1, says=["memory"])
        self.refuse("run", "sum", "--n", 100, "--machines", 1, says=["machines"])

    def test_names(self):
        self.refuse("rum", "sort", says=["rum", "'run'"])
        self.refuse("sort", "--n", 9, says="did you mean `roundtrip run sort`?")
        self.refuse("decompile", "model", "--n", 9, says=["'model'", "a / or a . in its name"])
        self.refuse("explain", "sort", "--n", 9, "--attention", "softmax", says="--attention softmax: of random models only")
        self.refuse("run", "srot", "--n", 9, says=["srot", "sort"])
        self.refuse("list", "khop", says=["khop", "k_hop"])
        self.refuse("compile", "match", "--n", 9, says=["match2"])
        self.refuse("run", "sort", "--n", 9, "--chekc", says=["--chekc", "--check"])
        self.refuse("run", "sort", "--n=9", "--ouptut=x", says=["--ouptut", "--output"])
        self.refuse("run", "sort", "--n", 9, "--transport", "tcp", says=["--transport tcp"])
        self.refuse("run", "sort", "--input", "x", "--format", "word", says=["--format word", "words, bytes"])
        self.refuse("compile", "sort", "--n", 9, "--construction", "router", says=["router", "direct, scattered or routed"])
        self.refuse("compile", "sort", "--n", 9, "--digits", 2, says=["--digits", "--construction routed"])
        self.refuse("verify", "theorem_of_nobody", says=["theorem_of_nobody"])
        self.refuse("verify", "--faults", "--sizes", "full", says=["--sizes"])
        self.refuse("verify", "--faults", "fault_of_nobody", says=["fault_of_nobody", "--faults"])
        self.refuse(says="subcommand")
        self.refuse("run", says="PROTOCOL")

    def test_one_machine_per_rank(self):
        machines = json.loads(self.succeed("run", "sum", "--n", 64, "--json", "-"))["machines"]
        self.assertGreater(machines, 2)
        self.refuse("run", "sum", "--n", 64, "--one-machine-per-rank", says=[str(machines)])
        self.refuse("run", "sum", "--n", 64, "--one-machine-per-rank", ranks=2, says=[str(machines), "2"])

    def test_on_every_rank_count(self):
        """One line and one status, whoever sees the error first; nobody waits for anybody."""
        for ranks in (1, 2, 4):
            self.refuse("run", "sort", "--input", self.path / "missing", ranks=ranks, says="No such file")
            self.refuse("run", "sort", "--n", 9, "--eps", "2", ranks=ranks, says="eps")
            self.refuse("rum", ranks=ranks, says="'run'")
            self.refuse("run", "sort", "--n", 9, "--output", self.path / "no" / "file", ranks=ranks, says="cannot write")
        self.refuse("run", "sort", "--n", 9, "--transport", "inprocess", ranks=2, says="--transport inprocess")

    def test_no_partial_output(self):
        kept = self.file("kept", "kept")
        self.refuse("run", "sort", "--n", 100, "--limit-words", 1, "--quiet", "--output", kept, status=3, says="round")
        self.assertEqual(kept.read_text(), "kept")
        self.assertEqual([f.name for f in self.path.iterdir()], ["kept"])


class Formats(Case):
    def test_numbers(self):
        numbers = self.file("3 -1\t4\r\n1\v-5\f9 +2 -140737488355328 140737488355327")
        self.assertEqual(self.run_facts("sort", "--input", numbers)[1].split(),
                         b"-140737488355328 -5 -1 1 2 3 4 9 140737488355327".split())
        self.assertEqual(self.succeed("run", "sort", "--input", "-", "--n", 3, "--output", "-", stdin="3 1 2 x"), "1\n2\n3\n")

    def test_bytes(self):
        everything = self.file(bytes(range(255, -1, -1)))
        self.assertEqual(self.run_facts("sort", "--input", everything, "--format", "bytes")[1].split(),
                         [b"%d" % value for value in range(256)])

    def test_words(self):
        """Case kept; separators are ASCII white space alone: no-break space and the NUL byte belong to words."""
        text = b"\xc2\xa0a B\x00 b \xff a\nB\x00\xe2\x80\x83 b"
        words = [w.decode("latin-1") for w in text.replace(b"\n", b" ").split(b" ")]
        facts, output = self.run_facts("k_hop", "--input", self.file(text), "--format", "words", "--param", "k=1")
        self.assertEqual(facts["n"], len(words))
        self.assertEqual(output.decode("latin-1"), lines_of(hop(words, 1)))

    def test_small_texts(self):
        """One word, fewer than a block, not a square, all equal, k beyond N: as the quadratic oracle says."""
        texts = {"one": 1, "a b": 1, "a b a": 2, "x x x x x x x": 3, "to be or not to be or not to see": 1}
        texts[" ".join("abcabbacab" * 13)] = 4
        for text, k in texts.items():
            for hops in (k, 1000):
                words = text.split()
                facts, output = self.run_facts("k_hop", "--input", self.file(text), "--format", "words", "--param", f"k={hops}",
                                               "--check")
                self.assertEqual(output.decode(), lines_of(hop(words, hops)), text)
                self.assertEqual((facts["verdict"], facts["n"]), ("verified", len(words)))

    def test_npy(self):
        for descr, code in (("<i8", "q"), ("<i2", "h"), ("|i1", "b")):
            table = self.file(npy(descr, "(2, 3)", struct.pack("<6" + code, 5, -3, 0, 100, -128, 1)))
            self.assertEqual(self.run_facts("sort", "--input", table, "--format", "npy")[1], b"-128\n-3\n0\n1\n5\n100\n")
        self.assertEqual(self.run_facts("sort", "--input", table, "--format", "npy", "--n", 4)[1], b"-3\n0\n5\n100\n")

    def test_edges(self):
        """The words are the ends of the edges in order, numbered by first occurrence; sorted, by that number."""
        lists = {
            "# SNAP\n# FromNodeId\tToNodeId\n30\t1412\r\n30\t3352\n\n1412\t30": "30 30 30 1412 1412 3352",
            "% sym unweighted\n% 3 3 3\n7 5 1 9876543\n5 6 1 9876544\n": "7 5 5 6",
            "%%MatrixMarket matrix coordinate real symmetric\n% by hand\n3 3 2\n3 1 -0.5\n2 2 7\n": "3 1 2 2",
            "one two\n  two three\n": "one two two three",
            'digraph packages {\nconcentrate=true;\nsize="30,40";\n"b" [color=orange,shape=box];\n"b" -> "a b"[color=blue];\n'
            '"c++-9" -> "b";\nx->y--z [w=1];\n}\n': "b b a+b c++-9 x y y z",
        }
        for text, ends in lists.items():
            facts, output = self.run_facts("sort", "--input", self.file(text), "--format", "edges")
            self.assertEqual(output.decode().replace("a b", "a+b").split(), ends.split(), text)
            self.assertEqual(facts["n"], len(ends.split()))
        self.assertEqual(self.run_facts("sort", "--input", self.file("a b\nb c\nnonsense"), "--format", "edges", "--n", 4)[1],
                         b"a\nb\nb\nc\n")

    def test_gzip(self):
        """Compressed input of any format is the same input, in several members and from standard input too."""
        text = pathlib.Path(__file__).with_name("raven.txt").read_bytes()
        arguments = ("k_hop", "--format", "words", "--input")
        plain = self.run_facts(*arguments, self.file(text))[1]
        packed = self.file(gzip.compress(text[:1000]) + gzip.compress(text[1000:]), "raven.gz")
        self.assertEqual(self.run_facts(*arguments, packed)[1], plain)
        shell = f"'{ROUNDTRIP}' run {' '.join(arguments)} - --output - < '{packed}'"
        self.assertEqual(subprocess.run(["bash", "-c", shell], capture_output=True, timeout=60, check=True).stdout, plain)
        table = gzip.compress(npy("<i8", "(2,)", struct.pack("<2q", 2, 1)))
        self.assertEqual(self.run_facts("sort", "--input", self.file(table), "--format", "npy")[1], b"1\n2\n")

    def test_memory_and_machines(self):
        facts, _ = self.run_facts("sum", "--n", 1000, "--memory", 64, "--machines", 500)
        self.assertEqual((facts["memory_words"], facts["machines"]), (64, 500))


class Reports(Case):
    def test_help_and_version(self):
        for subcommand in ([], ["list"], ["run"], ["compile"], ["verify"]):
            self.assertIn("Example", self.succeed(*subcommand, "--help"))
        version = self.succeed("--version")
        for part in ("roundtrip ", "compiler: ", "MPI: ", "BLAS: "):
            self.assertIn(part, version)
        self.assertEqual(self.succeed("--version", ranks=3), version)  # rank 0 alone speaks

    def test_list(self):
        overview = self.succeed("list")
        for name in ("sum", "sort", "match2", "k_hop"):
            self.assertIn(name, overview)
            self.assertIn("R = ", self.succeed("list", name))
        everything = json.loads(self.succeed("list", "--json", "-"))
        listed, constructions = everything["protocols"], everything["constructions"]
        self.assertLessEqual({"direct", "scattered", "routed"}, {c["name"] for c in constructions})
        for construction in constructions:
            card = self.succeed("list", construction["name"])
            self.assertIn("Guarantee:", card)
            for option in construction["options"]:
                self.assertIn("--" + option["name"], card)
        self.assertLessEqual({"sum", "sort", "match2", "k_hop"}, {p["name"] for p in listed})

    def test_run(self):
        report = self.succeed("run", "sort", "--n", 300, "--check")
        self.assertEqual(report.splitlines()[-1], "verdict: verified")
        self.assertEqual(self.succeed("run", "sort", "--n", 300, "--quiet"), "")
        facts = json.loads(self.succeed("run", "sort", "--n", 300, "--eps", "0.5", "--json", "-"))
        self.assertLessEqual(set(RUN_KEYS), set(facts))
        self.assertEqual((facts["verdict"], facts["epsilon"], facts["n"]), ("done", "1/2", 300))
        self.assertEqual(len(facts["ledger"]), facts["rounds"])
        self.assertEqual(facts["rounds"], facts["rounds_bound"])
        self.assertEqual(sum(r["total_words"] for r in facts["ledger"]), facts["total_words"])
        for key in ("max_words_sent", "max_words_received"):
            self.assertEqual(max(r[key] for r in facts["ledger"]), facts[key])
            self.assertLessEqual(facts[key], facts["memory_words"])

    def test_seed(self):
        one, two, again = (self.run_facts("sort", "--n", 300, "--seed", seed)[1] for seed in (1, 2, 1))
        self.assertEqual(one, again)
        self.assertNotEqual(one, two)

    def test_plan(self):
        planned = json.loads(self.succeed("run", "sort", "--n", 4096, "--plan", "--json", "-"))
        facts, _ = self.run_facts("sort", "--n", 4096)
        for key in ("machines", "memory_words", "rounds_bound"):
            self.assertEqual(planned[key], facts[key])
        self.assertIn("transformer", self.succeed("compile", "sort", "--n", 4096, "--plan"))
        self.refuse("run", "sum", "--n", 1 << 40, "--eps", "1/2", says="bytes")

    def test_compile(self):
        report = self.succeed("compile", "k_hop", "--n", 100, "--param", "k=3", "--check")
        self.assertEqual(report.splitlines()[-1], "verdict: verified")
        for attention in ("ema", "anna", "softmax"):
            facts = json.loads(self.succeed("compile", "sum", "--n", 256, "--attention", attention, "--json", "-"))
            self.assertEqual(facts["ids"], "fallback" if attention == "softmax" else "long")
            self.assertLessEqual(set(RUN_KEYS + TRANSFORMER_KEYS), set(facts))
            self.assertTrue(facts["equal"])
            self.assertEqual(facts["depth"], facts["rounds"] + 1)
        facts = json.loads(self.succeed("compile", "sum", "--n", 256, "--construction", "routed", "--digits", 2, "--json", "-"))
        self.assertTrue(facts["equal"])
        self.assertEqual((facts["digits"], facts["depth"]), (2, 2 + 2 * 2 * facts["rounds"]))
        self.assertLessEqual(facts["width"], facts["width_bound"])
        widths = {ids: json.loads(self.succeed("compile", "sum", "--n", 256, "--ids", ids, "--json", "-"))["width"] for ids in ("long", "short")}
        self.assertEqual(widths, {"long": 17 * 128, "short": 16 * 32})  # short: s heads of 2q numbers
        self.refuse("compile", "sum", "--n", 16, "--attention", "softmax", "--ids", "short", says=["softmax", "--ids fallback"])
        for flags in (("--attention", "softmax"), ("--construction", "scattered")):
            self.refuse("compile", "sum", "--n", 16, *flags, "--certificate", self.path / "c.gz", says=["--certificate", flags[1]])
        self.refuse("compile", "match2", "--n", 16, "--native", "--attention", "lstm", says=["--native", "lstm", "known are ema, anna, softmax, window, chunked"])
        output, run_output = self.path / "transformer", self.path / "run"
        self.succeed("compile", "sort", "--n", 100, "--output", output, "--quiet")
        self.succeed("run", "sort", "--n", 100, "--output", run_output, "--quiet")
        self.assertEqual(output.read_bytes(), run_output.read_bytes())

    def test_faults(self):
        """Both names, of an area and of a fault, on one rank and on two; the tests' build holds the faults."""
        facts = {}
        for ranks in (0, 2):
            report = self.path / f"faults{ranks}"
            table = self.succeed("verify", "--faults", "packet code", "last-message", "--json", report, ranks=ranks)
            self.assertIn("12 of 12 faults rejected", table)
            facts[ranks] = json.loads(report.read_text())["faults"]
            self.assertTrue(all(fault["rejected"] and fault["accepted_off"] for fault in facts[ranks]))
        self.assertEqual(facts[0], facts[2])

    def test_pipes(self):
        """A reader that leaves early ends the program without a word; a full disk is an error."""
        shell = f"set -o pipefail; '{ROUNDTRIP}' run sort --n 200000 --output - | head -n 1"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stderr, done.stdout.count("\n"), done.returncode), ("", 1, 141))
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([ROUNDTRIP, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot write 'standard output'", done.stderr)
        self.refuse("run", "sort", "--n", 9, "--output", "-", "--json", "-", says="only one")


class Ranks(Case):
    """Output, ledger and JSON are the same on any number of ranks and in process."""

    def compare(self, *arguments, rank_counts=RANKS):
        facts, output = self.run_facts(*arguments)
        self.assertEqual((facts["transport"], facts["ranks"]), ("inprocess", 1))
        for ranks in rank_counts:
            others, theirs = self.run_facts(*arguments, ranks=ranks)
            self.assertEqual((others["transport"], others["ranks"]), ("mpi", ranks))
            self.assertEqual({k: v for k, v in others.items() if k not in PLACE_KEYS},
                             {k: v for k, v in facts.items() if k not in PLACE_KEYS})
            self.assertEqual(theirs, output)
        return facts, output

    def test_small_text(self):
        text = pathlib.Path(__file__).with_name("raven.txt")
        facts, output = self.compare("k_hop", "--input", text, "--format", "words", "--eps", "1/2", "--param", "k=4", "--check")
        self.assertEqual(output.decode(), lines_of(hop(text.read_text().split(), 4)))
        self.assertEqual(facts["verdict"], "verified")

    def test_large_text(self):
        facts, _ = self.compare("k_hop", "--input", self.licences(), "--format", "words", "--eps", "1/2", "--param", "k=4",
                                "--check")
        self.assertGreaterEqual(facts["n"], 20000)
        self.assertEqual(facts["verdict"], "verified")

    def test_others(self):
        for protocol in ("sum", "sort", "match2"):
            self.assertEqual(self.compare(protocol, "--n", 1000, "--check")[0]["verdict"], "verified")

    def test_gamma(self):
        """q = ceil(kappa_q N^(1 + gamma) / b); outputs and rounds are those of gamma = 0, and machines hold fewer words."""
        for protocol, spreads in (("sort", True), ("k_hop", True), ("sum", False)):
            for n in (256, 1000, 4096):
                arguments = (protocol, "--n", n, "--check")
                plain, output = self.run_facts(*arguments)
                b = math.isqrt(n - 1) + 1
                kappa = fractions.Fraction(plain["kappa_q"])
                self.assertEqual(kappa * n, plain["machines"] * b)
                for gamma in ("0", "1/4", "1/2"):
                    rank_counts = RANKS if n == 1000 and gamma == "1/4" else ()
                    facts, words = self.compare(*arguments, "--gamma", gamma, rank_counts=rank_counts)
                    target = (kappa * n / b) ** 4 * n ** int(4 * fractions.Fraction(gamma))  # q^4 is at least that
                    q = facts["machines"]
                    self.assertTrue((q - 1) ** 4 < target <= q ** 4, (protocol, n, gamma, q))
                    self.assertEqual((facts["kappa_q"], facts["verdict"]), (plain["kappa_q"], "verified"))
                    self.assertEqual(words, output)
                    self.assertLessEqual(facts["rounds"], plain["rounds"])
                most = [f["ledger"][0]["max_words_received"] for f in (facts, plain)]
                if spreads and n == 4096:  # at gamma = 1/2
                    self.assertLess(*most)
                if not spreads:
                    self.assertEqual(*most)
        self.refuse("run", "sort", "--n", 4096, "--gamma", "-1", says=["gamma", "-1"])
        self.refuse("run", "sort", "--n", 4096, "--gamma", "3", says=["gamma = 3", "below 2^31"])
        self.refuse("compile", "sort", "--n", 4096, "--gamma", "9", "--plan", says="63 bits")
        self.assertIn("spreads the input", self.succeed("list", "sort"))
        self.assertIn("idle", self.succeed("list", "sum"))
        for construction in ("direct", "scattered", "routed"):
            compiled = self.path / "compiled"
            self.succeed("compile", "sort", "--n", 64, "--gamma", "1/2", "--construction", construction, "--check", "--json",
                         compiled)
            facts = json.loads(compiled.read_text())
            self.assertEqual((facts["verdict"], facts["gamma"]), ("verified", "1/2"))
            plan = json.loads(self.succeed("compile", "sort", "--n", 64, "--gamma", "1/2", "--construction", construction,
                                           "--plan", "--json", "-"))
            self.assertEqual(plan["machines"], facts["machines"])

    def test_more_ranks_than_machines(self):
        self.compare("k_hop", "--n", 5)

    def test_limit(self):
        """One word less than the busiest machine moves stops every rank with the same line, status 3."""
        arguments = ("k_hop", "--n", 2000, "--param", "k=4")
        facts, _ = self.run_facts(*arguments)
        most = max(facts["max_words_sent"], facts["max_words_received"])
        self.run_facts(*arguments, "--limit-words", most)
        said = set()
        for ranks in (0,) + RANKS:
            json_file = self.path / "violated"
            said.add(self.refuse("run", *arguments, "--limit-words", most - 1, "--json", json_file, "--quiet", ranks=ranks,
                                 status=3, says=["machine", "round", str(most), str(most - 1)]))
            broken = json.loads(json_file.read_text())
            self.assertEqual(broken["verdict"], "violated")
            self.assertEqual((broken["violation"]["used"], broken["violation"]["allowed"]), (most, most - 1))
        self.assertEqual(len(said), 1, said)

    def test_one_machine_per_rank(self):
        arguments = ("k_hop", "--n", 30, "--eps", "1/3", "--param", "k=2")
        facts, output = self.run_facts(*arguments)
        machines = facts["machines"]
        self.assertTrue(7 < machines <= 36, machines)
        single, theirs = self.run_facts(*arguments, "--one-machine-per-rank", ranks=machines)
        self.assertEqual(theirs, output)
        self.assertEqual(single["ledger"], facts["ledger"])


class WithoutInput(Case):
    """Every protocol has an example, and every command works on it."""

    def test_every_protocol(self):
        protocols = json.loads(self.succeed("list", "--json", "-"))["protocols"]
        self.assertGreater(len(protocols), 15)
        for protocol in protocols:
            name = protocol["name"]
            for command in (("run", name, "--check"), ("compile", name, "--check"), ("decompile", name)):
                self.assertIn("verdict: verified", self.succeed(*command), command)
            self.assertIn("Round 1 of", self.succeed("explain", name, "--round", 1))
        self.assertIn("the protocol's example", self.succeed("run", "k_hop"))
        self.assertNotIn("the protocol's example", self.succeed("run", "k_hop", "--n", 16))
        self.assertIn("eps = 1/4", self.succeed("run", "k_hop_walk"))
        self.assertIn("eps = 1/3", self.succeed("run", "k_hop_walk", "--eps", "1/3"))
        self.assertIn("Round 1 of", self.succeed("explain", "random:L=1,H=2,d=8,m=2,w=2,c=8", "--round", 1))
        self.succeed("run", "k_hop", "--quiet", ranks=2)

    def test_demo(self):
        text = self.succeed("demo", timeout=60)
        self.assertEqual(text.count(": yes."), 2)
        self.assertRegex(text, r"With s = 3 the run stops: machine \d+ in round \d+ \w+ 4 words, allowed 3\.")
        words, answers = (line.split()[1:] for line in text.splitlines()[2:4])
        self.assertEqual(len(words), 16)
        for i, (word, answer) in enumerate(zip(words, answers)):  # by definition, from the text that is shown
            before = [j for j in range(1, i + 1) if words[j - 1] == word]
            self.assertEqual(answer, words[before[-1]] if before else "-")
        self.assertEqual([line for line in text.splitlines() if len(line) > 110], [])


class Sweep(Case):
    def rows(self, *arguments, **options):
        return json.loads(self.succeed("sweep", *arguments, "--json", "-", **options))["rows"]

    def test_equals_single_runs(self):
        rows = self.rows("k_hop", "--n", "64,100", "--eps", "1/2,1/3", "--param", "k=1,4", "--by", "compile")
        self.assertEqual(len(rows), 8)
        for row in rows:
            facts = json.loads(self.succeed("compile", "k_hop", "--n", row["n"], "--eps", row["eps"], "--param", f"k={row['k']}",
                                            "--json", "-", "--quiet", "--check"))
            self.assertEqual((row["machines"], row["memory_words"], row["rounds"], row["max_words_sent"], row["max_words_received"],
                              row["layers"], row["heads"], row["width"], row["verdict"]),
                             tuple(facts[k] for k in ("machines", "memory_words", "rounds", "max_words_sent", "max_words_received",
                                                      "depth", "heads", "width", "verdict")))

    def test_resumes(self):
        table = self.path / "table.csv"
        self.succeed("sweep", "sort", "--n", "64,256", "--by", "run", "--csv", table, "--quiet")
        lines = table.read_text().splitlines()
        self.assertEqual(len(lines), 3)
        # What is there is taken over, not computed again.
        table.write_text(table.read_text().replace(lines[1], lines[1].replace("verified", "kept")))
        self.succeed("sweep", "sort", "--n", "64,256,1024", "--by", "run", "--csv", table, "--quiet")
        self.assertEqual(table.read_text().splitlines()[1:3], [lines[1].replace("verified", "kept"), lines[2]])
        self.assertIn("1024", table.read_text().splitlines()[3])
        self.refuse("sweep", "k_hop", "--n", "64", "--param", "k=1", "--csv", table, says="another table")

    def test_rows_that_are_not_allowed(self):
        rows = self.rows("components", "--n", "15,16")
        self.assertEqual([r["verdict"] for r in rows if "verdict" in r], ["not allowed"])
        self.assertIn("even", rows[0]["error"])
        self.assertIn("machines", rows[1])
        self.assertIn('"', self.succeed("sweep", "components", "--n", "15"))  # a cell with commas is quoted
        for arguments, says in ((("--n", "4,,5"), "commas"), (("--n", "x"), "--n"), (("--param", "q=1"), "no such parameter"),
                                (("--eps", "a"), "--eps")):
            self.refuse("sweep", "k_hop", *arguments, says=says)

    def test_page(self):
        page = self.path / "page.html"
        self.succeed("sweep", "k_hop", "--n", "256,1024,4096", "--eps", "1/4,1/2", "--html", page, "--quiet")
        text = page.read_text()
        self.assertEqual(text.count("<svg"), 5)
        self.assertEqual(text.count("<tr>"), 7)
        self.assertNotIn("<script", text)


class Traces(Case):
    ARGUMENTS = ("k_hop", "--n", 1000, "--param", "k=4")

    def written(self, flag, ranks, *more):
        """(what `flag` writes, JSON of the run)"""
        file = self.path / "written"
        file.unlink(missing_ok=True)
        facts, _ = self.run_facts(*self.ARGUMENTS, flag, file, *more, ranks=ranks)
        return file.read_text(), facts

    def test_csv(self):
        """A row for each round and machine, equal on any ranks; its maxima and sums are the ledger's."""
        text, facts = self.written("--csv", 0)
        for ranks in RANKS:
            self.assertEqual(self.written("--csv", ranks)[0], text)
        rows = [{key: int(value) for key, value in row.items()} for row in csv.DictReader(text.splitlines())]
        self.assertEqual(list(rows[0]), ["round", "machine", "words_sent", "words_received", "scratch_words",
                                         "heap_words"])
        self.assertEqual([(r["round"], r["machine"]) for r in rows],
                         [(r, m) for r in range(1, facts["rounds"] + 1) for m in range(facts["machines"])])
        for number, ledger in enumerate(facts["ledger"], 1):
            these = [r for r in rows if r["round"] == number]
            for key in ("words_sent", "words_received", "scratch_words", "heap_words"):
                self.assertEqual(max(r[key] for r in these), ledger["max_" + key])
            for key in ("words_sent", "words_received"):
                self.assertEqual(sum(r[key] for r in these), ledger["total_words"])

    def test_dump(self):
        """What machines had and sent, equal on any ranks, with as many words as the ledger counts; and what is refused."""
        shown = {ranks: self.succeed("run", *self.ARGUMENTS, "--dump", "3:*", ranks=ranks) for ranks in (0, *RANKS)}
        dumps = {ranks: re.findall(r"^round .*\n(?:  (?:from|to) .*\n)*", text, re.M) for ranks, text in shown.items()}
        for ranks in RANKS:
            self.assertEqual(dumps[ranks], dumps[0])
        facts, _ = self.run_facts(*self.ARGUMENTS)
        heads = [re.match(r"round 3 \((.+)\), machine (\d+): (\d+) words in, (\d+) out\n", dump) for dump in dumps[0]]
        self.assertEqual([int(head[2]) for head in heads], list(range(facts["machines"])))
        self.assertEqual(sum(int(head[4]) for head in heads), facts["ledger"][2]["total_words"])
        for head, dump in zip(heads, dumps[0]):
            for count, word in ((head[3], "from"), (head[4], "to")):
                lines = re.findall(rf"^  {word} [^:]*: (.*)$", dump, re.M)
                self.assertEqual(sum(len(re.sub(r"\(.*?\)", "", line).split()) for line in lines), int(count))
        one = self.succeed("run", *self.ARGUMENTS, "--dump", "3:2")
        self.assertEqual(re.findall(r"^round .*", one, re.M), [heads[2][0].strip()])
        for arguments, why in ((("3",), "ROUND:MACHINE"), (("x:1",), "--dump x"), (("0:1",), "round 0"), (("999:1",), "round 999"),
                               (("1:99999",), "machine 99999"), (("1:1", "--quiet"), "standard output"),
                               (("1:1", "--output", "-"), "standard output")):
            self.refuse("run", *self.ARGUMENTS, "--dump", *arguments, says=why)

    def events(self, text, facts, tracks):
        """Looks at every event of a trace, and returns its rounds by track."""
        found = {}
        counters = []
        for event in json.loads(text)["traceEvents"]:
            self.assertIn(event["ph"], "MXC")
            self.assertIn(event["pid"], range(tracks))
            if event["ph"] == "C":
                counters.append(event["args"])
            if event["ph"] == "X":
                found.setdefault(event["pid"], []).append(event)
        self.assertEqual(sorted(found), list(range(tracks)))
        for spans in found.values():
            rounds = spans[::4]
            self.assertEqual([e["name"] for e in rounds], [f"round {r + 1}" for r in range(facts["rounds"])])
            before = 0
            for i, whole in enumerate(rounds):
                parts = spans[4 * i + 1:4 * i + 4]
                self.assertEqual([p["name"] for p in parts], ["step", "exchange", "scatter"])
                self.assertGreaterEqual(whole["ts"], before - 0.001)
                before = whole["ts"] + whole["dur"]
                at = whole["ts"]
                for part in parts:  # one behind the other, filling the round
                    self.assertAlmostEqual(part["ts"], at, places=3)
                    self.assertGreaterEqual(part["dur"], 0)
                    at = part["ts"] + part["dur"]
                self.assertAlmostEqual(at, before, places=3)
        busiest, total = counters[::2], counters[1::2]
        self.assertEqual(busiest, [{"sent": r["max_words_sent"], "received": r["max_words_received"],
                                    "scratch": r["max_scratch_words"], "heap": r["max_heap_words"]}
                                   for r in facts["ledger"]])
        self.assertEqual(total, [{"sent": r["total_words"]} for r in facts["ledger"]])
        return found

    def test_trace(self):
        logical, facts = self.written("--trace", 0, "--trace-clock", "logical")
        rounds = self.events(logical, facts, 1)[0]
        self.assertEqual(rounds[0]["args"], {"round": 1, "phase": "to the sort machines"})
        for ranks in RANKS:
            self.assertEqual(self.written("--trace", ranks, "--trace-clock", "logical")[0], logical)
        for ranks in (0, 1, 3):
            wall, facts = self.written("--trace", ranks)
            last = [spans[-4] for spans in self.events(wall, facts, max(ranks, 1)).values()]
            for whole in last:  # microseconds
                self.assertLess(whole["ts"] + whole["dur"], 1e6 * facts["seconds"] + 1e6)
                self.assertGreater(whole["ts"] + whole["dur"], 1e6 * facts["seconds"] / 100)

    def test_heat(self):
        """A cell is as dark as its machine is full: the levels are those of the CSV, for 2^14 words too."""
        colours = ["#ffffff", "#eef4fb", "#dce9f7", "#c6dbef", "#a5cae6", "#7fb4da", "#5a9ccc", "#3b82bd", "#2066a6", "#0d4a87", "#08306b"]
        for command in (self.ARGUMENTS, ("k_hop_walk", "--n", 1 << 14), ("sort", "--n", 1 << 14, "--eps", "1/4")):
            picture, table = self.path / "heat.svg", self.path / "table.csv"
            facts = json.loads(self.succeed("run", *command, "--heat", picture, "--csv", table, "--json", "-", "--quiet"))
            root = xml.etree.ElementTree.fromstring(picture.read_text())
            name = "{http://www.w3.org/2000/svg}"
            self.assertIn(f"at most {facts['max_words_received']} of s = {facts['memory_words']}", root.find(name + "title").text)
            machines, s = facts["machines"], facts["memory_words"]
            each = -(-machines // 256)
            columns = -(-machines // each)
            expected = [[0] * columns for _ in range(facts["rounds"])]
            for row in csv.DictReader(table.read_text().splitlines()):
                place = expected[int(row["round"]) - 1]
                i = int(row["machine"]) // each
                place[i] = max(place[i], min(10, -(-int(row["words_received"]) * 10 // s)))
            drawn = [[0] * columns for _ in range(facts["rounds"])]
            for cell in root.iter(name + "rect"):
                if cell.get("fill") not in colours:
                    continue
                first = round((float(cell.get("x")) - 70) / 1024 * columns)
                for i in range(first, first + round(float(cell.get("width")) / 1024 * columns)):
                    drawn[(int(cell.get("y")) - 60) // 14][i] = colours.index(cell.get("fill"))
            self.assertEqual(drawn, expected, command)

    def test_refusals(self):
        self.refuse("run", "sort", "--n", 9, "--trace-clock", "wall", says="only with --trace")
        self.refuse("run", "sort", "--n", 9, "--trace", "x", "--trace-clock", "sun", says="wall or logical")
        self.refuse("run", "sort", "--n", 9, "--trace", "-", "--csv", "-", says="only one")
        for flag in ("--trace", "--csv", "--heat"):
            self.refuse("run", "sort", "--n", 9, flag, self.path / "no" / "file", ranks=2, says="cannot write")
            kept = self.file("kept", "kept")
            self.refuse("run", "sort", "--n", 100, "--limit-words", 1, "--quiet", flag, kept, status=3, says="round")
            self.assertEqual(kept.read_text(), "kept")
        self.assertEqual(self.succeed("run", "sort", "--n", 9, "--csv", "-").splitlines()[1][:4], "1,0,")

    def test_progress(self):
        """On a terminal, how far and how long; nothing elsewhere (succeed() looks) and nothing with --quiet."""
        for quiet in ((), ("--quiet",)):
            terminal, side = pty.openpty()
            done = subprocess.Popen([ROUNDTRIP, "run", *map(str, self.ARGUMENTS), *quiet], stdout=subprocess.DEVNULL, stderr=side)
            os.close(side)
            said = b""
            with contextlib.suppress(OSError):  # a terminal that nobody has open any more
                while piece := os.read(terminal, 4096):
                    said += piece
            os.close(terminal)
            self.assertEqual(done.wait(timeout=60), 0)
            rounds = re.findall(rb"round (\d+) of (\d+), \d+ s left", said)
            self.assertEqual([int(r) for r, _ in rounds], list(range(1, len(rounds) + 1)))
            self.assertEqual(bool(rounds), not quiet)
            if rounds:
                self.assertEqual(rounds[-1][0], rounds[-1][1])
                self.assertTrue(said.endswith(b"\r\x1b[K"), said[-40:])


class Memory(Case):
    """Peak resident memory of a sort, summed over ranks, less that of an N = 1 run: at most 6 * 8 * 2 bytes a word of
    input: N / B machines of s = 2 B words may send 2 N in a round."""

    def peak_bytes(self, n, ranks):
        peaks = self.path / f"peaks_{n}_{ranks}"
        peaks.mkdir()
        launcher = [MPIEXEC, "--oversubscribe", "-n", str(ranks)] if ranks else []
        measured = [sys.executable, __file__, "--peak-into", peaks, ROUNDTRIP, "run", "sort", "--n", n, "--eps", "1/2", "--quiet"]
        subprocess.run(launcher + list(map(str, measured)), check=True, timeout=300)
        files = list(peaks.iterdir())
        self.assertEqual(len(files), max(ranks, 1))
        return sum(int(f.read_text()) for f in files)

    def test_sort(self):
        n, words_in_flight = 1 << 20, 2
        for ranks in (0, 2):
            used = self.peak_bytes(n, ranks) - self.peak_bytes(1, ranks)
            print(f"sort of N = {n} words, {ranks or 'no'} ranks: {used / 2**20:.1f} MiB over an N = 1 run, {used / n:.1f} bytes a word")
            self.assertLessEqual(used, 6 * 8 * words_in_flight * n)


def peak_into(directory, command):
    """Runs the command and leaves its peak resident bytes in a file of `directory`."""
    status = subprocess.call(command)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    (pathlib.Path(directory) / str(os.getpid())).write_text(str(peak))
    return status


class ManyRanks(Case):
    """More than a hundred ranks, one machine each, on a real text."""

    def test_one_machine_per_rank(self):
        arguments = ("k_hop", "--input", self.licences(), "--n", 20000, "--format", "words", "--param", "k=4")
        facts, output = self.run_facts(*arguments)
        self.assertGreater(facts["machines"], 100)
        single, theirs = self.run_facts(*arguments, "--one-machine-per-rank", ranks=facts["machines"], timeout=900)
        self.assertEqual(theirs, output)
        self.assertEqual(single["ledger"], facts["ledger"])


def main():
    global ROUNDTRIP, MPIEXEC
    if sys.argv[1] == "--peak-into":
        sys.exit(peak_into(sys.argv[2], sys.argv[3:]))
    parser = argparse.ArgumentParser()
    parser.add_argument("--roundtrip", required=True)
    parser.add_argument("--mpiexec", default="mpirun")
    arguments, rest = parser.parse_known_args()
    ROUNDTRIP, MPIEXEC = os.path.abspath(arguments.roundtrip), arguments.mpiexec
    # Open MPI refuses to run as root unless told twice.
    os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
