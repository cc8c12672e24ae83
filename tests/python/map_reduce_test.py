"""Inverted index, join and PageRank by MapReduce: at 1, 2 and 3 ranks what the reference gives, within s; each compiles by
both constructions and verifies. map_reduce_test.py MPIEXEC MAP_REDUCE"""
import json
import pathlib
import subprocess
import sys
import tempfile

MPIEXEC, PROGRAM = sys.argv[1:]
JOBS = {"inverted_index": 2, "table_join": 3, "page_rank": 2}  # words of a record


def facts(*command):
    done = subprocess.run([*map(str, command), "--quiet", "--json", "-"], check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main():
    for job, words in JOBS.items():
        n = 3000 // words * words
        with tempfile.TemporaryDirectory() as folder:
            outputs = []
            for ranks in (1, 2, 3):
                path = pathlib.Path(folder) / str(ranks)
                run = facts(MPIEXEC, "-q", "--oversubscribe", "-n", ranks, PROGRAM, "run", job, "--n", n, "--check",
                            "--output", path)
                assert run["verdict"] == "verified" and run["ranks"] == ranks, run
                assert max(run["max_words_sent"], run["max_words_received"]) <= run["memory_words"]
                outputs.append(path.read_text())
            assert outputs[0] and outputs[0] == outputs[1] == outputs[2]
        for construction in ("direct", "routed"):
            both = facts(PROGRAM, "compile", job, "--n", 256 // words * words, "--construction", construction, "--check")
            assert both["equal"] and both["verdict"] == "verified", both
        done = subprocess.run([PROGRAM, "verify", job], check=True, text=True, stdout=subprocess.PIPE)
        assert "\nverified: 1 statement," in done.stdout, done.stdout
        print(f"{job}: R = {run['rounds']}, s = {run['memory_words']} of {n} words")


if __name__ == "__main__":
    main()
