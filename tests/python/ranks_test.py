"""Under mpirun: every rank gets the results of one process; MPI is started by the first run, not by the import."""
import os
import sys

import numpy

import roundtrip

size = int(os.environ["OMPI_COMM_WORLD_SIZE"])


@roundtrip.protocol(rounds=2, outputs=1, kappa_s=1)
def total(machine, round, inbox):
    return [(0, inbox.words.sum())] if len(inbox) else None


@roundtrip.protocol(rounds=2, outputs=1, kappa_s=1)
def late(machine, round, inbox):
    if machine == 3:
        raise ValueError("machine three does not want to")
    return [(0, inbox.words.sum())] if len(inbox) else None


count = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=lambda a, b: a + b)

assert roundtrip.ranks() == size and roundtrip.rank() == int(os.environ["OMPI_COMM_WORLD_RANK"])
numbers = numpy.random.default_rng(1).integers(0, 50, 1000)
run = roundtrip.run("sort", numbers)
assert run.transport == "mpi" and run.ranks == size
assert (run.outputs == numpy.sort(numbers)).all()
assert roundtrip.run(total, numbers).outputs[0] == numbers.sum()
words, times = numpy.unique(numbers, return_counts=True)
assert roundtrip.run(count, numbers).records == list(zip(words.tolist(), times.tolist()))
for _ in range(2):  # an error ends the run on every rank, and nothing else
    try:
        roundtrip.run(late, numbers)
        sys.exit("no error")
    except roundtrip.StepFailed as error:
        assert (error.machine, error.round) == (3, 1) and "machine three" in str(error), error
    try:
        roundtrip.run("sum", numbers, limit_words=3)
        sys.exit("no error")
    except roundtrip.ModelViolation as error:
        assert error.kind == "words received" and error.allowed == 3
assert roundtrip.verify("sum", controls=False).verdict == "verified"
if roundtrip.rank() == 0:
    print(f"RESULT {size} ranks")
