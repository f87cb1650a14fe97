# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headless Chromium, driven over the WebDriver protocol of chromedriver (W3C WebDriver, https://www.w3.org/TR/webdriver2/)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("chromium", "chromium-driver")
# Longer than the slowest command takes on the busiest machine.
SECONDS_TO_ANSWER = 900
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def available() -> str:
    """Empty, or why there is no browser here. Where Debian's packages can be installed, they are."""
    if _binary() and shutil.which("chromedriver"):
        return ""
    name = f"Debian's packages {' and '.join(PACKAGES)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"needs {name}: apt-get install {' '.join(PACKAGES)}"
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode and subprocess.run(["apt-get", "update", "--quiet"], capture_output=True).returncode == 0:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return f"{name} could not be installed: {done.stderr.strip()[-300:]}" if done.returncode else ""


@dataclass(frozen=True)
class Browser:
    """One window. session: the address of its WebDriver session."""

    session: str

    def open(self, page: Path, fragment: str = "") -> None:
        """Loads a file; fragment: what follows the ``#``."""
        self._post("url", url="about:blank")
        self._post("url", url=page.resolve().as_uri() + (f"#{fragment}" if fragment else ""))

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body in JavaScript returns."""
        return self._post("execute/sync", script=script, args=list(arguments))

    def settled(self) -> None:
        """Returns when what the page has to draw is drawn."""
        self._post(
            "execute/async",
            script="const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));",
            args=[],
        )

    def click(self, selector: str) -> None:
        """As a user does: the element must be in sight and uncovered."""
        self._post(f"element/{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Into an element, key by key."""
        self._post(f"element/{self._find(selector)}/value", text=text)

    def press(self, *names: str) -> None:
        """Keys by name, for whatever has the focus."""
        actions = [{"type": kind, "value": _KEYS.get(name, name)} for name in names for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])
        self.settled()

    def text(self, selector: str) -> str:
        """What a user reads of an element."""
        found = self._get(f"element/{self._find(selector)}/text")
        return str(found)

    def count(self, selector: str) -> int:
        """How many elements there are, in sight or not."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def screenshot(self, file: Path) -> None:
        """Of the window, as PNG."""
        file.write_bytes(base64.b64decode(self._get("screenshot")))

    def pdf(self) -> bytes:
        """The page as it prints."""
        # WebDriver's own command for this gives up after ten seconds.
        found = self._post("goog/cdp/execute", cmd="Page.printToPDF", params={"printBackground": True})
        return base64.b64decode(found["data"])

    def console(self) -> list[str]:
        """What the browser complained about since the last time."""
        return [str(entry["message"]) for entry in self._post("se/log", type="browser")]

    def size(self, width: int, height: int) -> None:
        """Of the window, in pixels."""
        self._post("window/rect", width=width, height=height)

    def prefer(self, scheme: str) -> None:
        """``light`` or ``dark``, as the user's system would say."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._post("goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})

    def _find(self, selector: str) -> str:
        found = self._post("element", using="css selector", value=selector)
        return str(found[_ELEMENT])

    def _post(self, path: str, **content: Any) -> Any:
        return _ask(f"{self.session}/{path}", content)

    def _get(self, path: str) -> Any:
        return _ask(f"{self.session}/{path}", None)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser while the block lasts. profile: an empty folder that it may fill."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = _port(driver)
        address = f"http://127.0.0.1:{port}/session"
        options = {"binary": _binary(), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = f"{address}/{_ask(address, {'capabilities': {'alwaysMatch': wanted}})['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _ask(session, None, "DELETE")
    finally:
        driver.terminate()
        driver.wait()
        if driver.stdout is not None:
            driver.stdout.close()


def _binary() -> str | None:
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def _port(driver: subprocess.Popen[str]) -> int:
    said = []
    assert driver.stdout is not None
    for line in driver.stdout:
        said.append(line)
        if found := re.search(r"successfully on port (\d+)", line):
            return int(found[1])
    raise AssertionError(f"chromedriver ended with exit code {driver.wait()}: {''.join(said)}")


def _ask(address: str, content: Any, method: str | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _OPENER.open(request, timeout=SECONDS_TO_ANSWER) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        found = json.load(error)["value"]
        raise AssertionError(f"{found['error']}: {found['message']}") from None
