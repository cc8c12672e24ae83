"""`verify --html`: the page as a browser without a network shows it, at desktop and phone width, and as a reader
without scripts gets it.

    report_page_test.py --axe FILE --roundtrip PROGRAM [--shots FOLDER]    --shots keeps screenshots to look at"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import browser

# Small statements: of runs, of draws, with readings beside them.
STATEMENTS = ["chunked_attention_reach", "connectivity_rounds", "k_hop_depth"]


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="roundtrip-report-")
        cls.file = pathlib.Path(cls.folder.name) / "report.html"
        subprocess.run([arguments.roundtrip, "verify", *STATEMENTS, "--quiet", "--html", cls.file], check=True)
        cls.text = cls.file.read_text()
        cls.browser = browser.Browser(axe=arguments.axe)
        cls.chromium = cls.browser.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.folder.cleanup()

    def test_loads_nothing_and_needs_no_script(self):
        self.assertEqual(re.findall(r'(?:src|href|srcset|action|data)\s*=\s*["\'](?!#)[^"\']*', self.text), [])
        self.assertEqual(re.findall(r"url\(|@import|<script|<link|<iframe|<object|<embed|\son\w+=|https?:", self.text), [])
        self.chromium.requests()
        self.chromium.open(self.file, scripts=False)
        self.assertEqual(self.chromium.requests(), [self.file.as_uri()])
        self.assertEqual(self.chromium.errors(), [])

    def test_shows_every_statement_plot_and_table(self):
        page = self.chromium.open(self.file)
        self.assertEqual(len(page.find_all("main > .wide tbody tr")), len(STATEMENTS))
        for name in STATEMENTS:
            commands = page.texts(f"#{name} code")
            self.assertIn(f"roundtrip verify {name} --seed 1", commands)
            for selector in ("table caption", "pre"):
                self.assertTrue(page.find_all(f"#{name} {selector}"), f"{name} {selector}")
        # The curves come first; a pair of lines that lie on each other is in the tables alone.
        self.assertEqual(page.texts("#curves figcaption"), ["k-hop induction heads: layers over k", "Connectivity: rounds over N"])
        self.assertEqual(page.run("return document.querySelector('main').firstElementChild.id"), "curves")
        # Depth over k has every mechanism that the statement speaks of, and what our protocol is compiled to, by plan.
        described = page.texts("#curves figure:first-of-type desc")[0]
        for k, construction in ((1, "direct"), (64, "direct"), (1, "routed"), (64, "routed")):
            planned = subprocess.run([arguments.roundtrip, "compile", "k_hop", "--n", "2048", "--param", f"k={k}", "--construction",
                                      construction, "--plan"], check=True, capture_output=True, text=True).stdout
            layers = re.search(r"L = (\d+) layers", planned)[1]
            self.assertRegex(described, rf"protocol, {construction}:[^.]* {layers} at {k}[,.]")
        for mechanism in ("ANNA", "standard attention", "low-rank", "recurrent networks"):
            self.assertRegex(described, rf"{mechanism}[^:]*: \d")
        # What is equal throughout is one table, and in no other.
        equal = set(page.texts("#equal tbody th"))
        self.assertIn("components: rounds R", equal)
        self.assertEqual(len(page.find_all("#equal table")), 1)
        others = page.run("return [...document.querySelectorAll('section:not(#equal) tbody tr')].filter(r => r.cells[7] &&"
                          " r.cells[5].textContent === '==' && r.cells[7].textContent === 'verified').map(r => r.cells[0].textContent)")
        self.assertEqual(equal & set(others), set())
        self.assertEqual(page.run("return [...document.querySelectorAll('main > section:not(#curves):not(#experiments) figure svg')].filter(s => {"
                                  " const lines = [...s.querySelectorAll('path[stroke-dasharray]')].map(l => l.getAttribute('d'));"
                                  " return new Set(lines).size < lines.length; }).length"), 0)
        self.assertEqual(len(page.find_all("#experiments figure svg")), 6)
        self.assertEqual(len(page.find_all("#experiments table")), 6)
        cells = page.texts("#experiments table:first-of-type tbody td")
        self.assertTrue(any(float(cell) > 0 for cell in cells) and all(0 <= float(cell) <= 1 for cell in cells))
        # Every plot takes room, has a name and says its numbers; every table has a caption and headed rows.
        for svg in page.find_all("svg"):
            self.assertGreater(svg.size["height"], 100)
        self.assertEqual(page.run("return [...document.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-label')"
                                  " || !/ at /.test(s.querySelector('desc').textContent)).length"), 0)
        self.assertEqual(page.run("return [...document.querySelectorAll('table')].filter(t => !t.caption"
                                  " || [...t.tBodies[0].rows].some(r => r.cells[0].scope !== 'row')"
                                  " || [...t.tHead.rows[0].cells].some(c => c.scope !== 'col')).length"), 0)

    def test_fits_desktop_and_phone(self):
        for width, name in ((browser.DESKTOP, "desktop"), (browser.PHONE, "phone")):
            page = self.chromium.open(self.file, width=width)
            self.assertEqual(page.overflow(), 0, name)
            # The first curve is on the first screen.
            self.assertLess(page.run("return document.querySelector('#curves svg').getBoundingClientRect().top"),
                            browser.HEIGHTS[width] * 0.7, name)
            self.assertEqual(page.serious_findings(), [], name)
            if arguments.shots:
                page.screenshot(pathlib.Path(arguments.shots) / f"report-{name}.png")
                page.screenshot(pathlib.Path(arguments.shots) / f"report-{name}-whole.png", whole=True)

    def test_is_written_whole_or_not_at_all(self):
        missing = pathlib.Path(self.folder.name) / "no" / "report.html"
        run = subprocess.run([arguments.roundtrip, "verify", STATEMENTS[0], "--quiet", "--html", missing],
                             capture_output=True, text=True)
        self.assertEqual((run.returncode, len(run.stderr.splitlines())), (2, 1), run.stderr)
        self.assertIn(str(missing), run.stderr)
        for wrong in (["--faults", "--html", "-"], ["--json", "-", "--html", "-"]):
            run = subprocess.run([arguments.roundtrip, "verify", *wrong], capture_output=True, text=True)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertEqual(run.stdout, "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--roundtrip", required=True)
    parser.add_argument("--shots")
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)
