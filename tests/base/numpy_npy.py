"""Exchange of .npy files with numpy: `write FOLDER` makes files for npy_test.cpp, `check FOLDER` reads its copies."""
import sys

import numpy

CODES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1"]


def samples():
    for code in CODES:
        yield code[1:] + "_1", numpy.array([1, 0, 1, 1, 0], code)
        yield code[1:] + "_2", numpy.array([[1, 0, 1], [0, 1, 1]], code)
    yield "wide", numpy.arange(-300, 300, dtype="<i4").reshape(4, 150)


if __name__ == "__main__":
    mode, folder = sys.argv[1:]
    for name, array in samples():
        if mode == "check":
            found = numpy.load(f"{folder}/{name}.copy.npy", allow_pickle=False)
            assert found.dtype == array.dtype and found.shape == array.shape and (found == array).all(), name
            continue
        for version in [(1, 0), (2, 0), (3, 0)]:
            with open(f"{folder}/{name}.{version[0]}.npy", "wb") as file:
                numpy.lib.format.write_array(file, array, version)
