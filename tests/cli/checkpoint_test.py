"""Checkpoints as a user meets them: ranks, signals, full disks, and processes killed at any time. One class is one ctest
entry: checkpoint_test.py --roundtrip PATH CLASS. A run is compared with the same run undisturbed."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import cli_test

SIZE = ("k_hop", "--n", 2**18, "--quiet")  # 20 rounds
RANKS = 3
MANIFESTS = "manifest-" + "[0-9]" * 10


class Case(cli_test.Case):
    def start(self, *arguments, ranks=RANKS):
        command = [cli_test.MPIEXEC, "-q", "--oversubscribe", "-n", str(ranks), cli_test.ROUNDTRIP, "run"]
        return subprocess.Popen(command + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, start_new_session=True)

    def whole(self):
        facts, output = self.run_facts(*SIZE)
        return {k: v for k, v in facts.items() if k not in cli_test.PLACE_KEYS}, output

    def resume(self, directory, ranks=0):
        """(JSON without place, output, standard error) of the resumed run, which must end well."""
        output, facts = self.path / "output", self.path / "facts"
        done = cli_test.call("run", *SIZE, "--resume", directory, "--output", output, "--json", facts, ranks=ranks,
                             timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        facts = json.loads(facts.read_text())
        return {k: v for k, v in facts.items() if k not in cli_test.PLACE_KEYS}, output.read_bytes(), done.stderr

    def wait_for(self, condition, process):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.005)

    @staticmethod
    def ranks_of(process):
        """Process numbers of the ranks that mpirun has started."""
        found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(process.pid)], capture_output=True, text=True)
        lines = [line.split() for line in found.stdout.splitlines()]
        return [int(number) for number, name in lines if name == "roundtrip"]


class Signals(Case):
    def test_stop_and_resume_on_other_ranks(self):
        facts, output = self.whole()
        for to_launcher in (True, False):
            kept = self.path / f"kept{to_launcher}"
            process = self.start(*SIZE, "--checkpoint", kept, "--output", self.path / "none")
            self.wait_for(lambda: list(kept.glob(MANIFESTS)), process)
            os.kill(process.pid if to_launcher else self.ranks_of(process)[-1], signal.SIGUSR1)
            said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 5, said)
            self.assertEqual(len(said[1].splitlines()), 1, said)
            self.assertIn(f"--resume {kept}", said[1])
            self.assertFalse((self.path / "none").exists())
            if not to_launcher:
                continue
            for ranks in (0, 1, 2, 4, 7):
                copy = self.path / f"copy{ranks}"
                shutil.copytree(kept, copy)
                self.assertEqual(self.resume(copy, ranks), (facts, output, ""))

    def test_terminated(self):
        """mpirun, terminated, waits a second, terminates the ranks, and kills them a second later. A round that ends in
        time leaves its checkpoint and says so; what mpirun returns then is its own."""
        for n in (2**19, 2**21, 2**23):
            kept = self.path / f"kept{n}"
            process = self.start("k_hop", "--n", n, "--quiet", "--checkpoint", kept, "--output", self.path / "none")
            self.wait_for(kept.exists, process)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            if not (self.path / "none").exists():
                break
            (self.path / "none").unlink()  # it had ended within the second
        newest = max(int(p.name.split("-")[1]) for p in kept.glob(MANIFESTS))
        self.assertIn(f"stopped at the checkpoint after round {newest} of", said[1])
        whole, resumed = self.path / "whole", self.path / "resumed"
        self.succeed("run", "k_hop", "--n", n, "--quiet", "--output", whole)
        self.succeed("run", "k_hop", "--n", n, "--quiet", "--output", resumed, "--resume", kept)
        self.assertEqual(whole.read_bytes(), resumed.read_bytes())


    def test_slurm(self):
        """The script for SLURM, with mpirun in place of srun: stopped, it submits itself; submitted, it goes on."""
        job = pathlib.Path(__file__).resolve().parents[2] / "docs" / "roundtrip.sbatch"
        text = re.sub(r"^run=.*$", f"run=({cli_test.ROUNDTRIP} run {' '.join(map(str, SIZE))} --output out)", job.read_text(),
                      flags=re.MULTILINE).replace("every=10 ", "every=5 ")
        commands = {"srun": f'shift 2; exec {cli_test.MPIEXEC} -q --oversubscribe -n 2 "$@"',
                    "scontrol": f'echo "   Command={self.path}/job"', "sbatch": 'echo "$1" >> submitted'}
        self.file(text, "job")
        for name, line in commands.items():
            self.file(f"#!/bin/bash\n{line}\n", name).chmod(0o755)
        environment = dict(os.environ, PATH=f"{self.path}:{os.environ['PATH']}", SLURM_JOB_ID="1")
        for stopped in (True, False):
            batch = subprocess.Popen(["bash", "job"], cwd=self.path, env=environment, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            if stopped:
                self.wait_for((self.path / "checkpoints").exists, batch)
                launcher = subprocess.run(["ps", "-o", "pid=", "--ppid", str(batch.pid)], capture_output=True, text=True)
                os.kill(int(launcher.stdout), signal.SIGUSR1)
            said = batch.communicate(timeout=120)
            self.assertEqual(batch.returncode, 0, said)
            self.assertIs((self.path / "out").exists(), not stopped)
            self.assertEqual((self.path / "submitted").read_text(), f"{self.path}/job\n")
        self.assertEqual((self.path / "out").read_bytes(), self.whole()[1])


class Refused(Case):
    def test_other_runs(self):
        kept = self.path / "kept"
        small = ("run", "k_hop", "--n", 500, "--quiet")
        self.succeed(*small, "--checkpoint", kept)
        again = ("--resume", kept)
        self.refuse(*small, "--checkpoint", kept, says=["--checkpoint: ", "holds a checkpoint"])
        self.refuse("run", "sort", "--n", 500, *again, says=["protocol = k_hop", "protocol = sort"])
        self.refuse("run", "k_hop", "--n", 501, *again, says=["n = 500", "n = 501"])
        self.refuse(*small, "--seed", 2, *again, says=["seed = 1", "seed = 2"], ranks=3)
        self.refuse(*small, "--param", "k=2", *again, says="param k = 2")
        self.refuse(*small, "--every", 2, says="--every")
        self.refuse(*small, "--every", 0, *again, says="--every 0")
        self.refuse(*small, "--resume", self.path / "none", says="not a directory", ranks=2)

    def test_disk_full(self):
        """A file size limit, as a disk that fills up: the run ends, the checkpoint before is whole."""
        facts, output = self.whole()
        kept = self.path / "kept"
        process = self.start(*SIZE, "--checkpoint", kept, "--every", 5)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        before = sorted(p.name for p in kept.iterdir())
        script = 'ulimit -f 1000; trap "" XFSZ; exec "$@"'
        done = subprocess.run(["bash", "-c", script, "-", cli_test.ROUNDTRIP, "run", *map(str, SIZE), "--resume", kept,
                               "--output", self.path / "none"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("cannot write", done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assertFalse((self.path / "none").exists())
        self.assertEqual(sorted(p.name for p in kept.iterdir()), before)
        self.assertEqual(self.resume(kept)[:2], (facts, output))


class Kills(Case):
    """kill -9 of a random rank at a time uniform over the run; then the files of what is left damaged, one by one."""

    KILLS = 4

    def test_kills(self):
        facts, output = self.whole()
        seed = int(os.environ.get("CHECKPOINT_TEST_SEED", "1"))
        dice = random.Random(seed)
        begin = time.monotonic()
        process = self.start(*SIZE, "--checkpoint", self.path / "timed")
        process.communicate(timeout=240)
        self.assertEqual(process.returncode, 0)
        duration = time.monotonic() - begin
        killed = torn = resumed = attempt = 0
        while killed < self.KILLS:
            attempt += 1
            self.assertLess(attempt, 10 + 2 * self.KILLS, "most runs end before they are killed")
            kept = self.path / f"kept{attempt}"
            process = self.start(*SIZE, "--checkpoint", kept)
            try:
                process.wait(dice.uniform(0, duration))
            except subprocess.TimeoutExpired:
                pass
            ranks = self.ranks_of(process)
            if ranks:
                try:
                    os.kill(dice.choice(ranks), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
            elif process.poll() is None:  # before there are ranks
                process.kill()
            process.communicate(timeout=60)
            if not kept.exists() or not list(kept.iterdir()):
                continue  # it was killed before there was anything to lose
            manifests = {p.name.split("-")[1] for p in kept.glob(MANIFESTS)}
            torn += any(p.name.split("-")[1] not in manifests for p in kept.glob("inboxes-*"))
            if not manifests:
                self.refuse("run", *SIZE, "--resume", kept, says="no checkpoint")
                continue
            resumed += 1
            *same, said = self.resume(kept, dice.choice((0, 2)))
            self.assertEqual(same, [facts, output], f"seed {seed}, attempt {attempt}")
            self.assertLessEqual(len(said.splitlines()), 2, said)
            shutil.rmtree(kept)
        print(f"{attempt} attempts, {killed} ranks killed, {resumed} resumed, {torn} left a torn checkpoint")
        if self.KILLS >= 50:
            self.assertGreater(torn, 0)
            self.assertGreater(resumed, self.KILLS // 4)

    def test_damage(self):
        facts, output = self.whole()
        kept = self.path / "kept"
        process = self.start(*SIZE, "--checkpoint", kept, "--every", 9)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        names = sorted(p.name for p in kept.iterdir())
        self.assertEqual(len(names), 2 * (RANKS + 1))
        dice = random.Random(2)
        for name in names:
            copy = self.path / "copy"
            shutil.copytree(kept, copy)
            file = copy / name
            content = bytearray(file.read_bytes())
            if dice.random() < 0.5:
                content = content[:dice.randrange(len(content))]
            else:
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            file.write_bytes(content)
            *same, said = self.resume(copy, 2)
            self.assertEqual(same, [facts, output])
            if name in names[RANKS:2 * RANKS] or name == names[-1]:
                self.assertEqual(len(said.splitlines()), 1, said)
                self.assertIn(name, said)
            else:
                self.assertEqual(said, "")  # of the one before
            shutil.rmtree(copy)


class ManyKills(Kills):
    KILLS = 100
    test_damage = None  # of Kills


if __name__ == "__main__":
    cli_test.main()
