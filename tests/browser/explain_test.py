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


class Case(unittest.TestCase):
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
            cls.loads = [[int(v) for v in row.values()][:5] for row in csv.DictReader(file)]  # the page has no heap
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


class Pages(Case):
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
        page.run("document.getElementById('next').focus()")
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [2])
        page.click("#previous")
        self.assertEqual(self.shown(page), [1])
        page.run("document.getElementById('slider').focus()")
        page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(self.shown(page), [min(4, self.rounds)])
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
        self.assertEqual(page.run("return [...document.querySelectorAll('#machines .chip')].map(c => c.textContent.split(' →')[0])")[:3], shown[:3])
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
        # No panel of the lists is empty, and neither half of a frame is.
        bare = page.run("return [...document.querySelectorAll('.world')].filter(w => !w.querySelector('svg, table, .w')).length")
        self.assertEqual(bare, 0)
        for _ in range(3):
            self.assertGreater(len(page.find_all("#tokens .chip")), 12)
            self.assertTrue(page.run("return [...document.querySelectorAll('#machines .water')].some(w => w.offsetHeight > 0)"
                                     " || document.querySelector('#machines .chip') !== null"))
            page.keys(Keys.ARROW_RIGHT)
        self.assertEqual(page.run("return [...document.querySelectorAll('#tokens .chip')].filter(c => c.offsetWidth < 1).length"), 0)
        page.click("#sentence button[data-c='3']")
        self.assertIn("(word 3)", page.find("#where").text)
        # A part is taken away: the last frame marks the tokens that end with another row, and no other frame does.
        red = "return [...document.querySelectorAll('#tokens .card')].flatMap((c, i) => c.classList.contains('over') ? [i] : [])"
        table = page.texts(".withouts tbody tr")
        for number, without in enumerate(trace["withouts"]):
            page.run("const s = document.getElementById('without'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))", str(number))
            self.assertEqual(page.run(red), without["tokens"])
            self.assertTrue(page.find("#say").text.lower().startswith(without["part"] + ", "), page.find("#say").text)
            self.assertTrue(table[number].startswith(without["part"]))
        page.run("document.getElementById('without').focus()")
        page.keys(Keys.HOME)
        self.assertEqual(page.run(red), [])
        self.assertNotIn("row: ", page.find("#say").text)
        self.shot(page, "model-1280")
        self.assertEqual(page.serious_findings(), [])
        self.sound(page, file)
        page = self.chromium.open(f"{file}#step-2", width=browser.PHONE)
        self.assertEqual(page.overflow(), 0)


SOLUTIONS = {  # of the puzzles: what to type, and s and k if they matter
    "The least memory": {"s": 3},
    "A light load": {"text": "the " * 16},
    "The worst load": {"text": "0 4 8 12 " * 4},
    "Aim": {"text": "0 0 0 0 0 0 0 0 1 3 5 7 0 0 0 0"},
    "A flat tree": {"text": " ".join(map(str, range(27)))},
    "A round number": {"text": "1 -1 2 -2 3 -3 4 -4"},
    "The longest way": {"text": " ".join(map(str, range(16, 0, -1)))},
    "Four words of memory": {"text": "8 7 6 5 4 3 2 1", "s": 4},
    "Nothing to find": {"text": "a b c d e f g h"},
    "Four hops": {"text": "a b a b a b a b a b a b"},
}


class Stage(Case):
    """The first screen: frames, both worlds, editing, breaking, guesses, puzzles."""

    def setUp(self):
        super().setUp()
        self.file = self.path / "walk.html"
        if not self.file.exists():
            roundtrip("explain", "k_hop_walk", "--html", self.file)

    SET = ("const e = document.getElementById(arguments[0]); e.value = arguments[1];"
           "e.dispatchEvent(new Event('input', {bubbles: true}))")

    def places(self, page, world):
        return page.run("return [...document.querySelectorAll(arguments[0] + ' .chip')].map(c => c.style.transform)", f"#{world}")

    def frame(self, page):
        return int(page.find("#frame").get_attribute("value"))

    def red(self, page):
        return page.run("return ['machines', 'tokens'].map(w => [...document.querySelectorAll(`#${w} .card`)]"
                        ".flatMap((c, i) => c.classList.contains('over') ? [i] : []))")

    def test_first_screen(self):
        for width in (browser.DESKTOP, browser.PHONE):
            page = self.chromium.open(f"{self.file}#5", width=width)
            for name in ("text", "play", "forward", "s", "say", "machines", "tokens", "frame"):
                box = page.run("const r = document.getElementById(arguments[0]).getBoundingClientRect();"
                               "return [r.left, r.top, r.right - innerWidth, r.bottom - innerHeight, r.width, r.height]", name)
                self.assertTrue(box[0] >= 0 and box[1] >= 0 and box[2] <= 0 and box[3] <= 0 and box[4] > 20 and box[5] > 10, (name, box))
            for world in ("machines", "tokens"):
                out = page.run("const b = document.getElementById(arguments[0]).getBoundingClientRect();"
                               "return [...document.querySelectorAll('#' + arguments[0] + ' .chip')].filter(c => {"
                               " const r = c.getBoundingClientRect(); return r.bottom > b.bottom + 1 || r.top < b.top || r.right > b.right; }).length", world)
                page.wait("return document.getAnimations().length === 0")
                self.assertEqual(out, 0, (world, width))
            self.shot(page, f"stage-{width}")
            self.assertEqual(page.serious_findings(), [])
            self.sound(page, self.file)

    def test_plays_and_moves_both_sides(self):
        page = self.chromium.open(self.file)
        page.click("#play")
        page.wait("return document.getElementById('frame').value === '1'")
        before = [self.places(page, w) for w in ("machines", "tokens")]
        page.wait("return document.getElementById('frame').value === '2'")
        after = [self.places(page, w) for w in ("machines", "tokens")]
        for b, a in zip(before, after):
            self.assertEqual(len(b), len(a))
            self.assertGreater(sum(x != y for x, y in zip(b, a)), len(b) // 3)
        self.assertGreater(page.run("return document.getAnimations().length"), 2, "words fly")
        self.assertIn("weight 1/2", page.find("#say").text)
        page.click("#play")
        here = self.frame(page)
        self.assertTrue(page.driver.current_url.endswith(f"#{here}"))
        said = page.find("#say").text
        page.click("#forward")
        self.assertEqual(self.frame(page), here + 1)
        self.assertNotEqual(page.find("#say").text, said)
        self.assertEqual(page.find("#say").get_attribute("aria-live"), "polite")
        # The frames are the run's: the words on the left are those of the trace, at their machines.
        page = self.chromium.open(f"{self.file}#6")
        trace = self.trace(page)
        loads = [f"{load[1]} of {trace['memory_words']}" for load in trace["rounds"][1]["loads"]]
        self.assertEqual(page.texts("#machines .load"), loads)
        self.assertEqual(page.texts("#tokens .load"), loads)
        self.assertEqual(len(page.find_all("#machines .chip")), trace["rounds"][1]["words_sent"])

    def test_breaks_where_the_program_does(self):
        page = self.chromium.open(self.file)
        for protocol, name in (("k_hop_walk", "walk"), ("k_hop", "hop"), ("word_count", "count"), ("sum", "sum")):
            file = self.path / f"{name}.html"
            roundtrip("explain", protocol, "--html", file)
            page = self.chromium.open(file)
            for s in (1, 2, 3):
                page.run(self.SET, "s", s)
                line = subprocess.run([ROUNDTRIP, "run", protocol, "--limit-words", str(s)], capture_output=True, text=True).stderr
                if not line:
                    self.assertEqual(self.red(page), [[], []])
                    continue
                machine = int(line.split("machine ")[1].split()[0])
                self.assertEqual(self.red(page), [[machine], [machine]], (protocol, s, line))
                self.assertIn(line.split("machine ")[1].split(" (round")[0].strip(), page.find("#say").text)
            self.shot(page, f"broken-{name}")
        self.assertEqual(page.serious_findings(), [])

    def test_another_sentence(self):
        page = self.chromium.open(self.file)
        page.click("#text")
        page.keys(Keys.END, *" and the dog ran")
        chips = page.texts("#machines .chip")
        self.assertIn("ran", chips)
        self.assertEqual(chips, page.texts("#tokens .chip"))
        self.assertTrue(page.find("#other").is_displayed() or page.run("return !document.getElementById('other').hidden"))
        page.run(self.SET, "k", 1)
        page.run("document.getElementById('frame').value = 1000; document.getElementById('frame').dispatchEvent(new Event('input'))")
        words = (page.find("#text").get_attribute("value"))
        expected = roundtrip("run", "k_hop_walk", "--eps", "1/4", "--param", "k=1", "--input", "-", "--format", "words", "--quiet",
                             "--output", "-", stdin=words).split("\n")[:-1]
        self.assertTrue(page.find("#say").text.endswith(" ".join(e or "–" for e in expected)))
        page.run(self.SET, "text", "one")
        self.assertIn("N is 1, allowed is 2 to 64", page.find("#say").text)
        page.run(self.SET, "text", "a b a b")
        self.assertEqual(len(page.find_all("#machines .chip")), 4)
        self.sound(page, self.file)

    def test_keys_address_and_rest(self):
        page = self.chromium.open(f"{self.file}#3")
        self.assertEqual(self.frame(page), 3)
        page.keys(Keys.ARROW_RIGHT)
        self.assertEqual(self.frame(page), 4)
        page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        self.assertTrue(page.driver.current_url.endswith("#2"))
        page.run("location.hash = '#7'")
        page.wait("return document.getElementById('frame').value === '7'")
        page.run("document.getElementById('s').focus()")
        page.keys(Keys.HOME)
        self.assertNotEqual(self.red(page), [[], []])
        page.keys(Keys.END)
        self.assertEqual(self.red(page), [[], []])
        page.run("document.getElementById('play').focus()")
        page.keys(Keys.SPACE)
        self.assertEqual(page.find("#play").get_attribute("aria-pressed"), "true")
        page.keys(Keys.SPACE)
        self.assertEqual(page.find("#play").get_attribute("aria-pressed"), "false")
        # A guess before the reveal, by keyboard.
        page = self.chromium.open(f"{self.file}#4")
        page.run("document.getElementById('guess').focus()")
        page.keys(Keys.SPACE)
        page.run("document.getElementById('forward').focus()")
        page.keys(Keys.ENTER)
        self.assertEqual(self.frame(page), 4)
        self.assertIn("which machine receives the most", page.find("#ask").text)
        self.shot(page, "guess")
        page.keys(Keys.ENTER)
        self.assertEqual(self.frame(page), 5)
        self.assertRegex(page.find("#score").text, "Right|No: it is")
        page.keys(Keys.ENTER)
        self.assertTrue(page.find("#ask").is_displayed())
        self.assertIn("multiplied", page.find("#ask").text)
        page.click("#ask-options button:nth-child(2)")
        self.assertIn("Right", page.find("#score").text)
        self.assertEqual(self.frame(page), 6)
        self.chromium.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
        page = self.chromium.open(f"{self.file}#1")
        page.keys(Keys.ARROW_RIGHT)
        self.assertEqual(page.run("return document.getAnimations().length"), 0)
        self.chromium.command("Emulation.setEmulatedMedia", features=[])

    def test_puzzles(self):
        page = self.chromium.open(self.file)
        titles = page.texts("#puzzle-list button")
        self.assertEqual(titles, list(SOLUTIONS))
        for number, (title, solution) in enumerate(SOLUTIONS.items(), 1):
            page.click(f"#puzzle-list li:nth-child({number}) button")
            page.click("#check")
            wrong = page.find("#verdict").text
            self.assertRegex(wrong, r"rule|limit|answer|itself|smaller|equal|more|not on", title)
            self.assertNotIn("Solved", wrong)
            for name, value in solution.items():
                page.run(self.SET, name, str(value).strip())
            page.click("#check")
            self.assertEqual(page.find("#verdict").text, f"Solved: {number} of 10.", title)
        self.shot(page, "puzzles")
        self.assertEqual(page.serious_findings(), [])
        self.sound(page, self.file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--roundtrip", required=True)
    known, rest = parser.parse_known_args()
    AXE, ROUNDTRIP = known.axe, known.roundtrip
    unittest.main(argv=[__file__, *rest])
