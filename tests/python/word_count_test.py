"""Word count in C++ and in Python, on a text by Zipf's law and on one word over and over: the same counts at 1, 2 and 3
ranks, within s; it compiles and verifies. word_count_test.py MPIEXEC WORD_COUNT WORD_COUNT_PY"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

MPIEXEC, PROGRAM, SCRIPT = sys.argv[1:]


def ranks(number):
    return [MPIEXEC, "-q", "--oversubscribe", "-n", str(number)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        for name, words in (("zipf", (numpy.random.default_rng(1).zipf(1.2, 500_000) - 1) % 100_000),
                            ("hot", numpy.full(100_000, 5))):
            texts = [f"w{word}" for word in words]
            (path / name).write_text("\n".join(texts))
            expected = list(collections.Counter(texts).items())  # in order of first occurrence, as words are numbered
            for number in (1, 2, 3):
                subprocess.run([*ranks(number), PROGRAM, "run", "count_words", "--input", path / name, "--format", "words",
                                "--check", "--quiet", "--output", path / "counts", "--json", path / "json"], check=True)
                counts = [line.split() for line in (path / "counts").read_text().splitlines()]
                assert [(word, int(times)) for word, times in counts] == expected, (name, number)
                facts = json.loads((path / "json").read_text())
                assert facts["verdict"] == "verified" and facts["ranks"] == number
                assert max(facts["max_words_sent"], facts["max_words_received"]) <= facts["memory_words"] < len(words) // 4
                print(f"{name} at {number} ranks: {len(expected)} words, R = {facts['rounds']}, s = {facts['memory_words']}, "
                      f"{facts['seconds']:.2f} s")
            few = " ".join(texts[:20_000])
            (path / "few").write_text(few)
            for number in (1, 2, 3):
                done = subprocess.run([*ranks(number), sys.executable, SCRIPT, path / "few"], check=True, text=True,
                                      stdout=subprocess.PIPE)
                assert done.stdout.split() == [str(part) for pair in collections.Counter(few.split()).items()
                                               for part in pair], (name, number)
        done = subprocess.run([PROGRAM, "compile", "count_words", "--n", "256", "--check", "--json", "-", "--quiet"], check=True,
                              text=True, stdout=subprocess.PIPE)
        assert json.loads(done.stdout)["equal"]
        done = subprocess.run([PROGRAM, "verify", "count_words"], check=True, text=True, stdout=subprocess.PIPE)
        assert "\nverified: 1 statement," in done.stdout, done.stdout


if __name__ == "__main__":
    main()
