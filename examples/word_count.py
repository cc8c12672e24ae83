"""How often each word of a text occurs: word_count.py TEXT. Also under mpirun."""
import sys

import roundtrip

count = roundtrip.MapReduce(map=lambda word: [(word, 1)], combine=lambda a, b: a + b, output="sn")
with open(sys.argv[1], encoding="utf-8") as text:
    run = roundtrip.run(count, text.read())
if roundtrip.rank() == 0:
    for word, times in run.records:
        print(word, times)
