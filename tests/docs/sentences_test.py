"""A sentence of the first pages has at most 20 words: README's, and those that its three doors lead to.

    sentences_test.py PAGE.md...

What stands in backticks counts as one word; blocks of code are not prose. A list item and a cell of a table end a sentence."""

import pathlib
import re
import sys
import unittest

MOST = 20


def prose(text):
    """The pieces of a page in which sentences stand."""
    text = re.sub(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1 *$", "\n\n", text)
    text = re.sub(r"(?s)<!--.*?-->|<[a-z/][^>]*>", " ", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)|\n(?=#)|(?<=\|)\n", text):
        for piece in paragraph.split("|") if paragraph.lstrip().startswith("|") else [paragraph]:
            yield " ".join(piece.split())


def sentences(text):
    for piece in prose(text):
        piece = re.sub(r"`[^`]*`", "code", piece)
        piece = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", piece)
        for sentence in re.split(r"(?<=[\w)\]\"*`+][.?!])(?<!e\.g\.)(?<!i\.e\.)[\")*]*\s+|(?<=:)\s+(?=[A-Z`\"])", piece):
            if length(sentence):
                yield sentence


def length(sentence):
    return sum(1 for word in sentence.split() if re.search(r"\w", word))


class Sentences(unittest.TestCase):
    def test_short(self):
        for page in PAGES:
            text = pathlib.Path(page).read_text(encoding="utf-8")
            long = [f"{length(s)}: {s}" for s in sentences(text) if length(s) > MOST]
            self.assertEqual(long, [], f"{page}: sentences of more than {MOST} words\n" + "\n".join(long))

    def test_counts(self):
        self.assertEqual([length(s) for s in sentences("One two. Three `a b c` four? [Five six](x.md) e.g. 7.\n\n- Eight\n  nine\n- Ten")],
                         [2, 3, 4, 2, 1])
        self.assertEqual([length(s) for s in sentences("| a b | c |\n|---|---|\n| d e f | g. H i |\n\n```\nx y z\n```\n")],
                         [2, 1, 3, 1, 2])


if __name__ == "__main__":
    PAGES = [argument for argument in sys.argv[1:] if argument.endswith(".md")]
    unittest.main(argv=[argument for argument in sys.argv if argument not in PAGES])
