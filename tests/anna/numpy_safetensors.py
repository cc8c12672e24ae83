"""An independent reader and writer of the safetensors format: json, struct and numpy, nothing of the project's.

    numpy_safetensors.py check FILE   reads the tensors that safetensors_test.cpp wrote and compares every number
    numpy_safetensors.py write FILE   writes the tensors that it then reads
"""
import json
import struct
import sys

import numpy

DTYPES = {"F64": "<f8", "I64": "<i8", "U64": "<u8", "F32": "<f4", "I32": "<i4", "U32": "<u4", "F16": "<f2",
          "I16": "<i2", "U16": "<u2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


def read(path):
    with open(path, "rb") as file:
        header_bytes, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_bytes))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        # frombuffer refuses an offset that is not aligned for the type when the array is used in place.
        assert begin % numpy.dtype(DTYPES[entry["dtype"]]).itemsize == 0, name
        tensors[name] = numpy.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        dtype = next(key for key, code in DTYPES.items() if numpy.dtype(code) == tensor.dtype)
        header[name] = {"shape": list(tensor.shape), "dtype": dtype,
                        "data_offsets": [len(data), len(data) + tensor.nbytes]}
        data += tensor.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def samples():
    tensors = {}
    for name, code in DTYPES.items():
        kind = numpy.dtype(code)
        if kind.kind == "f":
            values = numpy.array([[0, -1.5, 2.0**-14], [2.0**-24, 65504, -0.0009765625]], kind)
        elif kind.kind == "b":
            values = numpy.array([[0, 1, 1], [1, 0, 0]], kind)
        else:
            limits = numpy.iinfo(kind)
            top = min(limits.max, 2**63 - 1)
            values = numpy.array([[0, 1, 2], [limits.min, top, top - 1]], kind)
        tensors["sample." + name] = values
    tensors["empty"] = numpy.zeros((0, 7), "<i4")
    tensors["scalar \u00e9"] = numpy.array(-5, "<i8")
    return tensors


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], samples(), {"from": "numpy"})
    else:
        found, metadata = read(sys.argv[2])
        expected = samples()
        assert metadata == {"from": "roundtrip"}, metadata
        assert found.keys() == expected.keys(), found.keys()
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
            assert (found[name] == tensor).all(), name
