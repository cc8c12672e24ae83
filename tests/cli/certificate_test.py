"""Certificates of `roundtrip compile --certificate` and the checker that shares nothing with the program:
certificate_test.py --roundtrip PATH CLASS."""

import gzip
import importlib.util
import json
import pathlib
import random
import subprocess
import sys

import cli_test

CHECKER = pathlib.Path(__file__).parents[2] / "proofs_check/check_certificate.py"
CONSTRUCTIONS = ("direct", "routed")
MUTATIONS = 240


def checker():
    spec = importlib.util.spec_from_file_location("check_certificate", CHECKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(*paths):
    return subprocess.run([sys.executable, CHECKER, *map(str, paths)], capture_output=True, text=True, check=False, timeout=900)


class CertificateCase(cli_test.Case):
    def certificate(self, protocol, n, construction, *arguments):
        path = self.path / f"{protocol}-{n}-{construction}-{len(arguments)}.gz"
        self.succeed("compile", protocol, "--n", n, "--construction", construction, *arguments, "--quiet", "--certificate", path)
        return path


class Accepted(CertificateCase):
    def accept(self, path):
        done = check(path)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("accepted", done.stdout)
        self.assertTrue(done.stdout.startswith("trusted: the protocol's step"), done.stdout)
        return done.stdout

    def library(self, n):
        protocols = json.loads(self.succeed("list", "--json", "-"))["protocols"]
        self.assertGreaterEqual(len({p["name"] for p in protocols} & set(checker().ANSWERS)), 18)
        for protocol in protocols:
            for construction in CONSTRUCTIONS:
                with self.subTest(protocol=protocol["name"], n=n, construction=construction):
                    whole = n - n % (3 if protocol["name"] == "minimum_spanning_forest" else 1)  # words of its edges
                    path = self.certificate(protocol["name"], whole, construction)
                    self.assertLess(path.stat().st_size, 8 << 20)
                    known = protocol["name"] in checker().ANSWERS  # of others run and transformer are checked
                    self.assertIn("answers recomputed" if known else "answers not looked at", self.accept(path))

    def test_library_at_64(self):
        self.library(64)

    def test_library_at_256(self):
        self.library(256)

    def test_others(self):
        for protocol, n, construction, *arguments in (
                ("sort", 64, "direct", "--attention", "anna"), ("sum", 64, "routed", "--attention", "anna"),
                ("sort", 60, "direct", "--param", "record=3"), ("k_hop", 37, "routed", "--param", "k=5"),
                ("prefix_scan", 41, "direct", "--param", "op=max"), ("prefix_scan", 100, "routed", "--digits", 2),
                ("sum", 1, "direct"), ("three_sum", 8, "routed"), ("matrix_product", 24, "direct", "--param", "rows=2"),
                ("sum", 4096, "direct", "--eps", "1/4"),  # packets in a cover-free code
                ("broadcast", 65, "direct", "--seed", 7)):
            with self.subTest(protocol=protocol, n=n, arguments=arguments):
                self.accept(self.certificate(protocol, n, construction, *arguments))

    def test_no_solution(self):
        path = self.path / "certificate"
        self.succeed("compile", "three_sum", "--input", self.file("1 2 4 8 16 32\n"), "--certificate", path, "--quiet")
        self.accept(path)

    def test_file(self):
        """Equal bytes for equal runs; a file like others: written as a whole, not over another's, or to standard output."""
        first, second = self.certificate("sum", 30, "direct"), self.path / "second"
        self.succeed("compile", "sum", "--n", 30, "--certificate", second, "--quiet")
        self.assertEqual(first.read_bytes(), second.read_bytes())
        self.succeed("compile", "sum", "--n", 30, "--certificate", second, "--quiet", ranks=2)
        self.assertEqual(first.read_bytes(), second.read_bytes())
        done = subprocess.run([cli_test.ROUNDTRIP, "compile", "sum", "--n", "30", "--certificate", "-"], capture_output=True,
                              check=True, timeout=60)
        self.assertEqual(done.stdout, first.read_bytes())
        self.refuse("compile", "sum", "--n", 30, "--certificate", second, "--json", second, says=["--certificate", "one file"])
        numbers = self.file("1 2 3\n")
        self.refuse("compile", "sum", "--input", numbers, "--certificate", numbers, says=["--certificate", "overwrite"])
        self.refuse("compile", "sum", "--n", 30, "--certificate", self.path / "no/such", says="No such file")
        self.refuse("compile", "sum", "--n", 30, "--certificate", "", says="--certificate")
        self.refuse("compile", "match2", "--n", 30, "--native", "--certificate", second, says="--native: goes without")
        self.refuse("compile", "sum", "--n", 30, "--plan", "--certificate", second, says="--certificate: goes without --plan")

    def test_unreadable(self):
        good = self.certificate("sum", 20, "direct")
        broken = self.file(good.read_bytes()[:-40], "broken")
        for path in (broken, self.path / "none"):
            done = check(good, path)
            self.assertEqual((done.returncode, done.stderr), (2, ""), done.stdout)
            self.assertIn("cannot be read", done.stdout)
        for text in ("", "{}", "[1]\n2\n", '{"schema":"roundtrip/certificate/2"}\n{}\n'):
            done = check(self.file(text, "other"))
            self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)
            self.assertIn("rejected", done.stdout)


class Certificate:
    """The lines of one, to be spoiled: each kind of mutation is a method, which changes what the certificate says."""

    def __init__(self, path, draw):
        self.lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        self.draw, self.head = draw, self.lines[0]
        rounds = self.head["shape"]["rounds"]
        self.rounds, self.layers = self.lines[2:2 + rounds], self.lines[2 + rounds:]

    def text(self):
        return [json.dumps(line) for line in (self.head, self.lines[1], *self.rounds, *self.layers)]

    def some_row(self, rows_of):
        """A row that is not empty, of some layer; rows_of(layer) are rows of it."""
        return self.draw.choice([row for layer in self.layers for row in rows_of(layer) if row[1]])[1]

    def some_message(self):
        """(list of a machine, place of a message in it)."""
        words = self.draw.choice([words for line in self.rounds for words in line["sent"] if words])
        return words, 2 * self.draw.randrange(len(words) // 2)

    def change_number(self, row):
        place = 2 * self.draw.randrange(len(row) // 2) + 1
        row[place] += self.draw.choice([1, -1, 0.5, 2 ** 20])

    def number_of_row(self):
        self.change_number(self.some_row(lambda layer: layer["rows"]))

    def number_of_value(self):
        self.change_number(self.some_row(lambda layer: [row for head in layer["heads"] for row in head[2]]))

    def number_of_average(self):
        self.change_number(self.some_row(lambda layer: [row for head in layer["heads"] for row in head[3]]))

    def slightly_of_average(self):
        row = self.some_row(lambda layer: [row for head in layer["heads"] for row in head[3]])
        row[1] *= 1 + 2 ** -50

    def column_of_row(self):
        self.some_row(lambda layer: layer["rows"])[-2] += self.draw.choice([1, 2])

    def row_missing(self):
        layer = self.draw.choice([layer for layer in self.layers if layer["rows"]])
        layer["rows"].pop(self.draw.randrange(len(layer["rows"])))

    def average_missing(self):
        head = self.draw.choice([head for layer in self.layers for head in layer["heads"] if head[3]])
        head[3].pop(self.draw.randrange(len(head[3])))

    def some_point(self, of):
        run = self.draw.choice([run for layer in self.layers for head in layer["heads"] for run in head[of] or []])
        run[self.draw.randrange(1, len(run))] += 1

    def query(self):
        self.some_point(0)

    def key(self):
        self.some_point(1)

    def key_missing(self):
        head = self.draw.choice([head for layer in self.layers for head in layer["heads"] if head[1]])
        head[1].pop()

    def message_word(self):
        words, at = self.some_message()
        words[at + 1] ^= 1 << self.draw.randrange(8)

    def message_destination(self):
        words, at = self.some_message()
        words[at] += 1 if words[at] == 0 else -1

    def message_lost(self):
        words, at = self.some_message()
        del words[at:at + 2]

    def message_made(self):
        words, at = self.some_message()
        words[at:at] = words[at:at + 2]

    def messages_swapped(self):
        places = [(words, i) for line in self.rounds for words in line["sent"] for i in range(0, len(words) - 3, 2)
                  if words[i:i + 2] != words[i + 2:i + 4]]
        if not places:
            return self.message_lost()
        words, i = self.draw.choice(places)
        words[i:i + 4] = words[i + 2:i + 4] + words[i:i + 2]

    def message_beside_transformer(self):
        """In the run, the claims and the outputs alike, but in no row."""
        place = self.draw.randrange(self.head["shape"]["outputs"])
        self.head["outputs"][place] += 1
        for words in self.rounds[-1]["sent"]:
            for i in range(0, len(words), 2):
                words[i + 1] += words[i] == place

    def round_missing(self):
        self.rounds.pop(self.draw.randrange(len(self.rounds)))

    def round_extra(self):
        """Numbered and counted as if it had been there."""
        self.rounds.insert(0, json.loads(json.dumps(self.rounds[0])))
        for number, line in enumerate(self.rounds, 1):
            line["round"] = number
        self.head["shape"]["rounds"] += 1

    def layer_missing(self):
        self.layers.pop(self.draw.randrange(len(self.layers)))
        for number, layer in enumerate(self.layers):
            layer["layer"] = number
        self.head["claims"]["depth"] -= 1

    def layer_extra(self):
        place = self.draw.randrange(len(self.layers))
        self.layers.insert(place, json.loads(json.dumps(self.layers[place])))
        for number, layer in enumerate(self.layers):
            layer["layer"] = number
        self.head["claims"]["depth"] += 1

    def head_missing(self):
        layer = self.draw.choice(self.layers)
        layer["heads"].pop()
        layer["sizes"][0] -= 1

    def head_extra(self):
        layer = self.draw.choice(self.layers)
        layer["heads"].append([None, None, [], []])
        layer["sizes"][0] += 1

    def input_word(self):
        self.head["input"][self.draw.randrange(len(self.head["input"]))] += 1

    def output_word(self):
        self.head["outputs"][self.draw.randrange(len(self.head["outputs"]))] += 1

    def value(self):
        place = self.draw.randrange(len(self.head["values"]))
        self.head["values"][place] = None if self.head["values"][place] is not None else 0

    def option(self):
        name, value = self.draw.choice({"sort": [("record", "4")], "match2": [("M", "5")], "prefix_scan": [("op", "min")],
                                        "k_hop": [("k", "3")]}[self.head["protocol"]])
        self.head["options"][name] = value

    def claim_smaller(self):
        self.head["claims"][self.draw.choice(list(self.head["claims"]))] -= 1

    def memory_smaller(self):
        claims = self.head["claims"]
        self.head["shape"]["memory_words"] = max(claims["max_words_sent"], claims["max_words_received"]) - 1

    def shape(self):
        name = self.draw.choice(["n", "outputs", "block_words", "machines", "rounds", "input_bits"])
        self.head["shape"][name] += self.draw.choice([1, -1])

    def sizes(self):
        sizes = self.draw.choice(self.layers)["sizes"]
        sizes[self.draw.randrange(4)] -= 1

    def ids_alike(self):
        ids = self.lines[1]["codes"] or self.lines[1]["ids"]
        ids[0] = ids[1]

    def id_missing(self):
        self.lines[1]["ids"].pop()

    def wrong_answer(self):
        """One output is another word in everything that holds it: messages, rows, values, averages, outputs, answers."""
        place = self.draw.randrange(self.head["shape"]["outputs"])
        old = self.head["outputs"][place]
        self.head["outputs"][place] += 1
        self.head["values"][place] = (self.head["values"][place] or 0) + 1
        machine, h = next((i, n // 2) for i, words in enumerate(self.rounds[-1]["sent"]) for n in range(0, len(words), 2)
                          if words[n] == place)
        self.rounds[-1]["sent"][machine][2 * h + 1] += 1
        head = self.layers[-1]["heads"][h]
        for rows, token, column in ((self.layers[-2]["rows"], machine, 4 + 2 * h), (head[2], machine, 3), (head[3], place, 3),
                                    (self.layers[-1]["rows"], place, 1)):
            row = next(row for t, row in rows if t == token)
            entries = dict(zip(row[0::2], row[1::2]))
            assert entries.get(column, 0) == old
            entries[column] = old + 1
            row[:] = [x for entry in sorted(entries.items()) for x in entry]


class Mutations(CertificateCase):
    def test_mutations(self):
        certify = checker()
        kinds = [name for name, method in vars(Certificate).items() if callable(method) and not name.startswith("_")
                 and name not in ("text", "some_row", "some_message", "some_point", "change_number")]
        self.assertGreaterEqual(len(kinds), 30)
        paths = [self.certificate("match2", 64, "direct"), self.certificate("prefix_scan", 64, "routed"),
                 self.certificate("sort", 24, "direct", "--attention", "anna"), self.certificate("k_hop", 20, "routed"),
                 self.certificate("prefix_scan", 64, "direct"), self.certificate("prefix_scan", 60, "routed", "--digits", 2)]
        for path in paths:
            certify.check(gzip.decompress(path.read_bytes()).decode().splitlines())
        done, escaped = 0, []
        for number in range(MUTATIONS):
            path, kind = paths[number // len(kinds) % len(paths)], kinds[number % len(kinds)]
            if kind == "wrong_answer":
                path = paths[4 * (number % 2)]  # of the direct construction, whose rows it knows
            certificate = Certificate(path, random.Random(number))
            before = certificate.text()
            getattr(certificate, kind)()
            after = certificate.text()
            self.assertNotEqual(before, after, (number, kind))
            done += 1
            try:
                escaped.append((number, kind, path.name, certify.check(after)))
            except (certify.Rejected, LookupError, TypeError, ValueError, ArithmeticError):
                pass
        self.assertEqual((done, escaped), (MUTATIONS, []))

    def test_command(self):
        """As a user meets it: status and words."""
        good = self.certificate("sum", 30, "direct")
        certificate = Certificate(good, random.Random(1))
        certificate.output_word()
        bad = self.file("\n".join(certificate.text()), "bad")
        done = check(good, bad)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("accepted", done.stdout)
        self.assertIn("bad: rejected: the last round does not deliver each output once", done.stdout)


class Independent(CertificateCase):
    def test_shares_nothing(self):
        text = CHECKER.read_text()
        self.assertLessEqual(len(text.splitlines()), 400)
        imported = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
        self.assertLessEqual(imported, {"collections", "gzip", "itertools", "json", "pathlib", "sys", "zlib"})


if __name__ == "__main__":
    cli_test.main()
