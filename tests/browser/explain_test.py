"""The pages of `roundtrip explain`: what they show is what a run of its own did; clicks, keys, widths, no script, no
network, axe. explain_test.py --axe FILE --roundtrip PATH. ROUNDTRIP_SCREENSHOTS=FOLDER keeps pictures."""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import browser
from browser import Keys

AXE = ROUNDTRIP = None
SENTENCE = "the cat saw the dog and the dog saw the cat so the cat sat down"


def roundtrip(*arguments, stdin=""):
    return subprocess.run([ROUNDTRIP, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60,
                          check=True).stdout


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.path = pathlib.Path(folder)
        cls.chromium = cls.enterClassContext(browser.Browser(AXE))
        flags = ("--input", "-", "--format", "words")
        cls.page_file = cls.path / "k_hop.html"
        roundtrip("explain", "k_hop", "--param", "k=1", *flags, "--html", cls.page_file, stdin=SENTENCE)
        # A run of its own, through another subcommand.
        cls.answers = roundtrip("run", "k_hop", "--param", "k=1", *flags, "--quiet", "--csv", cls.path / "loads.csv",
                                "--output", "-", stdin=SENTENCE).split("\n")[:-1]
        with open(cls.path / "loads.csv", newline="") as file:
            cls.loads = [[int(v) for v in row.values()] for row in csv.DictReader(file)]
        cls.rounds = max(row[0] for row in cls.loads)

    def setUp(self):
        self.chromium.requests()
        self.chromium.errors()

    def shot(self, page, name):
        folder = os.environ.get("ROUNDTRIP_SCREENSHOTS")
        if folder:
            page.screenshot(pathlib.Path(folder, name + ".png"))

    def trace(self, page):
        return json.loads(page.run("return document.getElementById('trace').textContent"))

    def sound(self, page, file):
        """No script failed, nothing was asked for but the file, nothing is wider than the window."""
        self.assertEqual(self.chromium.errors(), [])
        self.assertEqual({url.partition("#")[0] for url in self.chromium.requests()}, {file.as_uri()})
        self.assertEqual(page.overflow(), 0)

    def shown(self, page):
        return page.run("return [...document.querySelectorAll('.step')].flatMap((s, i) => s.offsetParent ? [i] : [])")

    def test_shows_what_the_run_did(self):
        page = self.chromium.open(self.page_file)
        trace = self.trace(page)
        self.assertEqual(trace["schema"], "roundtrip/explain/1")
        self.assertEqual(trace["input"], SENTENCE.split())
        self.assertEqual(trace["outputs"], self.answers)
        self.assertEqual([[r["round"], i, *load] for r in trace["rounds"] for i, load in enumerate(r["loads"])], self.loads)
        self.assertEqual(page.texts("#sentence li .answer"),
                         [f"answer: {a} from {trace['rounds'][-1]['words'][w]['carries'][0]}" if a else "answer: none"
                          for t, a in enumerate(self.answers)
                          for w in [next(i for i, word in enumerate(trace["rounds"][-1]["words"]) if word["output"] == t)]])
        # Static text: tables of loads, and every word once on each side, in both with the same face.
        for number, a_round in enumerate(trace["rounds"], 1):
            step = f"#step-{number} "
            cells = page.run("return [...document.querySelectorAll(arguments[0] + 'table.loads tbody tr')].map(r =>"
                             " [...r.children].map(c => Number(c.textContent)))", step)
            self.assertEqual([[number, *row] for row in cells], [row for row in self.loads if row[0] == number])
            faces = sorted(w["text"] + (str(w["carries"][0]) if len(w["carries"]) == 1 else "") for w in a_round["words"])
            for panel in (".machines .batch", ".tokens .meeting"):
                self.assertEqual(sorted(page.texts(f"{step}{panel} .w, {step}{panel} .n")), faces, (number, panel))
        # Bars stay behind their lines, as long as what they stand for.
        wrong = page.run("return [...document.querySelectorAll('.step .machines .loads tbody tr')].filter(r => {"
                         " const of = [...r.closest('table').querySelectorAll('thead small')].map(s => Number(/\\d+/.exec(s.textContent)));"
                         " return [...r.querySelectorAll('td')].some((td, i) =>"
                         "  Math.abs(parseFloat(td.querySelector('i').style.width) - 100 * Number(td.textContent) / of[i]) > 0.06"
                         "  || Number(td.textContent) > of[i]); }).length")
        self.assertEqual(wrong, 0)
        self.sound(page, self.page_file)

    def test_steps_and_follows(self):
        page = self.chromium.open(self.page_file)
        self.assertEqual(self.shown(page), [0])
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [2])
        page.click("#previous")
        self.assertEqual(self.shown(page), [1])
        page.run("document.getElementById('slider').focus()")
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [4])
        page.keys(Keys.END)
        self.assertEqual(self.shown(page), [self.rounds])
        self.assertFalse(page.find("#next").is_enabled())
        page.click(f".track li:nth-child({self.rounds}) a")
        self.assertEqual(self.shown(page), [self.rounds - 1])

        # "dog" stands at positions 4 and 7; the one of 4 is followed, from a message in the round before the last.
        trace = self.trace(page)
        dog = next(b for b in page.find_all(f"#step-{self.rounds - 1} .machines button.w") if b.text == "dog4")
        page.click(dog)
        self.check_followed(page, trace, 4)
        self.shot(page, "followed-1280")
        said = page.find("#where").text
        self.assertIn("“dog” (word 4): machine ", said)
        self.assertEqual(page.find("#where").get_attribute("aria-live"), "polite")
        page.keys(Keys.ARROW_RIGHT)
        self.assertIn("output 6", page.find("#where").text)
        self.assertEqual(self.answers[6], "dog")
        self.assertEqual(page.find("#sentence button[data-c='4']").get_attribute("aria-pressed"), "true")
        page.keys(Keys.ESCAPE)
        self.assertEqual(page.find_all(".step .carries"), [])

        # By keyboard alone: focus shows, Enter holds.
        page.run("document.querySelector('#sentence button[data-c=\"1\"]').focus()")
        self.check_followed(page, trace, 1)
        page.keys(Keys.ENTER, Keys.TAB, Keys.ESCAPE)
        self.assertEqual(page.find_all("#sentence [aria-pressed=true]"), [])
        page.hover("#sentence button[data-c='9']")
        self.check_followed(page, trace, 9)
        page.click("#all")
        self.assertEqual(self.shown(page), list(range(self.rounds + 1)))
        self.sound(page, self.page_file)

    def check_followed(self, page, trace, origin):
        """What is marked is what the trace says, in both worlds, in every round, and in the pictures."""
        for number, a_round in enumerate(trace["rounds"], 1):
            carrying = [w for w in a_round["words"] if origin in w["carries"]]
            self.assertTrue(carrying or number > 1)
            computed = [w for w in a_round["words"] if origin in w.get("depends", []) and w not in carrying]
            for panel in (".machines .batch", ".tokens .meeting"):
                step = f"#step-{number} {panel}"
                self.assertEqual(len(page.find_all(f"{step} .carries")), len(carrying), (number, panel))
                self.assertEqual(len(page.find_all(f"{step} .depends")), len(computed), (number, panel))
            lines = {(w["source"], w["destination"]) for w in carrying}
            self.assertEqual(len(page.find_all(f"#step-{number} .machines line.carries")), len(lines))
            self.assertEqual("carries" in page.find(f".track li:nth-child({number + 1}) a").get_attribute("class").split(),
                             bool(carrying))
            # The moves of the layer: from the sender's token to the receiver's, in the head of the word's number.
            layer = trace["layers"][number]
            for move in layer["moves"]:
                word = a_round["words"][move["word"]]
                self.assertEqual((move["from"], move["head"]), (word["source"], word["sequence"]))
                self.assertEqual(move["to"], word.get("output", word["destination"]))

    def test_phone(self):
        page = self.chromium.open(f"{self.page_file}#step-{self.rounds - 1}", width=browser.PHONE)
        self.assertEqual(self.shown(page), [self.rounds - 1])
        page.click("#sentence button[data-c='4']")
        page.click("#next")
        self.assertEqual(self.shown(page), [self.rounds])
        self.shot(page, "phone")
        self.assertEqual(page.serious_findings(), [])
        self.sound(page, self.page_file)

    def test_without_scripts_and_printed(self):
        page = self.chromium.open(self.page_file, scripts=False)
        visible = [section.is_displayed() for section in page.find_all(".step")]
        self.assertEqual(visible, [True] * (self.rounds + 1))
        self.assertFalse(page.find("#slider").is_displayed())
        page.click("#way-4 summary")
        self.assertTrue(page.find("#way-4 li").is_displayed())
        self.assertEqual(len(page.find_all(".track a")), self.rounds + 1)
        self.sound(page, self.page_file)
        page = self.chromium.open(self.page_file)
        self.chromium.command("Emulation.setEmulatedMedia", media="print")
        self.assertEqual(self.shown(page), list(range(self.rounds + 1)))
        self.assertFalse(page.find("#slider").is_displayed())
        self.chromium.command("Emulation.setEmulatedMedia", media="")

    def test_accessible(self):
        page = self.chromium.open(self.page_file)
        page.click("#all")
        page.click("#sentence button[data-c='4']")
        self.assertEqual(page.serious_findings(), [])
        levels = [int(tag[1]) for tag in page.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")]
        self.assertEqual(levels.count(1), 1)
        self.assertTrue(all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels)
        for landmark in ("header", "main", "nav[aria-label]", "footer"):
            self.assertEqual(len(page.find_all(landmark)), 1, landmark)
        self.assertTrue(all(page.run("return [...document.querySelectorAll('svg')].map(s => s.getAttribute('aria-label'))")))

    def test_hostile_words(self):
        words = ["</script><img src=x onerror=document.title='taken'>", "<!--", "]]>", "&lt;", '"onload="1', "{{script}}",
                 "\u202eabc", "</style>"]
        file = self.path / "hostile.html"
        roundtrip("explain", "sort", "--input", "-", "--format", "words", "--html", file, stdin=" ".join(words))
        page = self.chromium.open(file)
        shown = [w if len(w) <= 24 else w[:24] + "…" for w in " ".join(words).split()]
        self.assertEqual(page.run("return [...document.querySelectorAll('#sentence button')].map(b => b.textContent)"), shown)
        self.assertEqual(self.trace(page)["input"], shown)
        self.assertEqual(page.find_all("img"), [])
        self.assertNotEqual(page.driver.title, "taken")
        page.keys(Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [1])
        self.sound(page, file)

    def test_model(self):
        file, flags = self.path / "model.html", ("random:L=1,H=2,d=8,m=2,w=2,c=8", "--n", "12")
        roundtrip("explain", *flags, "--html", file)
        ledger = json.loads(roundtrip("decompile", *flags, "--json", "-"))["ledger"]
        page = self.chromium.open(file)
        trace = self.trace(page)
        self.assertEqual(trace["from"], "transformer")
        self.assertEqual([[r["words_sent"], max(l[0] for l in r["loads"]), max(l[1] for l in r["loads"])] for r in trace["rounds"]],
                         [[r["total_words"], r["max_words_sent"], r["max_words_received"]] for r in ledger])
        # The matrix of collisions of each head is its matches, and the purity that of its cells.
        layer = trace["layers"][0]
        heads = page.run("return [...document.querySelectorAll('.matrix')].map(m => [...m.querySelectorAll('tbody tr')].map(r =>"
                         " [...r.querySelectorAll('td')].map(c => [Number((/\\d+/.exec(c.textContent) || [0])[0]), c.className])))")
        self.assertEqual(len(heads), 2)
        for match in layer["matches"]:
            row = heads[match["head"]][match["query"]]
            self.assertEqual([[j, c] for j, (c, _) in enumerate(row) if c], match["keys"])
        for counts, cells in zip(layer["collisions"], heads):
            met = sum(c for row in cells for c, _ in row)
            far = sum(c for row in cells for c, kind in row if kind == "far")
            self.assertEqual((met, far), (counts["near"] + counts["between"] + counts["far"], counts["far"]))
            self.assertAlmostEqual(counts["purity"], 1 - far / met)
        self.assertGreater(len({c for row in heads[1] for c, _ in row}), 2, "pairs at different distances")
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [2])
        page.click("#sentence button[data-c='3']")
        self.assertIn("(word 3)", page.find("#where").text)
        self.shot(page, "model-1280")
        self.assertEqual(page.serious_findings(), [])
        self.sound(page, file)
        page = self.chromium.open(f"{file}#step-2", width=browser.PHONE)
        self.assertEqual(page.overflow(), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--roundtrip", required=True)
    known, rest = parser.parse_known_args()
    AXE, ROUNDTRIP = known.axe, known.roundtrip
    unittest.main(argv=[__file__, *rest])
