"""Protocols in Python beside the same in C++: processor time of a whole call, the least of the repetitions, in turn.
PYTHONPATH=BUILD/python python3 python_bench.py [N, default 2^14] [repetitions, default 5]"""
import sys
import time

import numpy
import roundtrip

N = int(sys.argv[1]) if len(sys.argv) > 1 else 2**14
REPETITIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 5


@roundtrip.protocol(rounds=2, outputs=1, kappa_s=1)
def total(machine, round, inbox):
    return [(0, inbox.words.sum())] if len(inbox) else None


class OddEven(roundtrip.Protocol):
    """odd-even merge-split, as odd_even_sort does it"""
    kappa_s = 2

    def rounds(self):
        return -(-self.n // self.block) + 1

    def outputs(self):
        return self.n

    def step(self, machine, round, inbox):
        last = -(-self.n // self.block) - 1
        if machine > last:
            return
        size = min(self.block, self.n - machine * self.block)
        words = numpy.sort(inbox.words)
        if len(words) > size:
            words = words[:size] if machine == self.left_of(machine, round - 1) else words[-size:]
        left = self.left_of(machine, round)
        if round == self.rounds:
            yield machine * self.block, words
        elif (left + round) % 2 == 1 and left < last:  # the left one of two partners keeps the lesser numbers
            yield left, words
            yield left + 1, words
        else:
            yield machine, words

    def left_of(self, machine, round):
        return machine if machine == 0 or (machine + round) % 2 == 1 else machine - 1

    def oracle(values, options):
        return sorted(values)


def compare(task, in_python, in_cpp, values):
    least = [float("inf")] * 2
    for _ in range(REPETITIONS):
        for side, protocol in enumerate((in_python, in_cpp)):
            begin = time.process_time()
            run = roundtrip.run(protocol, values)
            least[side] = min(least[side], time.process_time() - begin)
    print(f"{task:10} N = {len(values)}, R = {run.rounds}: {1e3 * least[0]:.1f} ms / {1e3 * least[1]:.1f} ms = {least[0] / least[1]:.1f}")


numbers = numpy.random.default_rng(1).integers(0, 1000, N)
assert (roundtrip.run(OddEven, numbers[:1000]).outputs == numpy.sort(numbers[:1000])).all()
compare("sum", total, "sum", numbers)
compare("sort", OddEven, "odd_even_sort", numbers)
