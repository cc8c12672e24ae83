"""The gallery: what docs/gallery/make.py writes is small, whole and sound, and the pages in the tree are those that it lists.
README's two pictures are of its first page.
gallery_test.py --axe FILE --roundtrip PATH [--pictures]    --pictures takes them anew"""

import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

import browser

AXE = ROUNDTRIP = None
TAKE = False
GALLERY = pathlib.Path(__file__).parents[2] / "docs/gallery"
MOST_BYTES = 3_000_000
PICTURES = {"light": GALLERY / "page.png", "dark": GALLERY / "page-dark.png"}
PICTURED = GALLERY / "walk.html#5"


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

    def test_light_and_dark(self):
        with browser.Browser(AXE) as chromium:
            for scheme, picture in PICTURES.items():
                chromium.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                page = chromium.open(PICTURED)
                page.wait("return !document.getAnimations().length")
                if TAKE:
                    page.screenshot(picture)
                red, green, blue = map(int, re.findall(r"\d+", page.run("return getComputedStyle(document.body).backgroundColor")))
                self.assertEqual(red + green + blue > 3 * 128, scheme == "light")
                self.assertEqual(page.serious_findings(), [], scheme)
                self.assertEqual(struct.unpack(">II", picture.read_bytes()[16:24]), (browser.DESKTOP, 800), "--pictures")
                self.assertIn(f"docs/gallery/{picture.name}", (GALLERY.parents[1] / "README.md").read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    parser.add_argument("--roundtrip", required=True)
    parser.add_argument("--pictures", action="store_true")
    known, rest = parser.parse_known_args()
    AXE, ROUNDTRIP, TAKE = known.axe, known.roundtrip, known.pictures
    unittest.main(argv=[__file__, *rest])
