#!/usr/bin/env python3
"""Rules of the source tree that no compiler holds. rules_test.py SOURCE_FOLDER [RULE..]: every rule, or those named.

  includes    who may include whom (layers.txt), no circle, public headers include public headers only
  files       every .cpp of a layer is in its CMakeLists.txt; rooms hold the files of anna/ and simulate/
  references  every file that a comment or a page names exists
  self_test   each rule fails on a copy of the tree in which it is broken
"""
import re
import shutil
import sys
import tempfile
from pathlib import Path

LAYERS = ["base", "mpc", "anna", "simulate", "train", "explain", "proofs_check", "cli"]
ROOMS_ONLY = ["anna", "simulate"]  # no file at their top but CMakeLists.txt
MODULES = ["python"]  # linked of all layers, with rows in the table; their users see exceptions, not flags
FOLDERS = LAYERS + MODULES + ["examples", "tests", "bench", "docs", "cmake"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"roundtrip/([^"]+)"', re.M)


def sources(root, folders):
    return sorted(path.relative_to(root) for folder in folders for path in (root / folder).rglob("*")
                  if path.suffix in (".h", ".cpp"))


def table():
    """[(room, allowed to all, allowed to .cpp files as well)], the longest room first."""
    rows = {}
    for line in (Path(__file__).parent / "layers.txt").read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        room, _, rest = line.partition(":")
        for_all, _, for_sources = rest.partition("|")
        rows[room.strip()] = (room.strip(), for_all.split() + ["base"], for_sources.split())
    return sorted(rows.values(), key=lambda row: -len(row[0]))


def room_of(rows, path):
    name = path.with_suffix(".*").as_posix()
    return next((room for room, _, _ in rows if name == room or name.startswith(room + "/")), None)


def covers(allowed, room):
    folder = room.rpartition("/")[0] if room.endswith(".*") else room
    return any(room.startswith(name[:-1]) if name.endswith("/*") else name in (room, folder) for name in allowed)


def circle(edges):
    """One circle of the graph {node: {node: why}} as a list of its edges' reasons; empty if there is none."""
    state = {}

    def visit(node, trail):
        state[node] = "open"
        for other, why in edges.get(node, {}).items():
            if state.get(other) == "open":
                nodes = [n for n, _ in trail] + [node]
                return [w for _, w in trail[nodes.index(other):]] + [why]
            if other not in state and (found := visit(other, trail + [(node, why)])):
                return found
        state[node] = "done"
        return []

    for node in sorted(edges):
        if node not in state and (found := visit(node, [])):
            return found
    return []


def public_headers(root):
    listed = set()
    for layer in LAYERS:
        text = (root / layer / "CMakeLists.txt").read_text()
        match = re.search(r"\n *HEADERS\s+(.*?)\n *[A-Z_]+\b", text, re.S)
        listed |= {f"{layer}/{name}" for name in match.group(1).split()} if match else set()
    return listed


def includes(root):
    rows, problems, files, rooms = table(), [], {}, {}
    public = public_headers(root)
    for path in sources(root, LAYERS + MODULES):
        room = room_of(rows, path)
        if room is None:
            problems.append(f"{path}: its folder is no room of tests/rules/layers.txt")
            continue
        _, for_all, for_sources = next(row for row in rows if row[0] == room)
        for included in INCLUDE.findall((root / path).read_text()):
            why = f"{path} includes {included}"
            other = room_of(rows, Path(included))
            files.setdefault(str(path), {})[included] = why
            if path.as_posix() in public and included not in public:
                problems.append(f"{why}, but is a public header and that is not")
            if other is None or covers([room], other):
                continue
            if path.suffix == ".h":
                rooms.setdefault(room, {})[other] = why
            if not covers(for_all + (for_sources if path.suffix == ".cpp" else []), other):
                problems.append(f"{why}: {room} may include {' '.join(for_all)}")
    problems += [f"{name} is a public header, but does not exist" for name in sorted(public) if not (root / name).exists()]
    for graph, what in ((files, "files"), (rooms, "the headers of rooms")):
        if found := circle(graph):
            problems.append(f"a circle of {what}: " + ", ".join(found))
    return problems


def files(root):
    problems = [f"{path.relative_to(root)}: files of {layer}/ belong into its rooms"
                for layer in ROOMS_ONLY for path in sorted((root / layer).iterdir())
                if path.is_file() and path.name != "CMakeLists.txt"]
    for path in sources(root, LAYERS + MODULES):
        layer, name = path.parts[0], Path(*path.parts[1:]).as_posix()
        listed = (root / layer / "CMakeLists.txt").read_text()
        globbed = any(Path(name).match(pattern) for pattern in re.findall(r"\bfile\(GLOB.* (\S+)\)", listed))
        if path.suffix == ".cpp" and not globbed and not re.search(rf"(?<![\w/]){re.escape(name)}\b", listed):
            problems.append(f"{path} is not in {layer}/CMakeLists.txt")
    return problems


# What a comment or a page may name: a path of ours, or a bare header or source file.
PATH = re.compile(r"(?<![\w./*<>$}{@~%-])((?:\.\./)*[A-Za-z_][\w-]*(?:/[\w.-]+)*/[\w-]+(?:\.[\w-]+)*\.[a-z]\w{0,4}|[\w-]+\.(?:cpp|h))(?![\w/*<>-]|\.\w)")
COMMENT = {".h": r"//.*", ".cpp": r"//.*", ".py": r"#.*|\"\"\"[\s\S]*?\"\"\"", ".sh": r"#.*", ".cmake": r"#.*", ".txt": r"#.*",
           ".md": r"[\s\S]+"}


def references(root):
    everything = [path.relative_to(root) for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    everything += [path.relative_to(root) for path in root.iterdir() if path.is_file()]
    everything = [path for path in everything if "__pycache__" not in path.parts]
    names = {path.name for path in everything}
    tails = {"/".join(path.parts[i:]) for path in everything for i in range(len(path.parts))}
    heads = set(FOLDERS) | {part for layer in LAYERS for part in (p.name for p in (root / layer).iterdir() if p.is_dir())}
    problems = []
    for path in sorted(everything):
        if path.suffix not in COMMENT or path.name == "CHANGELOG.md":  # which names what was
            continue
        text = (root / path).read_text()
        if path.suffix in (".h", ".cpp"):
            text = re.sub(r"^[ \t]*#[ \t]*include.*", "", text, flags=re.M)
        for comment in re.findall(COMMENT[path.suffix], text):
            comment = re.sub(r"\w+://\S+", "", comment)
            if path.suffix == ".md":  # not what a reader makes: code blocks and commands
                comment = re.sub(r"^( *)```[\s\S]*?^\1```", "", comment, flags=re.M)
            for name in PATH.findall(comment):
                if "/" not in name:
                    found = name in names
                else:
                    name_here = re.sub(r"^(\.\./)+", "", name)
                    if not name.startswith("..") and name.split("/")[0] not in heads:
                        continue  # of a library, a system or a user
                    found = name_here in tails
                if not found and "NAME" not in name:  # of a recipe
                    problems.append(f"{path} names {name}, which does not exist")
    return problems


STRING = re.compile(r'R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"')
FIELD = re.compile(r'(?:require_field\([^;]*?|ContractError\()"([a-z][a-z ]*)",\s*"')
SPEAKS = re.compile(r"\b(?:std::)?(?:cout|cerr|clog|printf|fprintf|fputs|fwrite|puts|perror|abort|exit|_exit|terminate)\(|\bstd::c(?:out|err)\b")


def speech(root):
    """A library says nothing itself, and knows no flags: errors name fields, which cli/fields.cpp has the flags of."""
    problems = []
    flags = (root / "cli/fields.cpp").read_text()
    for path in sources(root, [layer for layer in LAYERS if layer != "cli"]):
        text = re.sub(r"//.*|#include.*", "", (root / path).read_text())
        if path.as_posix() != "proofs_check/report/html.cpp":  # which shows the command that it came from
            problems += [f"{path} knows a flag: {match[0]}" for match in STRING.finditer(text)
                         if re.search(r"(?<![\w-])--[a-z]", match[0])]
        problems += [f"{path}: field '{field}' has no flag in cli/fields.cpp" for field in FIELD.findall(text)
                     if f'{{"{field}", ' not in flags]
        # Transports end ranks when told to; evaluation.cpp, executor.cpp and processes.cpp end processes of their own.
        may_end = ("mpc/transport", "mpc/runtime/transport_mpi", "proofs_check/evaluation", "proofs_check/executor",
                   "proofs_check/processes")
        if not path.as_posix().startswith(may_end):
            problems += [f"{path} speaks or ends the process: {word}" for word in SPEAKS.findall(STRING.sub('""', text))]
    return problems


RULES = {"includes": includes, "files": files, "references": references, "speech": speech}

# (rule, file to change, text to add at its end, words of the problem expected)
BROKEN = [
    ("includes", "base/rational.cpp", '#include "roundtrip/mpc/parameters.h"\n', "base/rational.cpp includes mpc/parameters.h: base"),
    ("includes", "mpc/registry.cpp", '#include "roundtrip/anna/lsh/family.h"\n', "mpc/registry.cpp includes anna/lsh/family.h: mpc"),
    ("includes", "mpc/registry.h", '#include "roundtrip/mpc/runtime/exchange.h"\n', "registry.h includes mpc/runtime/exchange.h: mpc"),
    ("includes", "anna/lsh/family.cpp", '#include "roundtrip/anna/attention/attention.h"\n', "anna/lsh may include"),
    ("includes", "base/rational.h", '#include "roundtrip/base/npy.h"\n', "is a public header and that is not"),
    ("includes", "base/error.h", '#include "roundtrip/base/ensure.h"\n', "a circle of files"),
    ("includes", "anna/cave/new.h", "", "is no room"),
    ("files", "simulate/new.h", "", "belong into its rooms"),
    ("files", "anna/lsh/new.cpp", "", "is not in anna/CMakeLists.txt"),
    ("speech", "mpc/registry.cpp", 'const char* k = "--gone";\n', "knows a flag"),
    ("speech", "mpc/registry.cpp", 'void f() { require_field(a, "gone", "is"); }\n', "field 'gone' has no flag"),
    ("speech", "mpc/registry.cpp", 'void f() { std::puts("x"); }\n', "speaks or ends"),
    ("references", "base/error.h", "// See mpc/gone.h.\n", "names mpc/gone.h"),
    ("references", "base/error.h", "// See gone.h.\n", "names gone.h"),
    ("references", "docs/glossary.md", "[the code](../mpc/gone.cpp)\n", "names ../mpc/gone.cpp"),
]


def self_test(root):
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        for name in FOLDERS:
            shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        for path in root.iterdir():
            if path.is_file():
                shutil.copy(path, copy)
        for rule, name, added, expected in BROKEN:
            path = copy / name
            before = path.read_text() if path.exists() else None
            path.parent.mkdir(exist_ok=True)
            path.write_text((before or "") + added)
            if not any(expected in problem for problem in RULES[rule](copy)):
                problems.append(f"{rule} does not see that {name} is broken: no '{expected}'")
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
    return problems


def main():
    root, names = Path(sys.argv[1]), sys.argv[2:] or [*RULES, "self_test"]
    problems = [f"{name}: {problem}" for name in names
                for problem in (self_test(root) if name == "self_test" else RULES[name](root))]
    print("\n".join(problems) or f"{', '.join(names)}: ok")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
