"""A headless Chromium, driven by the W3C WebDriver protocol over plain HTTP. Blocking; for tests and scripts."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
SOON = 15.0
KEYS = {
    "enter": "\ue007",
    "escape": "\ue00c",
    "tab": "\ue004",
    "end": "\ue010",
    "home": "\ue011",
    "down": "\ue015",
}
KEYS |= {"up": "\ue013", "page_down": "\ue00f", "page_up": "\ue00e", "space": " "}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# It asks nobody but the page: background services would be refused by a closed network, many at a time.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
]


def chromium() -> str | None:
    """Where it is, if its driver is there too."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    return found if shutil.which("chromedriver") else None


class Browser:
    """One session. `with browser() as page: page.open(url)`"""

    def __init__(self, server: str, session: str) -> None:
        self._base = f"{server}/session/{session}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(method, self._base + path, body)

    # -- the page --

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *args: Any) -> Any:
        """What a function body of JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector: str) -> str:
        """Of the first element; "" where there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """Of all such elements."""
        found = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )
        return [str(each) for each in found]

    def click(self, selector: str) -> None:
        """As a person would: it must be in sight."""
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def keys(self, *keys: str) -> None:
        """To what has the focus: names of `KEYS`, or text."""
        actions = []
        for key in keys:
            for value in [KEYS[key]] if key in KEYS else key:
                actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def _find(self, selector: str) -> str:
        return str(self._ask("POST", "/element", {"using": "css selector", "value": selector})[_ELEMENT])

    def until(self, condition: Callable[[], T], what: str = "") -> T:
        """What the condition gives once it is true. AssertionError after a while."""
        end = time.monotonic() + SOON
        while not (found := condition()):
            assert time.monotonic() < end, (
                f"never: {what or condition}; the page says {self.text('main')[:2000]!r}"
            )
            time.sleep(0.05)
        return found

    # -- around it --

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width: int, height: int, *, phone: bool = False, scale: float = 1.0) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )

    def scheme(self, name: str) -> None:
        """ "light" or "dark", as the system would say."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def console(self) -> list[str]:
        """Warnings and errors since this was asked last."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [
            f"{each['level']}: {each['message']}"
            for each in entries
            if each["level"] in ("WARNING", "SEVERE")
        ]

    def requested(self) -> list[str]:
        """Addresses that were asked for since this was asked last."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        events = [json.loads(each["message"])["message"] for each in entries]
        return [
            each["params"]["request"]["url"]
            for each in events
            if each["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self) -> bytes:
        """What is in sight, as PNG."""
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def picture(self) -> bytes:
        """The whole page, as PNG."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


def _ask(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {json.load(error)['value']['message']}") from None


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A new one with an empty profile; it ends with the block."""
    binary = chromium()
    assert binary, "no Chromium with its driver here: apt install chromium chromium-driver"
    with tempfile.TemporaryDirectory() as profile, _driver(profile) as server:
        options = {"binary": binary, "args": [*FLAGS, f"--user-data-dir={profile}/user"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = _ask("POST", f"{server}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(server, session)
        finally:
            with contextlib.suppress(AssertionError, OSError):
                _ask("DELETE", f"{server}/session/{session}")


@contextlib.contextmanager
def _driver(folder: str) -> Iterator[str]:
    """ChromeDriver on a port of its own choice."""
    with open(f"{folder}/driver.log", "w+") as log:
        process = subprocess.Popen(["chromedriver", "--port=0"], stdout=log, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + SOON
            words: list[str] = []
            while not words:
                assert time.monotonic() < end, "chromedriver did not start"
                time.sleep(0.02)
                lines = Path(log.name).read_text().splitlines()
                words = [
                    line.rpartition(" ")[2].rstrip(".") for line in lines if "successfully on port" in line
                ]
            yield f"http://127.0.0.1:{words[0]}"
        finally:
            process.terminate()
            process.wait(10)
