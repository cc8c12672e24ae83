"""The gallery: what docs/gallery/make.py writes is small, whole and sound, and the pages in the tree are those that it lists.
gallery_test.py --axe FILE --roundtrip PATH"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import browser

AXE = ROUNDTRIP = None
GALLERY = pathlib.Path(__file__).parents[2] / "docs/gallery"
MOST_BYTES = 3_000_000


class Gallery(unittest.TestCase):
    def test_made_small_and_sound(self):
        with tempfile.TemporaryDirectory() as folder, browser.Browser(AXE) as chromium:
            made = pathlib.Path(folder)
            subprocess.run([sys.executable, "-B", GALLERY / "make.py", "--roundtrip", ROUNDTRIP, "--to", made], check=True)
            pages = sorted(p.name for p in made.iterdir())
            links = re.findall(r'href="([^"]+)"', (made / "index.html").read_text())
            self.assertEqual(sorted([*links, "index.html"]), pages)
            self.assertEqual(sorted(p.name for p in GALLERY.glob("*.html")), pages, "run docs/gallery/make.py")
            for place in (made, GALLERY):
                self.assertLess(sum(p.stat().st_size for p in place.iterdir()), MOST_BYTES)
            for name in pages:
                for width in (browser.DESKTOP, browser.PHONE):
                    chromium.errors()
                    page = chromium.open(made / name, width=width)
                    self.assertEqual((chromium.errors(), page.overflow()), ([], 0), (name, width))
                    if name != "index.html":
                        self.assertGreater(len(page.find_all("#machines .chip")), 4, name)
                self.assertEqual(page.serious_findings("#stage" if name != "index.html" else None), [], name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--roundtrip", required=True)
    known, rest = parser.parse_known_args()
    AXE, ROUNDTRIP = known.axe, known.roundtrip
    unittest.main(argv=[__file__, *rest])
