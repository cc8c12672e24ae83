"""A headless Chromium without a network, for tests of the pages that this project writes.

    with browser.Browser(axe=path) as chromium:
        page = chromium.open(file, width=390)
        page.click("#next"); page.keys(Keys.ARROW_RIGHT); page.wait("return window.ready")
        assert page.serious_findings() == []
        assert chromium.requests() == [file.as_uri()]

One Browser serves all checks of a test: starting takes a second or two."""

import base64
import json
import os
import pathlib
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys  # noqa: F401, for tests

DESKTOP = 1280
PHONE = 390
HEIGHTS = {DESKTOP: 800, PHONE: 844}


class Browser:
    """`axe` is axe-core's script; tests/browser/setup.sh installs it."""

    def __init__(self, axe):
        axe = pathlib.Path(axe)
        if not axe.is_file():
            raise RuntimeError(f"no axe-core at {axe}: run tests/browser/setup.sh")
        self.axe_source = axe.read_text()

    def __enter__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="roundtrip-browser-")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
                         "--no-first-run", "--disable-background-networking", "--disable-component-update",
                         "--force-device-scale-factor=1", "--hide-scrollbars", "--lang=en",
                         f"--user-data-dir={self._profile.name}/profile",
                         # No name resolves and no proxy helps: what a page asked for elsewhere fails, and is in the log.
                         "--host-resolver-rules=MAP * ~NOTFOUND", "--no-proxy-server"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium has none for root
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        # Debian's wrapper reads the home folder; the test's own keeps it out of the user's.
        environment = dict(os.environ, HOME=self._profile.name)
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver", env=environment), options=options)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.command("Network.enable")
        self.command("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0,
                     uploadThroughput=0)
        self.driver.get("about:blank")  # instead of Chromium's own start page, whose requests and errors are not ours
        self.requests()
        self.errors()
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self._profile.cleanup()

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def open(self, path, width=DESKTOP, scripts=True):
        """The file as a fresh page of that width; its fragment may follow a '#' in `path`'s text."""
        name, _, fragment = str(path).partition("#")
        self.command("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.resize(width)
        self.driver.get("about:blank")
        self.driver.get(pathlib.Path(name).absolute().as_uri() + ("#" + fragment if fragment else ""))
        return Page(self)

    def resize(self, width):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=HEIGHTS.get(width, 900),
                     deviceScaleFactor=1, mobile=False)

    def requests(self):
        """What pages have asked for since the last call, in order; about: and data: aside."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("about:", "data:")):
                    found.append(url)
        return found

    def errors(self):
        """What the console has got since the last call at level SEVERE: uncaught exceptions, failed loads."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


class Page:
    def __init__(self, browser):
        self.browser = browser
        self.driver = browser.driver

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """The text of all that match, hidden ones included."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())", selector)

    def click(self, selector_or_element):
        """A real click, at the middle of the element, which must be visible and uncovered."""
        element = self._element(selector_or_element)
        self.run("arguments[0].scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'})", element)
        element.click()

    def hover(self, selector_or_element):
        element = self._element(selector_or_element)
        self.run("arguments[0].scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'})", element)
        ActionChains(self.driver).move_to_element(element).perform()

    def keys(self, *keys):
        """Pressed one after the other, wherever the focus is."""
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def wait(self, condition, *arguments, seconds=10):
        """Until the script's value is true, which is returned."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(condition, *arguments)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {condition}")
            time.sleep(0.02)

    def screenshot(self, path, whole=False):
        """The visible part, or the whole page, as PNG."""
        size = self.browser.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1},
                "captureBeyondViewport": True} if whole else {}
        data = self.browser.command("Page.captureScreenshot", format="png", **clip)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def overflow(self):
        """By how many pixels the page is wider than the window: 0 unless one has to scroll sideways."""
        return self.run("const d = document.documentElement; return Math.max(0, d.scrollWidth - d.clientWidth)")

    def serious_findings(self, context=None):
        """axe-core's violations of impact serious or critical, each as one line, of the page at rest: amid a fade an
        element has another contrast than it is read with."""
        self.run("for (const a of document.getAnimations()) a.effect.getComputedTiming().endTime === Infinity"
                 " ? a.cancel() : a.finish(); return 0")
        self.run(self.browser.axe_source + "; return 0")
        result = self.driver.execute_async_script(
            "const done = arguments[1];"
            "axe.run(arguments[0] ? {include: [[arguments[0]]]} : document, {resultTypes: ['violations']})"
            ".then(r => done(r.violations), e => done([{id: 'axe failed', impact: 'critical', help: String(e), nodes: []}]));",
            context)
        return [f"{v['id']} ({v['impact']}): {v['help']}: " + "; ".join(str(n["target"]) for n in v["nodes"][:5])
                for v in result if v["impact"] in ("serious", "critical")]

    def _element(self, selector_or_element):
        return self.find(selector_or_element) if isinstance(selector_or_element, str) else selector_or_element
