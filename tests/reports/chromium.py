"""A real headless Chromium for the tests, over the DevTools protocol on a pipe: the standard library and nothing else.

https://chromedevtools.github.io/devtools-protocol/; messages are JSON, each ended by a zero byte; the browser reads
descriptor 3 and writes descriptor 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT = 60.0
"""Seconds that an answer may take on a busy machine."""


def found() -> str | None:
    """The browser on PATH, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page of the browser, and all that it said since it was opened."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._rest, self._last, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one command."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer.get("result", {})
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + WAIT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser said nothing for {WAIT:.0f} s"
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser is gone"
            self._rest += piece
        one, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        return message

    def open(self, page: Path, *, width: int = 1280, dark: bool = False) -> None:
        """Shows a file at a width, in a theme, and waits until it is loaded."""
        self.resize(width)
        self.theme("dark" if dark else "light")
        self.events.clear()
        self.send("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def resize(self, width: int, height: int = 900) -> None:
        """The window's width in CSS pixels; below 600 a telephone's."""
        phone = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def theme(self, name: str, media: str = "") -> None:
        """`light` or `dark`, as the reader's system would say it; `media` "print" for paper."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.send("Emulation.setEmulatedMedia", media=media, features=[feature])

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def key(self, name: str, text: str = "") -> None:
        """One key pressed and let go."""
        code = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "Escape": 27}[name]
        held = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **held)
        self.send("Input.dispatchKeyEvent", type="keyUp", **held)

    def mouse(self, x: float, y: float, *, click: bool = False) -> None:
        """The mouse moved to a place of the window; clicked."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def wanted(self) -> list[str]:
        """The addresses that the page asked for, itself aside."""
        asked = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in asked if one["request"]["url"] != one.get("documentURL")]

    def complaints(self) -> list[Any]:
        """What the console and the browser's log said, and exceptions."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in kinds]

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the window, or of the whole page."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        asked: dict[str, Any] = {"captureBeyondViewport": True, "clip": clip} if whole else {}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **asked)["data"]))


@contextmanager
def tab() -> Iterator[Tab]:
    """A browser of its own with one tab and no way out to a network; gone at the end."""
    binary = found()
    assert binary is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        typed = [
            binary, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-extensions",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", f"--user-data-dir={home}",
        ]  # fmt: skip
        silent = os.open(os.devnull, os.O_RDWR)
        # Copies above 4 first: a pipe's own end may be 3 or 4.
        ends = [os.dup(end) for end in (to_read, from_write)]
        moves = [(os.POSIX_SPAWN_DUP2, silent, to) for to in (0, 1, 2)]
        moves += [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4)]
        browser = os.posix_spawn(binary, typed, os.environ, file_actions=moves, setpgroup=0)
        for end in (to_read, from_write, silent, *ends):
            os.close(end)
        try:
            yield Tab(from_read, to_write)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(browser, signal.SIGKILL)
            os.waitpid(browser, 0)
            os.close(to_write)
            os.close(from_read)
