#!/usr/bin/env python3
"""Writes the gallery: a page of `roundtrip explain` for each line of PAGES, and an index.

    docs/gallery/make.py --roundtrip build/release/cli/roundtrip [--to docs/gallery]
"""
import argparse
import html
import pathlib
import subprocess

PAGES = [
    ("walk", ["k_hop_walk", "--param", "k=1"], "Which word came next, the last time?",
     "Every word sends out a walker. Type another sentence, take memory away, solve ten puzzles."),
    ("count", ["word_count"], "Counting words",
     "Machines swap counts with partners, so that a word that is everywhere overloads nobody."),
    ("sort", ["odd_even_sort"], "Sorting on a line", "Neighbours compare. Few words of memory, many rounds."),
    ("sum", ["sum"], "Adding up", "A tree of machines, and a tree of averages."),
    ("k_hop", ["k_hop", "--param", "k=1"], "The same for large N", "k-hop by the sort that is made for millions of words."),
    ("routed", ["sum", "--n", "16", "--eps", "1/4", "--construction", "routed"], "Words by way of others",
     "The routed construction: narrow layers, two for each digit of a machine's number."),
    ("model", ["random:L=1,H=2,d=8,m=2,w=2,c=8", "--n", "12"], "From a transformer to machines",
     "A layer of hash-table attention, and the rounds that compute it."),
]

INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Roundtrip: a gallery</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; max-width: 46rem; margin: 1rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }}
li {{ margin: .8rem 0; }}
a {{ font-weight: 600; }}
code {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>Rounds beside layers: a gallery</h1>
<p>Each page is one file. On the left, machines send words; on the right, attention moves the same words. Press play.</p>
<ol>
{items}</ol>
</main>
</body>
</html>
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roundtrip", required=True)
    parser.add_argument("--to", default=pathlib.Path(__file__).parent, type=pathlib.Path)
    arguments = parser.parse_args()
    items = ""
    for name, command, title, text in PAGES:
        subprocess.run([arguments.roundtrip, "explain", *command, "--html", arguments.to / f"{name}.html"], check=True)
        shown = html.escape(" ".join(["roundtrip explain", *command, "--html", f"{name}.html"]))
        items += f'<li><a href="{name}.html">{html.escape(title)}</a><br>{html.escape(text)}<br><code>{shown}</code></li>\n'
    (arguments.to / "index.html").write_text(INDEX.format(items=items))


if __name__ == "__main__":
    main()
