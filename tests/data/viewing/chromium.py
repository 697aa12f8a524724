"""A headless Chromium that a test drives by its debugging protocol, and looks at by its pixels."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import imageio.v3
import numpy as np
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WAIT_S = 60


def find_browser() -> str:
    """The browser on the PATH; without one these tests fail, they are not left out."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise AssertionError(
        "these tests need Chromium or Chrome on the PATH: apt-get install chromium-headless-shell"
    )


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Chromium]:
    """Starts a browser with one page, its profile in ``folder``, and ends it."""
    words = ["--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}",
             "--disable-gpu", "--hide-scrollbars", "--window-size=1000,700"]  # fmt: skip
    if os.geteuid() == 0:
        words.append("--no-sandbox")
    words = [find_browser(), *words, "about:blank"]
    quiet = subprocess.DEVNULL
    # Debian's command is a script around the browser: only the whole group ends with it.
    with subprocess.Popen(words, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            with connect(_address(folder, process), max_size=None, proxy=None) as socket:
                yield Chromium(socket)
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _address(folder: Path, process: subprocess.Popen) -> str:
    """Where it listens; it writes that to a file when it does."""
    file, until = folder / "DevToolsActivePort", time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        assert process.poll() is None, "the browser ended at once"
        time.sleep(0.05)
    raise AssertionError("the browser did not start")


class Chromium:
    """The page of a running browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._count = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        found = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters) -> dict:
        """Sends a command and returns its result."""
        number = next(self._count)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT_S))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer and self._session is not None:
                self.events.append(answer)

    def open(self, path: Path, place: str = "") -> None:
        """Opens a file anew and waits until it has loaded."""
        self._go("about:blank", "about:")
        self.events.clear()
        self._go(path.as_uri() + place, "file:")

    def _go(self, address: str, protocol: str) -> None:
        self("Page.navigate", url=address)
        until = time.monotonic() + WAIT_S
        while self.evaluate("document.readyState + location.protocol") != f"complete{protocol}":
            assert time.monotonic() < until, "the page did not load"
            time.sleep(0.01)

    def evaluate(self, expression: str):
        """The value of a JavaScript expression in the page."""
        found = self(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 of what the page shows."""
        data = self("Page.captureScreenshot", format="png")["data"]
        return imageio.v3.imread(base64.b64decode(data), extension=".png")[..., :3]

    def box(self, name: str) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the element with this id, pixels."""
        rectangle = self.evaluate(
            f"(({{left, top, right, bottom}}) => [left, top, right, bottom])"
            f"(document.getElementById({name!r}).getBoundingClientRect())"
        )
        return tuple(round(value) for value in rectangle)

    def look(self, name: str) -> np.ndarray:
        """The pixels of the element with this id."""
        left, top, right, bottom = self.box(name)
        return self.picture()[top:bottom, left:right]

    def mouse(self, kind: str, x: float, y: float, **more) -> None:
        """A real event of the mouse."""
        self("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Pulls with the left button."""
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        self.mouse("mouseMoved", *stop, button="left", buttons=1)
        self.mouse("mouseReleased", *stop, button="left", buttons=0, clickCount=1)

    def faults(self) -> list[str]:
        """Errors and warnings of the page, and what it asked of any network."""
        self.evaluate("0")
        found = []
        for event in self.events:
            method, parameters = event["method"], event["params"]
            if method in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(parameters))
            elif method == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("file:", "data:", "about:")):
                    found.append(url)
        return found
