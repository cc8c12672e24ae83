"""Inputs as people have them: graphs, text from elsewhere, pipes that go on: inputs_test.py --roundtrip PATH CLASS.

The formats of graphs are tested one by one in graphs_test.cpp; here, what a user sees of them."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import time
import unittest

import cli_test
from files_test import shell


class Graphs(cli_test.Case):
    def components(self, text, *arguments, **options):
        return self.succeed("run", "components", "--format", "edges", "--input", self.file(text), *arguments, **options)

    def test_components(self):
        for text, expected in {
                "c by hand\np edge 4 3\ne 1 2\ne 2 3\ne 3 4\n": "1 1 1 1",
                "%%matrixmarket matrix coordinate pattern symmetric\n4 4 2\n2 1\n4 3\n": "2 2 4 4",
                b"\xef\xbb\xbf# From To\n1 2\n2 3\n": "1 1 1",
                "source\ttarget\n1\t2\n2\t3\n": "1 1 1",
                "1, 2\n2, 3\n3, 1\n": "1 1 1",
                "1 2\r2 3\r3 4\r": "1 1 1 1",
                "4 2\n2\n1\n4\n3\n": "1 1 3 3",
                "% bip unweighted\n1 1\n2 1\n3 2\n": "1 1 1 3 3",
                "digraph g {\na -> b; b -> c;\nd -> e;\n}\n": "a a a d d"}.items():
            done = cli_test.call("run", "components", "--format", "edges", "--input", self.file(text), "--output", "-")
            self.assertEqual((done.returncode, done.stdout.split()), (0, expected.split()), text)

    def test_names(self):
        self.assertEqual(self.components("b a\nc d\nd a\n", "--output", "-", "--output-names"), "b\tb\na\tb\nc\tb\nd\tb\n")
        self.assertEqual(self.components("b a\nd c\n", "--output", "-", "--output-names"), "b\tb\na\tb\nd\td\nc\td\n")
        self.refuse("run", "sort", "--n", 9, "--output", "-", "--output-names", says="sort are not those of vertices")
        self.refuse("run", "components", "--n", 8, "--output-names", says="only with --output")

    def test_what_is_left_out_is_said(self):
        weighted = "%%MatrixMarket matrix coordinate real symmetric\n9 9 2\n2 1 0.5\n4 3 0.5\n"
        report = self.components(weighted)
        self.assertIn("  input             the values of the matrix are ignored\n", report)
        self.assertIn("  input             5 of 9 vertices are on no edge: left out\n", report)
        for quiet in (("--output", "-"), ("--quiet",), ("--json", "-")):  # no report: on standard error
            done = cli_test.call("run", "components", "--format", "edges", "--input", self.file(weighted), *quiet)
            self.assertEqual((done.returncode, done.stderr.count("roundtrip: note: ")), (0, 2), done.stderr)
        self.assertNotIn("  input  ", self.components("1 2\n2 3\n"))
        self.assertIn("1 of 3 vertices", self.components("graph { a -- b; c }"))
        self.assertIn("1 of 3 vertices", self.components("# Nodes: 3 Edges: 1\n1 2\n"))

    def test_weights_reach_who_takes_them(self):
        def forest(text, *arguments):
            done = cli_test.call("run", "minimum_spanning_forest", "--format", "edges", "--input", self.file(text), "--check",
                                 "--output", "-", *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        def refused(text, says, *arguments):
            self.refuse("run", "minimum_spanning_forest", "--format", "edges", "--input", self.file(text), *arguments, says=says)
        self.assertEqual(forest("a b 3\nb c 1\nc a -2\n"), "0\n1\n1\n")
        self.assertEqual(forest("a b 3\nb c 1\nc a -2\n", "--n", 6), "1\n1\n")
        self.assertEqual(forest("cost,source,target\n3,a,b\n1,b,c\n2,c,a\n"), "0\n1\n1\n")
        self.assertEqual(forest("p sp 3 3\na 1 2 7\na 2 3 7\na 3 1 7\n"), "1\n1\n0\n")
        self.assertIn("further columns", self.succeed("run", "minimum_spanning_forest", "--format", "edges", "--input",
                                                      self.file("a b 3 9\nb c 1 9\n")))
        refused("a b\nb c\n", "without a weight")
        refused("p edge 3 2\ne 1 2\ne 2 3\n", "without a weight")
        refused("a b 0.5\nb c 1\n", "'0.5' is not a whole number")
        refused("a b 3\nb c 1\n", "multiple of 3", "--n", 4)

    def test_gzip(self):
        self.assertEqual(self.components(gzip.compress(b"\xef\xbb\xbf1 2\n2 3\n"), "--output", "-"), "1\n1\n1\n")


class Text(cli_test.Case):
    def words(self, content):
        return self.succeed("run", "sort", "--format", "words", "--input", self.file(content), "--output", "-").split()

    def test_mark(self):
        for content in (b"\xef\xbb\xbfapple pear apple", gzip.compress(b"\xef\xbb\xbfapple pear apple")):
            self.assertEqual(self.words(content), ["apple", "apple", "pear"])
        numbers = self.file(b"\xef\xbb\xbf3 1 2")
        self.assertEqual(self.succeed("run", "sort", "--input", numbers, "--output", "-"), "1\n2\n3\n")
        for rest in (b"", b"\xef", b"\xef\xbb"):  # a file that ends in the midst of it
            self.refuse("run", "sort", "--input", self.file(rest), says="input")
        every = self.file(b"\xef\xbb\xbf\xff", "bytes")  # of bytes it is one
        self.assertEqual(self.succeed("run", "sort", "--format", "bytes", "--input", every, "--output", "-"), "187\n191\n239\n255\n")

    def test_other_encodings(self):
        for encoding in ("utf-16", "utf-32"):
            for content in ("ab cd ab".encode(encoding), gzip.compress("1 2".encode(encoding))):
                for kind in ("words", "numbers", "edges"):
                    self.refuse("run", "sort", "--format", kind, "--input", self.file(content), says=[encoding.upper(), "UTF-8"])
        for content, name in ((b"\xfe\xff\0a", "UTF-16"), (b"\0\0\xfe\xff\0\0\0a", "UTF-32")):
            self.refuse("run", "sort", "--format", "words", "--input", self.file(content), says=name)

    def test_other_compression(self):
        for content, name in ((lzma.compress(b"1 2 3"), "xz"), (bz2.compress(b"1 2 3"), "bzip2"), (b"\x28\xb5\x2f\xfd\x04\x00", "zstd"),
                              (b"PK\x03\x04rest", "zip"), (b"\x04\x22\x4d\x18rest", "lz4"), (b"\x1f\x9d\x90", "compress")):
            for kind in ("words", "numbers", "edges"):
                self.refuse("run", "sort", "--format", kind, "--input", self.file(content), says=f"it is compressed by {name};")
            self.succeed("run", "sort", "--format", "bytes", "--input", self.file(content), "--quiet")
        for word in (b"B", b"BZ", b"(", b"P", b"PK", b"7"):  # begins like them
            self.assertEqual(self.words(word + b" a")[0].encode(), word)

    def test_gzip_of_several_members(self):
        first, second = gzip.compress(b"3 1 2\n" * 1000), gzip.compress(b"5 4\n" * 1000)
        sort = ("run", "sort", "--input")
        self.assertEqual(self.succeed(*sort, self.file(first + second), "--output", "-").count("\n"), 5000)
        self.assertEqual(self.succeed(*sort, self.file(first + bytes(512)), "--output", "-").count("\n"), 3000)  # a tape's padding
        for damaged in (first + second[:-5], first + second[:-5] + b"\0" + second[-4:], first + b"rest", first + bytes(9) + b"x"):
            self.refuse(*sort, self.file(damaged), says=["gzip data are damaged or cut short, in member 2"])
        self.refuse(*sort, self.file(first + second + second[:30]), says="in member 3")

    def test_bytes_that_are_no_text(self):
        """In words, paths and names of models, they break no JSON and no page."""
        latin = self.file(b"caf\xe9 au lait caf\xe9 noir caf\xe8 \xff \x1b[31m")
        hop = ("k_hop", "--format", "words", "--param", "k=1", "--input", latin)
        model, page, facts = self.path / "m.json", self.path / "page.html", self.path / "facts"
        self.succeed("compile", *hop, "--native", "--export", model, "--json", facts, "--quiet")
        tables = json.loads((self.path / "m.tables.json").read_text())
        self.assertEqual(tables["symbols"][:4], ["caf\\xe9", "au", "lait", "noir"])
        self.assertEqual(len(set(tables["symbols"])), 7)
        self.succeed("explain", *hop, "--html", page, "--json", facts)
        json.loads(facts.read_text())
        page.read_text()
        name = os.fsencode(self.path) + b"/caf\xe9\x1b.json"
        os.rename(model, name)
        done = subprocess.run([cli_test.ROUNDTRIP, "decompile", name, "--n", "8", "--json", "-"], capture_output=True,
                              timeout=60, check=False)
        self.assertNotEqual(done.returncode, 70, done.stderr)
        if done.returncode == 0:
            json.loads(done.stdout)

    def test_escapes(self):
        """No byte of the command line or of a file reaches the terminal as an order to it."""
        for arguments in (("run", "sort", "--input", "\x1b[31mred"), ("run", "sort", "--n", "\x1b[31m"), ("run", "\x1b[31m"), ("\x1b[31m",),
                          ("run", "sort", "--\x1b[31m"), ("run", "sort", "--n", 9, "--param", "\x1b=1"), ("verify", "\x1b[31m"),
                          ("run", "sort", "--n", 9, "--output", "no/\x1b\x9b31m"), ("attend", "\x1b", "b", "c"), ("list", "\x1b]0;x\x07"),
                          ("run", "sort", "--n", 9, "--resume", "\x1b[31m"), ("decompile", "./\x1b[31m", "--n", 9),
                          ("run", "sort", "--input", self.file("1 \x1b[31m")), ("run", "sort", "--format", "edges", "--input", self.file("\x1b"))):
            error = self.refuse(*arguments, says="x1b")
            self.assertTrue(error.isprintable(), error)


class Streams(cli_test.Case):
    def timed(self, script, expected, seconds=20):
        """What stands before the pipe goes on for a minute; the program must not wait for its end."""
        begun = time.monotonic()
        with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True,
                              env=os.environ | {"R": cli_test.ROUNDTRIP}) as program:
            out = program.stdout.readline()
            while not out.endswith("end\n"):
                line = program.stdout.readline()
                self.assertNotEqual(line, "", out)
                out += line
            os.killpg(program.pid, 9)
        self.assertEqual(out.split()[:-1], expected.split())
        self.assertLess(time.monotonic() - begun, seconds)

    def run_of(self, kind, n):
        return f"\"$R\" run sort --input - --format {kind} --n {n} --output - 2>/dev/null; echo end"

    def test_a_pipe_that_stays_open(self):
        for kind, text, n, expected in (("numbers", "3 1\\n", 2, "1 3"), ("words", "b a c ", 3, "b a c"), ("bytes", "ba", 2, "97 98"),
                                        ("edges", "1 2\\n2 3\\n", 4, "1 2 2 3"), ("edges", "# c\\na b\\nb c\\n", 4, "a b b c"),
                                        ("edges", "source,target\\na,b\\n", 2, "a b"), ("edges", "p sp 3 2\\na 1 2 5\\n", 2, "1 2")):
            self.timed(f"{{ printf '{text}'; sleep 60; }} | {{ {self.run_of(kind, n)}; }}", expected)

    def test_a_pipe_without_end(self):
        self.timed("yes 7 | { " + self.run_of("numbers", 3) + "; }", "7 7 7")
        self.timed("yes 1 2 | { " + self.run_of("edges", 4) + "; }", "1 1 2 2")
        self.timed("yes 7 | gzip -c | { " + self.run_of("numbers", 3) + "; }", "7 7 7")
        self.timed("{ yes 7 | head -n 9 | gzip -c; sleep 60; } | { " + self.run_of("numbers", 9) + "; }", "7 7 7 7 7 7 7 7 7")

    def test_what_is_not_needed_is_left(self):
        """The next reader of the pipe finds what comes behind the N values."""
        for kind, text, n, rest in (("numbers", "3 1\\n5 rest\\n", 3, "rest"), ("words", "a bb ccc rest", 3, "rest"), ("bytes", "abcrest", 3, "rest"),
                                    ("edges", "1 2\\n20 30\\n4 5\\n", 4, "4 5"), ("numbers", "100000 " * 500 + "rest", 500, "rest")):
            left = shell(f"printf '{text}' | {{ \"$R\" run sort --input - --format {kind} --n {n} --quiet; cat; }}").stdout
            self.assertEqual(left.strip(), rest, kind)

    def test_slow_writers(self):
        slow = "for i in 3 1 2; do printf \"$i\"; sleep 0.2; printf ' '; sleep 0.2; done"
        self.assertEqual(shell(f"{{ {slow}; }} | \"$R\" run sort --input - --output -").stdout, "1\n2\n3\n")
        packed = "seq 3 | gzip -c | { head -c 5; sleep 0.3; head -c 9; sleep 0.3; cat; }"
        self.assertEqual(shell(f"{packed} | \"$R\" run sort --input - --output -").stdout, "1\n2\n3\n")

    def test_standard_input_that_does_not_block(self):
        read, write = os.pipe()
        os.set_blocking(read, False)
        with subprocess.Popen([cli_test.ROUNDTRIP, "run", "sort", "--input", "-", "--output", "-"], stdin=read,
                              stdout=subprocess.PIPE) as program:
            time.sleep(0.5)
            os.write(write, b"2 1")
            os.close(write)
            os.close(read)
            self.assertEqual(program.communicate(timeout=60)[0], b"1\n2\n")


if __name__ == "__main__":
    cli_test.main()
