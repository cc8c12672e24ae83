"""What the documents say in tables, schemas, manual page and completion is what the program does. Run by ctest:
    reference_test.py ROUNDTRIP SOURCE"""

import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema

ROUNDTRIP = SOURCE = None  # set below


def call(*arguments, status=0, **options):
    done = subprocess.run([ROUNDTRIP, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == status, f"{arguments}: {done.returncode} {done.stderr}{done.stdout}"
    return done.stdout


class InDirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name)


class Schemas(InDirectory):
    """Every kind of JSON that the program writes fits its schema, and what doesn't fit is refused."""
    KINDS = {
        "run": [("run", "sort", "--n", 64, "--check"), ("run", "k_hop", "--n", 100, "--memory", 200, "--param", "k=3"),
                ("run", "matrix_product", "--n", 128), ("run", "sort", "--n", 4096, "--limit-words", 100)],
        "compile": [("compile", "sort", "--n", 16), ("compile", "k_hop", "--n", 20, "--native", "--attention", "anna"),
                    ("compile", "sum", "--n", 16, "--construction", "routed", "--roundtrip", "--passes")],
        "decompile": [("decompile", "random:L=1,H=2,c=8", "--n", 16, "--roundtrip"), ("decompile", "sum", "--n", 16),
                      ("decompile", "random:L=1", "--attention", "low_rank", "--n", 16, "--native")],
        "attend": [("attend", "--n", 128, "--c", 12, "--plan"), ("attend", "--n", 64, "--c", 8, "--compare", "brute"),
                   ("attend", "--n", 64, "--family", "p-stable", "--r", 0.1, "--compare", "exact")],
        "explain": [("explain", "k_hop", "--n", 12, "--attention", "anna"), ("explain", "sum", "--n", 8, "--construction", "routed"),
                    ("explain", "random:L=1,H=2,d=8,m=2,w=2,c=8", "--n", 8),
                    ("explain", "random:L=1,H=1,d=8,m=2,w=2", "--n", 8, "--attention", "softmax")],
        "plan": [("run", "sort", "--n", 64, "--plan"), ("compile", "sort", "--n", 64, "--plan"),
                 ("decompile", "random:L=1", "--n", 16, "--plan")],
        "list": [("list",), ("list", "k_hop")],
        "verify": [("verify", "k_hop_depth"), ("verify", "chunked_attention_reach")],
        "train": [("train", "match2", "--steps", 5, "--out", pathlib.Path(tempfile.gettempdir()) / "reference_test.json")],
        "experiment": [("experiment", "match2", "--draws", 1, "--sequences", 2, "--model",
                        pathlib.Path(__file__).resolve().parents[2] / "examples/trained/match2.json")],
        "mechanisms": [("experiment", "mechanisms", "--rows", "softmax,lstm:4", "--seeds", 1, "--steps", 2),
                       ("experiment", "mechanisms", "--task", "k_hop", "--rows", "rnn:8", "--seeds", 1, "--steps", 2)],
        "compare": [("compare", "k_hop", "--n", 20), ("compare", "match2", "--n", 16), ("compare", "sum", "--n", 16)],
        "faults": [("verify", "--faults", "check-lost", "packet code")],
        "demo": [("demo",)],
        "sweep": [("sweep", "k_hop", "--n", "16,64", "--param", "k=1,2", "--by", "run"), ("sweep", "components", "--n", "15,16")],
    }

    def validator(self, kind):
        schema = json.loads((SOURCE / "docs/schema" / f"{kind}.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema), schema

    def test_outputs_fit(self):
        for kind, commands in self.KINDS.items():
            validator, schema = self.validator(kind)
            seen = set()
            for command in commands:
                facts = json.loads(call(*command, "--json", "-", status=3 if "--limit-words" in command else 0))
                validator.validate(facts)
                seen |= set(facts)
                for key in schema["required"]:
                    lacking = {name: value for name, value in facts.items() if name != key}
                    self.assertFalse(validator.is_valid(lacking), f"{command} without {key}")
                self.assertFalse(validator.is_valid({**facts, "unheard": 1}), command)
                wrong = copy.deepcopy(facts)
                wrong["schema"] = "roundtrip/other/1"
                self.assertFalse(validator.is_valid(wrong), command)
            unseen = set(schema["properties"]) - seen - {"violation", "counterexample"}  # the latter: faults_test.py
            self.assertEqual(unseen, set(), f"{kind}: declared, and never seen")

    def test_every_schema_is_tried_and_listed(self):
        kinds = {path.stem for path in (SOURCE / "docs/schema").iterdir()}
        self.assertEqual(kinds, set(self.KINDS) | {"tables"})
        page = (SOURCE / "docs/json.md").read_text()
        for kind in kinds:
            self.assertIn(f"(schema/{kind}.json)", page)


class Export(InDirectory):
    """A file that `compile --native --export` wrote, run by a program that has nothing of ours."""
    SCRIPT = "examples/run_exported.py"

    def run_exported(self, *arguments, torch):
        # In a process that can't import torch, numpy does it.
        hide = "" if torch else "sys.modules['torch'] = None; "
        code = f"import runpy, sys; {hide}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        return subprocess.run([sys.executable, "-B", "-c", code, str(SOURCE / self.SCRIPT), *map(str, arguments)],
                              capture_output=True, text=True, timeout=120)

    def check(self, torch):
        library = "torch" if torch else "numpy"
        _, schema = Schemas.validator(self, "tables")
        for task, options in (("k_hop", ("--n", 100, "--param", "k=3")), ("match2", ("--n", 60, "--param", "M=500"))):
            model = self.path / f"{task}.json"
            call("compile", task, "--native", *options, "--export", model, "--quiet")
            tables = model.with_suffix(".tables.json")
            jsonschema.validate(json.loads(tables.read_text()), schema)
            done = self.run_exported(model, torch=torch)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"{library}:", done.stderr)
            if torch:
                continue
            # A weight that is another one is noticed: it is the weights that are run.
            weights = model.with_suffix(".safetensors")
            data = bytearray(weights.read_bytes())
            for place in range(len(data) - 4000, len(data)):
                data[place] ^= 1
            weights.write_bytes(data)
            self.assertNotEqual(self.run_exported(model, torch=torch).returncode, 0)

    def test_numpy(self):
        self.check(torch=False)

    def test_torch(self):
        if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode:
            self.skipTest("python3-torch is not installed: 205 packages, 745 MB; the same script runs with numpy")
        self.check(torch=True)


def subcommands():
    """{name: its help}"""
    names = re.findall(r"^  (\w+) ", call("--help").split("Subcommands:")[1].split("Examples:")[0], re.M)
    return {name: call(name, "--help") for name in names}


class Help(unittest.TestCase):
    def test_every_subcommand_has_examples_of_flags_that_it_has(self):
        for name, text in subcommands().items():
            self.assertRegex(text, r"Examples?:\n", name)
            examples = re.findall(rf"^  .*roundtrip {name}\b(.*)$", text.split("Example")[1], re.M)
            self.assertTrue(examples, name)
            for flag in re.findall(r"--[a-z-]+", " ".join(examples)):
                self.assertRegex(text, rf"\n  (-h,)?{flag}\b", f"{name}: an example has {flag}")

    def test_no_colours_where_nobody_looks(self):
        for environment in ({}, {"NO_COLOR": "1"}, {"TERM": "xterm-256color"}):
            for command in (("list",), ("run", "sort", "--n", 100), ("compile", "sum", "--n", 16), ("verify", "chunked_attention_reach")):
                self.assertNotIn("\x1b", call(*command, env={**os.environ, **environment}))

    def test_manual_says_what_the_help_says(self):
        manual = call("reference", "man")
        plain = manual.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")
        for name, text in subcommands().items():
            section = re.search(rf'^\.SS "roundtrip {name}\b(.*?)(?=^\.S[SH])', plain, re.M | re.S)
            self.assertTrue(section, name)
            for flag in re.findall(r"^  (?:-h,)?(--[a-z-]+)", text, re.M):
                self.assertIn(f"\\fB{flag}\\fR", section[1], name)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z"], input=manual, capture_output=True, text=True)
            self.assertEqual(done.stderr, "")

    def complete(self, *words):
        """What bash offers for the last of these words."""
        script = call("reference", "completion")
        line = " ".join(f"'{word}'" for word in words)
        script += f"\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _roundtrip; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "words.txt").touch()
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=directory)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_completion(self):
        program = str(ROUNDTRIP)
        self.assertEqual(self.complete(program, ""), set(subcommands()) | {"--help", "--version"})
        self.assertEqual(self.complete(program, "decom"), {"decompile"})
        self.assertEqual(self.complete(program, "run", "k_"), {"k_hop", "k_hop_program", "k_hop_walk"})
        self.assertEqual(self.complete(program, "run", "k_hop", "--ch"), {"--check", "--checkpoint"})
        self.assertEqual(self.complete(program, "run", "k_hop", "--input", "wo"), {"words.txt"})
        self.assertEqual(self.complete(program, "run", "k_hop", "--n", ""), set())
        self.assertEqual(self.complete(program, "run", "k_hop", "--format", ""), {"numbers", "words", "bytes", "npy", "edges"})
        self.assertEqual(self.complete(program, "decompile", "sum", "--attention", "s"), {"softmax", "state_space"})
        self.assertEqual(self.complete(program, "attend", "--family", "h"), {"hadamard", "hyperplane"})
        self.assertEqual(self.complete(program, "explain", "./wo"), {"./words.txt"})
        self.assertEqual(self.complete(program, "verify", "sum", "k_"), {"k_hop", "k_hop_depth", "k_hop_is_near_optimal", "k_hop_program", "k_hop_walk"})
        self.assertIn("--check", self.complete(program, "run", "sum", ""))  # no second protocol
        self.assertNotIn("sort", self.complete(program, "run", "sum", ""))
        self.assertIn("direct_simulation", self.complete(program, "verify", ""))
        for name, text in subcommands().items():
            flags = set(re.findall(r"^  (?:-h,)?(--[a-z-]+)", text, re.M))
            self.assertEqual(self.complete(program, name, "--"), flags, name)


class Pages(unittest.TestCase):
    def test_programs_shown_are_the_examples(self):
        for page, example in (("README.md", "hello"), ("docs/protocols.md", "largest")):
            code = re.search(r"```cpp\n(.*?)```", (SOURCE / page).read_text(), re.S)[1]
            lines = iter((SOURCE / f"examples/{example}.cpp").read_text().splitlines())
            for line in code.splitlines():  # the page may leave lines out
                self.assertTrue(any(line == theirs for theirs in lines), f"{page}: {line}")

    def test_commands_in_the_text_have_flags_that_are_there(self):
        helps, seen = {**subcommands(), "reference": call("reference", "--help")}, 0
        for page in [SOURCE / "README.md", SOURCE / "examples/README.md", *(SOURCE / "docs").glob("*.md")]:
            for name, rest in re.findall(r"`roundtrip (\w+)([^`]*)`", page.read_text()):
                self.assertIn(name, helps, f"{page.name}: roundtrip {name}{rest}")
                for flag in re.findall(r"--[a-z][a-z-]*", rest):
                    seen += 1
                    self.assertRegex(helps[name], rf"\n  (-h,)?{flag}\b", f"{page.name}: roundtrip {name}{rest}")
        self.assertGreater(seen, 0)

    def test_theorems_has_every_statement_and_no_other(self):
        page = (SOURCE / "docs/theorems.md").read_text()
        statements = re.findall(r"^  (\w+)  +\S", call("verify", "--help").split("Theorems:\n")[1].split("or a protocol")[0], re.M)
        self.assertGreater(len(statements), 5)
        self.assertEqual(sorted(re.findall(r"^\| .*\| `(\w+)`", page, re.M)), sorted(statements))

    def test_links_lead_somewhere(self):
        for page in [SOURCE / "README.md", SOURCE / "examples/README.md", *(SOURCE / "docs").glob("*.md")]:
            text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.M | re.S)
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
                if not re.match(r"https?:", target):
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_dependencies_names_what_is_installed(self):
        listed = {line.split()[1] for line in (SOURCE / "cmake/packages.txt").read_text().splitlines()
                  if line and not line.startswith("#")}
        table = [line.split("|")[1] for line in (SOURCE / "docs/dependencies.md").read_text().splitlines() if line.startswith("| ")]
        named = {package for cell in table[1:] for package in re.findall(r"`([a-z0-9][a-z0-9+.-]+)`", cell)}
        self.assertEqual(named, listed)


class DocTest(InDirectory):
    """doc_test.py accepts what is as shown, and nothing else."""

    def status(self, text):
        page = self.path / "page.md"
        page.write_text(text)
        return subprocess.run([sys.executable, "-B", str(SOURCE / "tests/docs/doc_test.py"), str(page)], text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL).returncode

    def block(self, *lines, info="console"):
        return self.status("\n".join(["A page", f"```{info}", *lines, "```", ""]))

    def test_accepts(self):
        self.assertEqual(self.block("$ echo a; echo b", "a", "b"), 0)
        self.assertEqual(self.block("$ x=3", "$ seq $x", "1", "2", "3"), 0)  # one session
        self.assertEqual(self.block("$ seq 9", "1", "...", "9"), 0)
        self.assertEqual(self.block("$ seq 2", "1", "...", "2"), 0)  # no line
        self.assertEqual(self.block("$ echo 12 words", "... words"), 0)
        self.assertEqual(self.block("$ echo run in 0.25 s", "run in 1.000 s"), 0)
        self.assertEqual(self.block("$ echo '  seconds   0.25      17.5'", "  seconds   1.25   7.5"), 0)
        self.assertEqual(self.block("$ false", "$ echo $?", "1"), 0)
        self.assertEqual(self.block("$ cat <<EOF", "> two", "> EOF", "two"), 0)
        self.assertEqual(self.block("$ cat"), 0)  # nothing on standard input
        self.assertEqual(self.status("<!-- console: touch f -->\n```console\n$ ls\nf\n```\n"), 0)
        self.assertEqual(self.block("$ false", info="console long"), 0)  # not run here

    def test_refuses(self):
        self.assertNotEqual(self.block("$ echo a", "b"), 0)
        self.assertNotEqual(self.block("$ echo a"), 0)
        self.assertNotEqual(self.block("$ seq 3", "1", "3"), 0)
        self.assertNotEqual(self.block("$ seq 9", "1", "...", "8"), 0)
        self.assertNotEqual(self.block("$ echo a >&2"), 0)
        self.assertNotEqual(self.block("$ false"), 0)
        self.assertNotEqual(self.block("$ false", "$ echo $?", "0"), 0)
        self.assertNotEqual(self.block("$ echo in 0.25 ms", "in 1.000 ms"), 0)
        self.assertNotEqual(self.block("$ echo 'a.b'", "a+b"), 0)
        self.assertNotEqual(self.block("a line without a prompt"), 0)
        self.assertNotEqual(self.block("$ echo a", "a", info=""), 0)  # a prompt, and not run
        self.assertNotEqual(self.status("Nothing to run.\n"), 0)
        self.assertNotEqual(self.status("<!-- console: false -->\n```console\n$ true\n```\n"), 0)
        self.assertNotEqual(self.status("```console\n$ true\n"), 0)


if __name__ == "__main__":
    ROUNDTRIP, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
