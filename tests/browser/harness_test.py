"""The harness itself: each of its checks must be able to fail. harness_test.py --axe FILE"""

import argparse
import pathlib
import tempfile
import unittest

import browser

AXE = None


class Harness(unittest.TestCase):
    def test_finds_what_it_looks_for(self):
        with tempfile.TemporaryDirectory() as folder, browser.Browser(AXE) as chromium:
            bad = pathlib.Path(folder, "bad.html")
            bad.write_text('<!doctype html><html lang="en"><title>bad</title><main><h1>bad</h1>'
                           '<img src="https://example.org/picture.png">'
                           '<p style="color:#ccc;background:#fff">too pale</p><input>'
                           '<div style="width:2000px">wide</div>'
                           '<button onclick="document.title = \'clicked\'">press</button></main>')
            page = chromium.open(bad, width=browser.PHONE)
            self.assertEqual(chromium.requests(), [bad.as_uri(), "https://example.org/picture.png"])
            self.assertTrue(any("ERR_" in error for error in chromium.errors()), "the picture loaded")
            findings = " ".join(page.serious_findings())
            for rule in ("image-alt", "color-contrast", "label"):
                self.assertIn(rule, findings)
            self.assertGreater(page.overflow(), 1000)
            page.click("button")
            self.assertEqual(page.driver.title, "clicked")
            page = chromium.open(bad, scripts=False)
            page.click("button")
            self.assertEqual(page.driver.title, "bad")
            good = pathlib.Path(folder, "good.html")
            good.write_text('<!doctype html><html lang="en"><title>good</title><main><h1>good</h1></main>')
            chromium.requests()
            page = chromium.open(good)
            self.assertEqual(page.serious_findings(), [])
            self.assertEqual(page.overflow(), 0)
            self.assertEqual(chromium.requests(), [good.as_uri()])
            with self.assertRaises(AssertionError):
                page.wait("return false", seconds=0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", required=True)
    known, rest = parser.parse_known_args()
    AXE = known.axe
    unittest.main(argv=[__file__, *rest])
