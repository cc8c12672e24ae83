"""Runs model files by examples/run_exported.py: run_numpy.py FOLDER JOBS.json, where FOLDER has run_exported.py.

A job is as in run.mjs, of PATH.json rather than PATH.onnx; what is printed, too.
"""
import json
import pathlib
import sys

import numpy

sys.path.insert(0, sys.argv[1])
import run_exported  # noqa: E402, from the folder

AT_ONCE = 50

different = []
for job in json.loads(pathlib.Path(sys.argv[2]).read_text()):
    rows = numpy.fromfile(job["rows"] + ".rows").reshape(-1, job["tokens"], job["columns"])
    expected = numpy.fromfile(job["rows"] + ".rows_out").reshape(*rows.shape[:2], -1)
    model = run_exported.load(pathlib.Path(job["path"] + ".json"))
    wrong = 0
    for i in range(0, len(rows), AT_ONCE):
        out = numpy.array(run_exported.evaluate(model, run_exported.array(rows[i:i + AT_ONCE])))
        wrong += int((out != expected[i:i + AT_ONCE]).any((1, 2)).sum())
    different.append(wrong)
print(json.dumps(different))
