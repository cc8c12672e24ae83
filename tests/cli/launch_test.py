"""How the program is started: by launchers of ours and of others, by ranks that were not started alike, under limits on
threads, addresses and memory. launch_test.py --roundtrip PATH --mpiexec PATH CLASS, see cli_test.py."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time
import unittest

import cli_test

RUN = ("run", "sort", "--n", "99", "--quiet")


def environment(**variables):
    return dict(os.environ, **{name: str(value) for name, value in variables.items()})


class Case(cli_test.Case):
    def started(self, *command, env=None, timeout=60, **options):
        return subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, timeout=timeout,
                              **options)

    def one_line(self, done, *parts, status=2):
        """The status and one line of ours that holds every part."""
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("roundtrip: error: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        for part in parts:
            self.assertIn(part, lines[0])

    def together(self, *rank_arguments, program=None):
        """One rank for each list of arguments, under mpirun."""
        command = [cli_test.MPIEXEC, "-q", "--oversubscribe"]
        for i, arguments in enumerate(rank_arguments):
            command += ([":"] if i else []) + ["-n", "1", (program or {}).get(i, cli_test.ROUNDTRIP), *arguments]
        return self.started(*command)


class Started(Case):
    def test_ranks_with_other_arguments(self):
        for theirs, says in (((*RUN, "--n=98"), None), (("run", "sort", "--n", "98", "--quiet"), "rank 1 was started with --n 98, rank 0 with --n 99"),
                             (("run", "sum", "--n", "99", "--quiet"), "rank 1 was started with PROTOCOL sum, rank 0 with PROTOCOL sort"),
                             ((*RUN, "--seed", "2"), "rank 1 was started with --seed 2, rank 0 with nothing else"),
                             (("run", "sort", "--n", "99"), "rank 1 was started with nothing else, rank 0 with --quiet"),
                             ((*RUN, "--transport", "inprocess"), "--transport inprocess"),
                             (("compile", *RUN[1:]), "rank 1 was started with compile, rank 0 with run"),
                             (("verify", "--quiet"), "verify"), (("list",), "rank 1 was started with list, rank 0 with run"),
                             (("--version",), "--version"), (("help",), "--help")):
            with self.subTest(theirs=theirs):
                done = self.together(RUN, theirs)
                if says is None:  # a flag twice: an error of usage
                    self.one_line(done, "rank 1: run: --n")
                else:
                    self.one_line(done, says, "all ranks must be started alike")

    def test_the_same_in_other_words(self):
        done = self.together(RUN, ("run", "--quiet", "--n=99", "sort"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_one_rank_with_an_error_of_usage(self):
        self.one_line(self.together(RUN, (*RUN, "--nonsense")), "rank 1: run: --nonsense: no such flag")
        self.one_line(self.together((*RUN, "--nonsense"), RUN), "error: run: --nonsense: no such flag")
        self.one_line(self.together(RUN, ("rum",)), "rank 1: rum: no such subcommand")
        self.one_line(self.together(("rum",), ("rum",), ("rum",)), "error: rum: no such subcommand")

    def test_another_build(self):
        other = self.path / "other"
        shutil.copy(cli_test.ROUNDTRIP, other)
        with other.open("ab") as file:
            file.write(b"x")
        self.one_line(self.together(RUN, RUN, program={1: other}), "rank 1 was started with program file")

    def test_launchers_of_other_mpis(self):
        for variables in ({"PMI_SIZE": 2, "PMI_RANK": 0}, {"PMI_SIZE": 2, "PMI_RANK": 1}, {"PMI_RANK": 1},
                          {"MPI_LOCALNRANKS": 4, "MPI_LOCALRANKID": 0}, {"MV2_COMM_WORLD_SIZE": 2}, {"ALPS_APP_PE": 3},
                          {"FLUX_JOB_SIZE": 2}, {"OMPI_COMM_WORLD_SIZE": 2, "OMPI_COMM_WORLD_RANK": 0}, {"PMIX_RANK": 1},
                          {"SLURM_STEP_NUM_TASKS": 2, "SLURM_NTASKS": 2, "SLURM_PROCID": 0}, {"SLURM_PROCID": 1}):
            with self.subTest(**variables):
                env = environment(**variables)
                self.one_line(self.started(cli_test.ROUNDTRIP, *RUN, env=env), "tasks, but MPI sees one", "mpirun")
                for arguments in (("list",), (*RUN, "--transport", "inprocess"), ("--version",)):
                    done = self.started(cli_test.ROUNDTRIP, *arguments, env=env)
                    self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)

    def test_single_tasks_and_batch_scripts(self):
        for variables in ({"PMI_SIZE": 1, "PMI_RANK": 0}, {"SLURM_STEP_NUM_TASKS": 1, "SLURM_PROCID": 0, "SLURM_NTASKS": 1},
                          {"SLURM_JOB_ID": 7, "SLURM_NTASKS": 64, "SLURM_NPROCS": 64, "SLURM_PROCID": 0},
                          {"PMI_SIZE": "nonsense"}, {"SLURM_STEP_NUM_TASKS": ""}):
            with self.subTest(**variables):
                done = self.started(cli_test.ROUNDTRIP, *RUN, env=environment(**variables))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        # Open MPI's own mpirun inside of a step of another size.
        for ranks in ("1", "2"):
            done = self.started(cli_test.MPIEXEC, "-q", "--oversubscribe", "-n", ranks, cli_test.ROUNDTRIP, *RUN,
                                env=environment(SLURM_STEP_NUM_TASKS=3, SLURM_PROCID=1))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_launcher_that_is_gone(self):
        printed = self.started(cli_test.MPIEXEC, "-n", "1", "env", "-0").stdout
        dead = dict(entry.split("=", 1) for entry in printed.split("\0") if entry.startswith(("OMPI_", "PMIX_")))
        self.assertTrue(any(name.startswith("PMIX_SERVER_URI") for name in dead), dead)
        self.one_line(self.started(cli_test.ROUNDTRIP, *RUN, env=environment(**dead)), "no launcher answers there", "PMIX_SERVER_URI")
        for arguments in (("list",), ("--help",), ("--version",), (*RUN, "--transport", "inprocess"),
                          ("attend", "--n", "9", "--tables", "1", "--functions", "1", "--quiet"), ("reference", "names", "run")):
            done = self.started(cli_test.ROUNDTRIP, *arguments, env=environment(**dead))
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)

    def test_mpi_that_fails(self):
        done = self.started(cli_test.ROUNDTRIP, *RUN, "--transport", "mpi", env=environment(OMPI_MCA_pml="nonsense"))
        self.one_line(done, "MPI could not start", status=70)
        self.assertEqual(self.started(cli_test.ROUNDTRIP, "list", env=environment(OMPI_MCA_pml="nonsense")).returncode, 0)


class Limits(Case):
    def limited(self, limits, *arguments, **options):
        return self.started("bash", "-c", f"{limits}; exec \"$0\" \"$@\"", cli_test.ROUNDTRIP, *arguments, **options)

    def test_little_address_space(self):
        for arguments in (("list",), ("--version",), RUN, ("attend", "--n", "9", "--tables", "1", "--functions", "1", "--quiet")):
            done = self.limited("ulimit -v 81920", *arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        exact = ("attend", "--n", "90", "--tables", "3", "--functions", "2", "--compare", "exact", "--quiet")
        self.one_line(self.limited("ulimit -v 81920", *exact), "bytes of addresses for OpenBLAS")
        self.assertEqual(self.limited("ulimit -v 500000", *exact).returncode, 0)
        self.one_line(self.limited("ulimit -v 81920", "run", "sort", "--n", "10000000", "--quiet"),
                      "the run needs", "bytes of memory within ulimit -v")

    def test_libraries_that_list_needs(self):
        done = self.started(cli_test.ROUNDTRIP, "list", env=environment(LD_DEBUG="libs"))
        self.assertNotIn("openblas", done.stderr)
        self.assertNotIn("gfortran", done.stderr)

    def test_no_threads(self):
        self.path.chmod(0o755)
        if os.getuid() == 0:  # root may start any number of processes
            program = self.path / "program"
            shutil.copy(cli_test.ROUNDTRIP, program)
            become = ("setpriv", "--reuid", "61237", "--regid", "61237", "--clear-groups")
        else:
            program, become = cli_test.ROUNDTRIP, ()
        exact = ("attend", "--n", "9000", "--family", "hyperplane", "--tables", "2", "--functions", "2", "--compare", "exact")
        outputs = []
        for limits in ("true", "ulimit -u 1"):
            for arguments in (("list",), (*RUN, "--check"), (*exact, "--quiet"), (*exact, "--quiet", "--threads", "7")):
                done = self.started(*become, "bash", "-c", f"{limits}; exec \"$0\" \"$@\"", program, *arguments, timeout=200)
                self.assertEqual((done.returncode, done.stderr), (0, ""), (limits, arguments))
                outputs.append(done.stdout)
        self.assertEqual(outputs[:4], outputs[4:])

    def test_many_threads(self):
        self.refuse("attend", "--n", 9, "--threads", 4096, "--plan", says=["threads is 4096, allowed are 0 to", "cores"])

    def test_memory_of_a_control_group(self):
        base, limit = pathlib.Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        if not base.is_dir():
            base, limit = pathlib.Path("/sys/fs/cgroup"), "memory.max"
        group = base / f"roundtrip-{os.getpid()}"
        try:
            (group / "step").mkdir(parents=True)
            self.addCleanup(group.rmdir)
            self.addCleanup((group / "step").rmdir)
            (group / limit).write_text(str(300 << 20))  # of the group above the one that the process is in
        except OSError as error:
            self.skipTest(f"no control group can be made: {error}")
        inside = f"echo $$ >{group}/step/cgroup.procs"
        self.one_line(self.limited(inside, "run", "sort", "--n", "30000000", "--quiet"), "the run needs", "are free")
        self.one_line(self.limited(inside, "attend", "--n", "1000000", "--quiet", "--tables", "1", "--functions", "1"), "the evaluation needs")
        self.assertEqual(self.limited(inside, "run", "sort", "--n", "100000", "--quiet").returncode, 0)
        self.assertEqual(self.limited(inside, "run", "sort", "--n", "1000", "--quiet", "--plan").returncode, 0)

    def test_outputs_that_are_not_finite(self):
        import numpy
        rows = numpy.random.default_rng(1).standard_normal((40, 16))
        for name, array in (("q", rows), ("k", rows + .1), ("v", rows[:, :2])):
            numpy.save(self.path / name, array)
        json_file = self.path / "json"
        said = self.succeed("attend", *(self.path / f"{name}.npy" for name in "qkv"), "--tables", 4, "--functions", 3,
                            "--compare", "exact", "--beta", "1e300", "--json", json_file)
        self.assertIn("not all finite numbers", said)
        facts = json.loads(json_file.read_text())
        self.assertIsNone(facts["max_error"])
        import jsonschema
        schema = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schema" / "attend.json"
        jsonschema.validate(facts, json.loads(schema.read_text()))


class Friction(Case):
    def test_words_of_other_programs(self):
        self.assertEqual(self.succeed("help"), self.succeed("--help"))
        self.assertEqual(self.succeed("help", "run"), self.succeed("run", "--help"))
        self.assertEqual({self.succeed(word) for word in ("version", "-V", "--version")}, {self.succeed("--version")})
        self.refuse("help", "rum", says="did you mean 'run'?")

    def test_every_beyond_the_last_round(self):
        done = cli_test.call("run", "sort", "--n", 99, "--quiet", "--checkpoint", self.path / "kept", "--every", 100)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"^roundtrip: warning: --every 100: the run has \d+ rounds, so only a signal leaves a checkpoint\n$")

    def test_verify_resumed_from_a_file(self):
        self.refuse("verify", "--resume", self.file("x"), says=["--resume", "is a file"])

    def test_verify_in_processes(self):
        def facts(processes):
            report = self.path / f"{processes}.json"
            self.succeed("verify", "k_hop_depth", "chunked_attention_reach", "--quiet", "--processes", processes, "--json", report)
            found = json.loads(report.read_text())
            return found["checks"], found["controls"]
        self.assertEqual(facts(1), facts(3))
        self.refuse("verify", "--processes", 4097, says=["--processes", "4096"])

    def test_a_signal_while_input_is_read(self):
        process = subprocess.Popen([cli_test.ROUNDTRIP, "run", "sort", "--input", "-", "--checkpoint", self.path / "kept", "--quiet"],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdin.write("3 1 2 ")
        process.stdin.flush()
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while not int(status.read_text().split("SigCgt:")[1].split()[0], 16) >> (signal.SIGUSR1 - 1) & 1:
            time.sleep(.01)
        process.send_signal(signal.SIGUSR1)
        time.sleep(.2)
        _, said = process.communicate("5 4\n" * 50, timeout=60)
        self.assertEqual(process.returncode, 5, said)
        self.assertIn("stopped at the checkpoint after round 1", said)


if __name__ == "__main__":
    cli_test.main()
