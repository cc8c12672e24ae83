"""Runs the commands that a page shows and compares what they print with what the page says they print.

    doc_test.py [--long] [--update] [--path NAME=PROGRAM]... PAGE.md

A page's ```console blocks are one shell session, in a directory of its own that starts empty:
  $ command       run by bash; lines after it that begin with "> " go on with it (a backslash or a here-document)
  what it prints  standard output and standard error, compared line by line
Of what is shown, "..." alone on a line stands for any lines, "..." within a line for any text. Seconds differ from run to
run: a number in front of " s", and every number of a line that begins with "seconds", stands for any number. Nothing else
may differ. A command must end with status 0, unless the next one is `echo $?`.
```console long blocks run with --long alone. An HTML comment <!-- console: command --> is run, and not shown to readers.
A block that shows a prompt but isn't ```console is an error: nobody would notice when it no longer holds.
--update writes what was printed in place of what differed, to be read before it is committed."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SECONDS = re.compile(r"\d+\.\d+(?= s\b)")
NUMBER = re.compile(r"\d+\.\d+")


class Command:
    def __init__(self, first, line):
        self.text, self.line = first, line  # the place of what is shown begins after the command's lines
        self.shown, self.begin, self.long, self.indent = [], 0, False, ""


def parse(lines):
    """The page's commands in order."""
    commands, fence, prompt_allowed, long = [], None, False, False
    for number, line in enumerate(lines):
        opening = re.match(r"( *)(`{3,}|~{3,})\s*(.*)$", line)
        if fence is not None:
            line = line.removeprefix(indent)
        if fence is None and opening:
            indent, fence, info = opening.group(1), opening.group(2), opening.group(3).split()
            prompt_allowed, long, last = info[:1] == ["console"], "long" in info[1:], None
        elif fence is None:
            hidden = re.match(r"<!-- console: (.*) -->$", line)
            if hidden:
                commands.append(Command(hidden.group(1), number))
                commands[-1].shown = None
            elif line.startswith("    $ "):
                raise SystemExit(f"line {number + 1}: a prompt in an indented block; use ```console")
        elif opening and opening.group(2).startswith(fence) and not opening.group(3):
            fence = None
        elif line.startswith("$ "):
            if not prompt_allowed:
                raise SystemExit(f"line {number + 1}: a prompt in a block that isn't ```console")
            last = Command(line[2:], number)
            last.long, last.begin, last.indent = long, number + 1, indent
            commands.append(last)
        elif prompt_allowed and last is None:
            raise SystemExit(f"line {number + 1}: a console block begins with a prompt")
        elif prompt_allowed and not last.shown and line.startswith("> "):
            last.text, last.begin = last.text + "\n" + line[2:], number + 1
        elif prompt_allowed:
            last.shown.append(line)
    if fence is not None:
        raise SystemExit("the last block has no end")
    return commands


class Shell:
    """A bash that runs one command after the other, with nothing on standard input."""
    MARK = "-- end of a command of doc_test.py --"
    # As `$?` would be: each command sees the status of the one before it.
    LOOP = """s=0; while IFS= read -r -d '' -u "$1" c; do (exit $s); eval "$c"; s=$?; printf '\\n%s %d\\n' "$2" $s; done"""

    def __init__(self, directory, environment):
        theirs, ours = os.pipe()
        self.bash = subprocess.Popen(["bash", "--noprofile", "--norc", "-c", self.LOOP, "bash", str(theirs), self.MARK],
                                     cwd=directory, env=environment, text=True, pass_fds=[theirs],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.close(theirs)
        self.commands = os.fdopen(ours, "w")

    def run(self, command):
        """(lines printed, status)"""
        self.commands.write(command + "\0")
        self.commands.flush()
        lines = []
        for line in self.bash.stdout:
            if line.startswith(self.MARK):
                if lines and lines[-1] == "":
                    lines.pop()  # the line break of our own printf
                return lines, int(line.split()[-1])
            lines.append(line.rstrip("\n"))
        raise SystemExit(f"the shell ended in: {command}")


def pattern(line):
    """What a shown line allows."""
    numbers = NUMBER if line.split()[:1] == ["seconds"] else SECONDS
    parts = [re.escape(part).replace("\\.\\.\\.", ".*") for part in numbers.split(line)]
    text = r"\d+\.\d+".join(parts)
    return re.compile(re.sub(r"(\\ ){2,}", r"\\ +", text) if numbers is NUMBER else text)


def matches(shown, printed):
    shown, printed = list(shown), list(printed)
    while shown and shown[-1] == "":
        shown.pop()
    while printed and printed[-1] == "":
        printed.pop()
    reach = {0}  # how many printed lines the shown lines so far may stand for
    for line in shown:
        if line == "..." or line.strip() == "...":
            reach = set(range(min(reach), len(printed) + 1)) if reach else reach
        else:
            allowed = pattern(line.rstrip())
            reach = {at + 1 for at in reach if at < len(printed) and allowed.fullmatch(printed[at].rstrip())}
    return len(printed) in reach


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--path", action="append", default=[], metavar="NAME=PROGRAM")
    arguments = parser.parse_args()
    text = arguments.page.read_text(encoding="utf-8")
    lines = text.splitlines()
    commands = parse(lines)
    failures, updates, ran = 0, [], 0
    with tempfile.TemporaryDirectory() as programs, tempfile.TemporaryDirectory() as directory:
        for entry in arguments.path:
            name, program = entry.split("=", 1)
            os.symlink(program, os.path.join(programs, name))
        environment = dict(os.environ, PATH=programs + os.pathsep + os.environ["PATH"], LC_ALL="C.UTF-8",
                           ROOT=str(pathlib.Path(__file__).resolve().parents[2]))
        shell = Shell(directory, environment)
        for index, command in enumerate(commands):
            if command.long and not arguments.long:
                continue
            ran += 1
            printed, status = shell.run(command.text)
            asked = index + 1 < len(commands) and commands[index + 1].text == "echo $?"
            wrong = "" if status == 0 or asked else f"ended with status {status}\n"
            if command.shown is not None and not matches(command.shown, printed):
                wrong += "the page shows\n" + "".join(f"  |{line}\n" for line in command.shown) + "it printed\n"
                wrong += "".join(f"  |{line}\n" for line in printed)
                updates.append((command.begin, len(command.shown), [command.indent + line for line in printed]))
            elif command.shown is None and status:
                wrong += "\n".join(printed)
            if wrong:
                failures += 1
                print(f"{arguments.page}:{command.line + 1}: $ {command.text}\n{wrong}")
    if arguments.update:
        for begin, length, printed in reversed(updates):
            lines[begin:begin + length] = printed
        arguments.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if ran == 0 and not any(command.long for command in commands):
        raise SystemExit(f"{arguments.page} shows no command")
    print(f"{arguments.page.name}: {ran} commands, {failures} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
