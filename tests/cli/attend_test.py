"""`roundtrip attend` as a user drives it: attend_test.py --roundtrip PATH CLASS (cli_test.py says what is looked at).

Arrays are written and read by hand here: nothing of the project's, and no numpy."""

import ast
import gzip
import json
import math
import random
import struct
import subprocess
import zipfile

import cli_test


def npy(rows, dtype="<f4"):
    """The bytes of a two-dimensional .npy file."""
    columns = len(rows[0]) if rows else 2
    header = repr({"descr": dtype, "fortran_order": False, "shape": (len(rows), columns)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    form = {"<f4": "f", "<f8": "d", "<i8": "q", "|i1": "b"}[dtype]
    data = struct.pack(f"<{len(rows) * columns}{form}", *(x for row in rows for x in row))
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def read_npy(data):
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    assert header["descr"] == "<f8" and not header["fortran_order"]
    rows, columns = header["shape"]
    numbers = struct.unpack(f"<{rows * columns}d", data[10 + length:])
    return [numbers[i * columns:(i + 1) * columns] for i in range(rows)]


class Attend(cli_test.Case):
    def matrices(self, queries, keys, values, dtype="<f4"):
        return [self.file(npy(rows, dtype), name) for name, rows in (("Q.npy", queries), ("K.npy", keys), ("V.npy", values))]

    def facts(self, *arguments, status=0):
        return json.loads(self.succeed("attend", *arguments, "--json", "-", status=status))

    def test_against_the_definition_from_files(self):
        """Equal directions get the average of their values; --compare brute agrees bit for bit; thread counts don't matter."""
        draw = random.Random(1)
        directions = [[draw.gauss(0, 1) for _ in range(20)] for _ in range(5)]
        keys = [[x * (1 + i % 3) for x in directions[i % 5]] for i in range(57)]  # lengths differ, directions don't
        values = [[i, -i / 4, 1] for i in range(57)]
        files = self.matrices(directions, keys, values)
        out, again = self.path / "out.npy", self.path / "again.npy"
        facts = self.facts(*files, "--tables", 3, "--functions", 40, "--family", "cross-polytope", "--compare", "brute", "--output", out, "--threads", 1)
        self.assertEqual((facts["equal"], facts["verdict"], facts["empty_queries"]), (True, "verified", 0))
        self.assertEqual((facts["recall"], facts["within_cr"]), (1, 1))
        for q, row in enumerate(read_npy(out.read_bytes())):
            mine = [v for i, v in enumerate(values) if i % 5 == q]
            for got, column in zip(row, zip(*mine)):
                self.assertAlmostEqual(got, sum(column) / len(mine), delta=facts["value_error"] + 1e-12)
        self.succeed("attend", *files, "--tables", 3, "--functions", 40, "--family", "cross-polytope", "--output", again, "--threads", 2, "--quiet")
        self.assertEqual(out.read_bytes(), again.read_bytes())
        # The same numbers as doubles, and the same file to standard output.
        self.succeed("attend", *self.matrices(directions, keys, values, "<f8"), "--tables", 3, "--functions", 40, "--family", "cross-polytope",
                     "--output", again, "--quiet")
        self.assertEqual(out.read_bytes(), again.read_bytes())

    def test_every_family_and_instance(self):
        for family, more in (("hadamard", ["--rotations", 3]), ("cross-polytope", []), ("hyperplane", []),
                             ("p-stable", ["--width", 0.7]), ("bit-sampling", ["--r", 2, "--c", 4])):
            for instance in ("planted", "clustered", "uniform"):
                facts = self.facts("--n", 130, "--instance", instance, "--dimension", 24, "--value-dimension", 5, "--family",
                                   family, "--tables", 4, "--functions", 3, "--compare", "brute", *more)
                self.assertEqual((facts["verdict"], facts["family"], facts["queries"]), ("verified", family, 130))
                self.assertLessEqual(facts["recall"], 1)
                self.assertIn("purity", facts)

    def test_comparisons(self):
        exact = self.facts("--n", 600, "--c", 8, "--family", "cross-polytope", "--tables", 60, "--functions", 4, "--compare", "exact", "--beta", 400)
        self.assertGreater(exact["recall"], 0.99)
        self.assertGreater(exact["purity"], 0.9)
        self.assertLess(exact["relative_error"], 0.2)
        self.assertFalse(exact["equal"])
        # Copies of the queries as keys, all else far away: one function decides nothing, many find exactly the copies.
        points = [[math.cos(i), math.sin(i), math.cos(9 * i), math.sin(7 * i)] for i in range(40)]
        files = self.matrices(points, points, [[i] for i in range(40)])
        ema = self.facts(*files, "--family", "hyperplane", "--tables", 1, "--functions", 500, "--compare", "ema")
        self.assertTrue(ema["equal"])
        few = self.facts(*files, "--family", "hyperplane", "--tables", 1, "--functions", 1, "--compare", "ema")
        self.assertFalse(few["equal"])
        report = self.succeed("attend", "--n", 300, "--tables", 8, "--functions", 2, "--compare", "exact")
        for part in ("recall", "purity", "relative error", "ns per token and table", "quantisation", "verdict: done"):
            self.assertIn(part, report)

    def test_plan(self):
        plan = json.loads(self.succeed("attend", "--n", 1 << 16, "--c", 8, "--family", "cross-polytope", "--plan", "--json", "-"))
        self.assertEqual((plan["functions"], plan["guaranteed"], plan["pointless"], plan["advice"]), (7, True, False, ""))
        pairs, eta = float(1 << 32), 0.01
        self.assertLessEqual(pairs * plan["tables"] * plan["p2"]["high"] ** plan["functions"], eta / 2)
        self.assertLessEqual(pairs * (1 - plan["p1"]["low"] ** plan["functions"]) ** plan["tables"], eta / 2 * (1 + 1e-9))
        self.assertGreater(pairs * (1 - plan["p1"]["low"] ** plan["functions"]) ** (plan["tables"] - 1), eta / 2)
        pointless = self.succeed("attend", "--n", 256, "--c", 4, "--family", "cross-polytope", "--plan")
        for part in ("pointless", "c = 5 (", "N = 2^9 (", "comparing all pairs costs less"):
            self.assertIn(part, pointless)
        self.assertIn("near keys missed", self.succeed("attend", "--n", 4096, "--tables", 2, "--functions", 4, "--plan"))
        self.refuse("attend", "--n", 1 << 28, "--value-dimension", 1 << 14, says=["the evaluation needs", "bytes"])

    def test_one_of_each(self):
        files = self.matrices([[3.0, 4.0]], [[-1.0, 0.5]], [[7.25]])
        facts = self.facts(*files, "--family", "hyperplane", "--tables", 1, "--functions", 1, "--compare", "brute")
        self.assertEqual((facts["keys"], facts["verdict"], facts["pointless"]), (1, "verified", True))
        self.assertEqual(self.facts("--n", 1, "--family", "hyperplane", "--tables", 2, "--functions", 1)["queries"], 1)

    def test_numbers_at_the_edge(self):
        """The largest floats and subnormals are quantised with a stated error; integers are read too."""
        big, small = 3.4028234e38, 1e-45
        files = self.matrices([[big, -big, small]] * 3, [[big, -big, small], [small, small, big], [1, 1, 1]], [[big], [-big], [0]])
        facts = self.facts(*files, "--family", "p-stable", "--r", 1e37, "--tables", 2, "--functions", 2, "--compare", "brute")
        self.assertEqual(facts["verdict"], "verified")
        self.assertLess(facts["value_error"], big / 32000)
        files = self.matrices([[1, -2], [0, 3]], [[1, -2], [0, 3]], [[127, -128], [5, 6]], "|i1")
        out = self.path / "out"
        self.succeed("attend", *files, "--family", "hyperplane", "--tables", 1, "--functions", 300, "--output", out, "--quiet")
        self.assertEqual([tuple(round(x) for x in row) for row in read_npy(out.read_bytes())], [(127, -128), (5, 6)])

    def test_refusals(self):
        good = [[1.0, 2.0], [3.0, 4.0]]

        def refuse(says, queries=good, keys=good, values=good, *more, dtype="<f4"):
            self.refuse("attend", *self.matrices(queries, keys, values, dtype), *more, "--output", self.path / "never", says=says)
            self.assertFalse((self.path / "never").exists())

        refuse(["queries", "row 1 column 0", "nan"], [[1.0, 2.0], [math.nan, 1.0]])
        refuse(["keys", "row 0 column 1", "inf"], good, [[1.0, math.inf], [3.0, 4.0]])
        refuse(["values", "row 1 column 1", "-inf"], good, good, [[1.0, 2.0], [3.0, -math.inf]])
        refuse(["V.npy", "row 0 column 0", "1e+300"], good, good, [[1e300, 2.0], [3.0, 4.0]], dtype="<f8")
        refuse(["keys", "row 1", "zero vector"], good, [[1.0, 2.0], [0.0, 0.0]])
        refuse(["Q.npy", "3", "K.npy", "2"], [[1.0, 2.0, 3.0]])
        refuse(["K.npy", "2", "V.npy", "1"], good, good, [[1.0, 2.0]])
        refuse(["Q.npy", "extent of 0"], [])
        refuse(["K.npy", "extent of 0"], good, [], [])
        refuse(["bit-sampling", "radius"], good, good, good, "--family", "bit-sampling")
        refuse(["2^34"], good * 200, good * 200, good * 200, "--family", "hyperplane", "--tables", 1 << 18, "--functions", 1, "--compare", "brute")
        # A zero vector has no direction, but a place.
        self.succeed("attend", *self.matrices(good, [[1.0, 2.0], [0.0, 0.0]], good), "--family", "p-stable", "--tables", 1,
                     "--functions", 1)
        whole = npy(good)
        q, k, v = self.matrices(good, good, good)
        for says, content in (("header", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + whole[10:]),  # a header of 4 GiB
                              ("bytes", whole.replace(b"(2, 2)", b"(2, 536870912)")), ("bytes", whole[:-1]),
                              ("bytes", whole + b"x"), ("'Q.npy'", b""), ("dtype", whole.replace(b"<f4", b"|O8"))):
            q.write_bytes(content)
            self.assertIn("Q.npy", self.refuse("attend", q, k, v, says=says.strip("'")))
        q.write_bytes(whole)
        self.refuse("attend", q, k, says="three files")
        self.refuse("attend", q, k, v, "--n", 9, says="only without files")
        self.refuse("attend", q, k, self.path / "missing", says=["missing", "No such file"])
        self.refuse("attend", says=["no input", "--n N"])
        self.refuse("attend", "--n", 9, "--family", "hadamrd", says=["hadamrd", "hyperplane"])
        self.refuse("attend", "--n", 9, "--instance", "clusters", says=["clusters", "clustered"])
        self.refuse("attend", "--n", 9, "--compare", "softmax", says=["softmax", "exact, ema or brute"])
        self.refuse("attend", "--n", 9, "--c", "1", says=["c is 1"])
        self.refuse("attend", "--n", 9, "--c", "nan", says=["--c nan", "positive"])
        self.refuse("attend", "--n", 9, "--eta", "1", says=["eta"])
        self.refuse("attend", "--n", 9, "--r", "1.5", says=["distance", "0 .. 2"])
        self.refuse("attend", "--n", 9, "--tables", 0, says=["--tables 0", "1.."])
        self.refuse("attend", "--n", 9, "--functions", 1025, says=["--functions 1025"])
        self.refuse("attend", "--n", 99, "--c", 1.3, "--family", "cross-polytope", says=["tables", "2^20"])
        self.refuse("attend", "--n", 9, "--output", "-", "--json", "-", says="only one")
        self.refuse("attend", "--n", 9, "--family", "hyperplane", "--tables", 1, "--functions", 1, "--output", self.path / "no" / "file", says="cannot write")

    def test_on_every_rank_count(self):
        for ranks in (1, 3):
            self.refuse("attend", "--n", 9, "--compare", "x", ranks=ranks, says="exact, ema or brute")
            done = self.succeed("attend", "--n", 90, "--family", "hyperplane", "--tables", 3, "--functions", 2, "--output", self.path / str(ranks), ranks=ranks)
            self.assertIn("verdict: done", done)
        self.assertEqual((self.path / "1").read_bytes(), (self.path / "3").read_bytes())


class Arrays(cli_test.Case):
    """The same arrays in other wrappings give the same output."""

    def setUp(self):
        super().setUp()
        rng = random.Random(3)
        self.rows = {name: [[rng.gauss(0, 1) for _ in range(width)] for _ in range(24)] for name, width in (("q", 8), ("k", 8), ("v", 3))}
        for name, rows in self.rows.items():
            self.file(npy(rows, "<f8"), name + ".npy")
        self.expected = self.attend("q.npy", "k.npy", "v.npy")

    def attend(self, *names, **options):
        done = cli_test.call("attend", *(name if isinstance(name, str) and name == "-" else self.path / name for name in names[:3]),
                             *names[3:], "--c", 16, "--quiet", "--output", self.path / "out", **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return (self.path / "out").read_bytes()

    def wrapped(self, descr, order, shape, numbers):
        header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(descr[0] + f"{len(numbers)}d", *numbers)

    def test_orders(self):
        q = self.rows["q"]
        by_row = [x for row in q for x in row]
        by_column = [row[c] for c in range(8) for row in q]
        for name, content in (("big", self.wrapped(">f8", False, (24, 8), by_row)), ("fortran", self.wrapped("<f8", True, (24, 8), by_column)),
                              ("both", self.wrapped(">f8", True, (24, 8), by_column)), ("batch", self.wrapped("<f8", False, (1, 1, 24, 8), by_row))):
            self.file(content, name)
            self.assertEqual(self.attend(name, "k.npy", "v.npy"), self.expected, name)

    def test_heads(self):
        q = [x for row in self.rows["q"] for x in row]
        self.file(self.wrapped("<f8", False, (3, 24, 8), [0.5] * 192 + q + [0.25] * 192), "heads.npy")
        self.assertEqual(self.attend("heads.npy", "k.npy", "v.npy", "--head", 1), self.expected)
        self.assertNotEqual(self.attend("heads.npy", "k.npy", "v.npy", "--head", 0), self.expected)
        files = [self.path / name for name in ("heads.npy", "k.npy", "v.npy")]
        self.refuse("attend", *files, says=["heads.npy", "3 heads", "0 to 2"])
        self.refuse("attend", *files, "--head", 3, says=["--head 3", "0 to 2"])
        self.refuse("attend", "--n", 9, "--head", 0, says="only with files")

    def test_gzip_and_pipes(self):
        plain = (self.path / "q.npy").read_bytes()
        self.file(gzip.compress(plain), "q.npy.gz")
        self.assertEqual(self.attend("q.npy.gz", "k.npy", "v.npy"), self.expected)
        script = f"cat q.npy | '{cli_test.ROUNDTRIP}' attend - k.npy <(gzip -c v.npy) --c 16 --quiet --output out"
        subprocess.run(["bash", "-c", script], cwd=self.path, timeout=60, check=True)
        self.assertEqual((self.path / "out").read_bytes(), self.expected)

    def test_archives(self):
        for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(self.path / "all.npz", "w", kind) as archive:
                for name in self.rows:
                    with archive.open(name + ".npy", "w", force_zip64=True) as member:  # as numpy.savez does
                        member.write((self.path / (name + ".npy")).read_bytes())
            self.assertEqual(self.attend("all.npz:q", "all.npz:k.npy", "all.npz:v"), self.expected)
            whole = (self.path / "all.npz").read_bytes()
            names = [self.path / name for name in ("all.npz", "k.npy", "v.npy")]
            self.refuse("attend", *names, says=["all.npz", "q, k, v"])
            self.refuse("attend", self.path / "all.npz:x", *names[1:], says=["all.npz", "q, k, v"])
            self.refuse("attend", self.path / "all.npz:q", *names[1:], "--json", self.path / "all.npz", says="which attend reads")
            rng = random.Random(kind)
            for _ in range(40):  # read as it was or refused, never otherwise
                damaged = bytearray(whole)
                damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
                self.file(bytes(damaged[:rng.randrange(len(whole))] if rng.random() < 0.3 else damaged), "all.npz")
                done = cli_test.call("attend", self.path / "all.npz:q", *names[1:], "--c", 16, "--quiet", "--output", self.path / "out")
                self.assertIn(done.returncode, (0, 2), done.stderr)
                if done.returncode == 0:
                    self.assertEqual((self.path / "out").read_bytes(), self.expected)
        with zipfile.ZipFile(self.path / "one.npz", "w") as archive:
            archive.write(self.path / "q.npy", "arr_0.npy")
        self.assertEqual(self.attend("one.npz", "k.npy", "v.npy"), self.expected)


if __name__ == "__main__":
    cli_test.main()
