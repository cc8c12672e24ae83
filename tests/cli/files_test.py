"""What a user may name as an output, and what must survive its being written: files_test.py --roundtrip PATH CLASS."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import cli_test

FIVE = ("run", "sort", "--n", 5, "--quiet", "--output")
ROOT = os.geteuid() == 0
PRIVATE_MOUNTS = ROOT and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def shell(script, **options):
    """Runs `script` in bash, where $R is the program."""
    options = {"capture_output": True, "text": True, "timeout": 60, "check": False} | options
    return subprocess.run(["bash", "-c", script], env=os.environ | {"R": cli_test.ROUNDTRIP}, **options)


class Writing(cli_test.Case):
    def setUp(self):
        super().setUp()
        os.chdir(self.path)
        self.addCleanup(os.chdir, "/")

    def write(self, path):
        self.succeed(*FIVE, path)

    def lines(self, path):
        return len(pathlib.Path(path).read_text().splitlines())

    def names(self):
        return sorted(f.name for f in self.path.iterdir())

    def test_links_stay(self):
        self.file("old", "target")
        os.symlink("target", "one")
        os.mkdir("folder")
        os.symlink("../one", "folder/two")
        self.write("folder/two")
        self.assertTrue(os.path.islink("one") and os.path.islink("folder/two"))
        self.assertEqual(self.lines("target"), 5)

    def test_link_to_nothing_yet(self):
        os.symlink("target", "link")
        self.write("link")
        self.assertEqual((os.readlink("link"), self.lines("target")), ("target", 5))
        os.symlink("no/such", "other")
        self.refuse(*FIVE, "other", says="No such file")

    def test_links_in_a_circle(self):
        os.symlink("b", "a")
        os.symlink("a", "b")
        self.refuse(*FIVE, "a", says=["'a'", "Too many levels"])

    def test_hard_links(self):
        self.file("old", "a")
        os.link("a", "b")
        self.write("a")
        self.assertTrue(os.path.samefile("a", "b"))
        self.assertEqual(self.lines("b"), 5)
        self.file("old\n" * 100, "a")  # in place a longer file gets shorter, too
        self.write("a")
        self.assertEqual((self.lines("b"), self.names()), (5, ["a", "b"]))

    def test_mode(self):
        for mode in (0o640, 0o777, 0o600):
            self.file("old", "a")
            os.chmod("a", mode)
            self.write("a")
            self.assertEqual((os.stat("a").st_mode & 0o7777, self.lines("a")), (mode, 5))
        shell("umask 027; \"$R\" run sort --n 5 --quiet --output new")
        self.assertEqual(os.stat("new").st_mode & 0o7777, 0o640)

    @unittest.skipUnless(ROOT, "owners are root's to give")
    def test_owner(self):
        self.file("old", "a")
        os.chown("a", 61234, 61235)
        os.chmod("a", 0o4644)
        self.write("a")
        facts = os.stat("a")
        self.assertEqual((facts.st_uid, facts.st_gid, facts.st_mode & 0o7777, self.lines("a")), (61234, 61235, 0o4644, 5))

    def test_attributes(self):
        self.file("old", "a")
        try:
            os.setxattr("a", "user.kept", b"\x00value")
        except OSError:
            self.skipTest("the file system has no attributes")
        self.write("a")
        self.assertEqual((os.getxattr("a", "user.kept"), self.lines("a")), (b"\x00value", 5))

    def test_long_names(self):
        for name in ("y" * 250, "y" * 255):
            self.write(name)
            self.assertEqual(self.lines(name), 5)
        self.refuse(*FIVE, "y" * 256, says="File name too long")
        self.assertEqual(self.names(), ["y" * 250, "y" * 255])

    def test_descriptors(self):
        for path in ("/dev/fd/3", "/proc/self/fd/3"):
            done = shell(f"echo before > f; \"$R\" run sort --n 5 --output {path} --quiet 3>>f")
            self.assertEqual((done.returncode, self.lines("f")), (0, 6), done.stderr)
        os.symlink("/dev/stdout", "link")
        for path in ("/dev/stdout", "/dev/fd/1", "link"):
            done = shell(f"{{ echo before; \"$R\" run sort --n 5 --output {path}; echo after; }} > f")
            self.assertEqual((done.returncode, pathlib.Path("f").read_text()[:7], self.lines("f")), (0, "before\n", 7))
        json.loads(self.succeed("run", "sort", "--n", 5, "--json", "/dev/stdout"))  # in place of the report
        self.assertTrue(os.path.islink("/dev/stdout") or not os.path.exists("/dev/stdout"))
        self.refuse(*FIVE, "/dev/fd/77", says="Bad file descriptor")
        done = shell("\"$R\" run sort --n 99999999999 --output /dev/fd/4 --quiet 4</dev/null")  # refused before the work
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("Bad file descriptor", done.stderr)

    def test_pipe_that_does_not_block(self):
        read, write = os.pipe()
        for end in (read, write):
            fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_NONBLOCK)
        with subprocess.Popen([cli_test.ROUNDTRIP, "run", "sort", "--n", "200000", "--output", "-"], stdout=write,
                              stderr=subprocess.PIPE) as program:
            os.close(write)
            got = b""
            while True:
                time.sleep(0.001)
                try:
                    piece = os.read(read, 65536)
                except BlockingIOError:
                    continue
                if not piece:
                    break
                got += piece
            self.assertEqual((program.wait(60), got.count(b"\n"), program.stderr.read()), (0, 200000, b""))
        os.close(read)

    @unittest.skipUnless(ROOT, "needs another user")
    def test_another_user(self):
        """A file's own mode counts where its folder would allow more; a file in a folder that allows less is written."""
        program = shutil.copy(cli_test.ROUNDTRIP, self.path / "rt")
        os.chmod(self.path, 0o777)
        user = ["setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups", program, *map(str, FIVE)]
        self.file("precious", "read_only")
        os.chown("read_only", 61234, 61234)
        os.chmod("read_only", 0o444)
        done = subprocess.run([*user, "read_only"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n"), pathlib.Path("read_only").read_text()), (2, 1, "precious"))
        self.assertIn("Permission denied", done.stderr)
        os.mkdir("closed", 0o755)
        self.file("old", "closed/open")
        os.chmod("closed/open", 0o666)
        done = subprocess.run([*user, "closed/open"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, self.lines("closed/open"), os.stat("closed/open").st_uid), (0, 5, 0), done.stderr)
        done = subprocess.run([*user, "closed/new"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, os.listdir("closed")), (2, ["open"]))

    @unittest.skipUnless(PRIVATE_MOUNTS, "needs mounts of its own")
    def test_mounts(self):
        self.file("a", "host")
        self.file("b", "inside")
        done = shell("unshare -m bash -c 'mount --bind host inside && \"$R\" run sort --n 5 --output inside --quiet'")
        self.assertEqual((done.returncode, self.lines("host")), (0, 5), done.stderr)
        # A full disk keeps what is written over in place, too.
        os.mkdir("t")
        done = shell("unshare -m bash -c 'mount -t tmpfs -o size=100k none t && cd t && echo keep > o && ln o p &&"
                     " \"$R\" run sort --n 100000 --output o --quiet; echo $? && cat p && ls -A | wc -l'")
        self.assertEqual(done.stdout.split(), ["2", "keep", "2"], done.stderr)
        done = shell("unshare -m bash -c 'mount -t tmpfs none t && mount -o remount,ro t &&"
                     " \"$R\" run sort --n 99999999999 --output t/o --quiet'")
        self.assertIn("Read-only file system", done.stderr)

    def test_limit_of_size(self):
        self.file("kept\n", "big")
        for path in ("big", "linked", "new"):
            if path == "linked":
                os.link("big", "linked")
            done = shell(f"ulimit -f 10; \"$R\" run sort --n 100000 --output {path} --quiet")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn("File too large", done.stderr)
        self.assertEqual((pathlib.Path("big").read_text(), self.names()), ("kept\n", ["big", "linked"]))
        for rest in ("--checkpoint ck --quiet", "--output - > out", "--json - > out"):
            done = shell(f"ulimit -f 1; \"$R\" run k_hop --n 100000 {rest}")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)

    @unittest.skipUnless(shutil.which("strace"), "needs strace to hold a write")
    def test_interrupts(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.file("kept", "out")
            with subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e",
                                   "inject=fsync:delay_enter=3000000", cli_test.ROUNDTRIP, *map(str, FIVE), "out"],
                                  stderr=subprocess.PIPE, text=True, start_new_session=True) as program:
                deadline = time.monotonic() + 30
                while len(self.names()) < 2 and time.monotonic() < deadline:  # the temporary file is there
                    time.sleep(0.02)
                self.assertEqual(len(self.names()), 2)
                os.killpg(program.pid, number)
                error = program.stderr.read()
            self.assertEqual((program.returncode, self.names(), pathlib.Path("out").read_text()), (-number, ["out"], "kept"))
            self.assertEqual(error.count("\n"), 1)
            self.assertIn("cannot write 'out': Interrupted", error)

    def test_refused_before_the_work(self):
        """N is of a size that no run could have."""
        huge = ("run", "sort", "--n", 99999999999, "--quiet")
        for flag in ("--output", "--json", "--trace", "--csv"):
            self.refuse(*huge, flag, "no/such", says="cannot write 'no/such': No such file")
        self.refuse(*huge, "--json", ".", says="Is a directory")
        self.refuse(*huge, "--json", "new/", says="Is a directory")
        self.file("", "f")
        self.refuse(*huge, "--json", "f/x", says="Not a directory")
        self.refuse("verify", "--html", "no/such", timeout=10, says="cannot write")
        self.refuse("attend", "--n", 200000, "--c", 12, "--output", "no/such", timeout=10, says="cannot write")
        self.refuse("compile", "k_hop", "--n", 9, "--native", "--export", "no/such.json", says="cannot write")
        self.refuse("explain", "k_hop", "--n", 9, "--html", "no/such", says="cannot write")
        self.assertEqual(self.names(), ["f"])


class Together(cli_test.Case):
    """Several files of one command."""

    def setUp(self):
        super().setUp()
        os.chdir(self.path)
        self.addCleanup(os.chdir, "/")

    def test_two_that_are_one(self):
        one = ("run", "sort", "--n", 5, "--output", "x", "--json")
        os.symlink("x", "link")
        for other in ("x", "./x", f"../{self.path.name}/x", "link"):
            self.refuse(*one, other, says="--output and --json would write one file, 'x'")
        self.assertFalse(os.path.exists("x"))
        self.file("old", "x")
        os.link("x", "hard")
        for other in ("x", "link", "hard"):
            self.refuse(*one, other, says="would write one file")
        self.assertEqual(pathlib.Path("x").read_text(), "old")
        self.refuse("run", "sort", "--n", 5, "--trace", "y", "--csv", "y", says="--trace and --csv")
        self.refuse("compile", "k_hop", "--n", 9, "--native", "--export", "k.json", "--json", "k.json", says="--export")
        self.refuse("compile", "k_hop", "--n", 9, "--native", "--export", "k.json", "--json", "k.tables.json", says="--export")
        self.refuse("compile", "k_hop", "--n", 9, "--native", "--export", "k.json", "--output", "k.safetensors", says="--export")

    def test_standard_output(self):
        self.refuse("run", "sort", "--n", 5, "--output", "-", "--json", "/dev/stdout", says="only one can be standard output")
        self.refuse("run", "sort", "--n", 5, "--csv", "-", "--trace", "-", says="only one can be standard output")
        done = shell("\"$R\" run sort --n 5 --json f > f")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--json and the report would write one file", done.stderr)
        self.assertEqual(shell("\"$R\" run sort --n 5 --json f --quiet > f").returncode, 0)
        self.succeed("run", "sort", "--n", 5, "--quiet", "--output", "/dev/null", "--json", "/dev/null")

    def test_an_input(self):
        self.file("3\n1\n2\n", "a")
        os.symlink("a", "link")
        for flag in ("--json", "--trace", "--csv"):
            for name in ("a", "./a", "link"):
                self.refuse("run", "sort", "--input", "a", flag, name, says=[flag, "which --input reads"])
        self.assertEqual(pathlib.Path("a").read_text(), "3\n1\n2\n")
        self.assertEqual(shell("\"$R\" run sort --input - --json a < a").returncode, 2)
        self.assertEqual(shell("\"$R\" run sort --input link --output a --quiet && cat a").stdout, "1\n2\n3\n")
        self.succeed("compile", "k_hop", "--n", 9, "--native", "--quiet", "--export", "m.json")
        for name in ("m.json", "m.safetensors"):
            before = pathlib.Path(name).read_bytes()
            self.refuse("decompile", "./m.json", "--n", 9, "--json", name, says="which the model reads")
            self.assertEqual(pathlib.Path(name).read_bytes(), before)

    def test_one_that_fails(self):
        """The others are written and the report is printed, and the failure is an error."""
        done = cli_test.call("run", "sort", "--n", 50, "--check", "--output", "/dev/full", "--csv", "csv", "--json", "json")
        self.assertEqual((done.returncode, done.stderr), (2, "roundtrip: error: cannot write '/dev/full': No space left on device\n"))
        self.assertIn("verdict: verified", done.stdout)
        self.assertEqual(json.loads(pathlib.Path("json").read_text())["verdict"], "verified")
        self.assertGreater(os.path.getsize("csv"), 0)
        done = cli_test.call("run", "sort", "--n", 50, "--output", "/dev/full", "--json", "/dev/full")
        self.assertEqual((done.returncode, done.stderr.count("\n"), done.stderr.count("No space")), (2, 1, 2))
        self.assertIn("verdict: done", done.stdout)
        done = cli_test.call("compile", "k_hop", "--n", 20, "--output", "/dev/full")
        self.assertEqual(done.returncode, 2)
        self.assertIn("verdict: verified", done.stdout)
        done = cli_test.call("attend", "--n", 64, "--output", "/dev/full")
        self.assertEqual(done.returncode, 2)
        self.assertIn("verdict: done", done.stdout)
        done = cli_test.call("explain", "sum", "--n", 4, "--json", "/dev/full")
        self.assertEqual(done.returncode, 2)
        self.assertIn("round", done.stdout)


if __name__ == "__main__":
    cli_test.main()
