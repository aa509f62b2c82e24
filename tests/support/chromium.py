"""Headless Chromium, driven by the DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-pipe",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_NAMED_KEYS = {  # code, number, text
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "Backspace": ("Backspace", 8, ""),
    "Delete": ("Delete", 46, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}
# The program talks on the file descriptors 3 and 4, which a fork in this process could not set safely.
_LAUNCH = """
import os, sys
read, write = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2]))
os.dup2(os.dup(read), 103); os.dup2(os.dup(write), 104); os.dup2(103, 3); os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium_path() -> str | None:
    """The program, or None where it is not installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Tab:
    """An open page.

    Args:
        browser: what it is in.
        session: the identifier of the connection to it.
    """

    def __init__(self, browser: "Browser", session: str) -> None:
        self.browser = browser
        self.session = session

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the protocol."""
        return self.browser.send(method, self.session, **parameters)

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 120) -> Any:
        """The value of an expression, as soon as it is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(expression)):
            assert time.monotonic() < end, f"not true after {seconds} s: {expression}; {self.browser.logged}"
            time.sleep(0.05)
        return value

    def choose_files(self, selector: str, paths: list[Path]) -> None:
        """Chooses files in an input, as a user does."""
        handle = self.send("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        files = [str(path) for path in paths]
        self.send("DOM.setFileInputFiles", files=files, objectId=handle["result"]["objectId"])

    def press(self, key: str, number: int) -> None:
        """Presses a key of this name and virtual key code."""
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=number)

    def keys(self, *keys: str, shift: bool = False) -> None:
        """Presses keys one after another: characters, or names such as Enter, as they come from a keyboard."""
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)
        for key in keys:
            code, number, text = _NAMED_KEYS.get(key, (f"Key{key.upper()}" if key.isalpha() else "", ord(key[0]), key))
            written = text.upper() if shift else text
            known: dict[str, Any] = {
                "key": written if len(key) == 1 else key,
                "code": code,
                "windowsVirtualKeyCode": ord(key.upper()) if len(key) == 1 else number,
                "modifiers": 8 if shift else 0,
            }
            kind = {"type": "keyDown", "text": written} if written else {"type": "rawKeyDown"}
            self.send("Input.dispatchKeyEvent", **kind, **known)
            self.send("Input.dispatchKeyEvent", type="keyUp", **known)

    def mouse(self, *places: tuple[float, float]) -> None:
        """Presses the mouse at the first place, moves it over the others, and lets it go at the last."""
        for kind, (x, y) in [("mousePressed", places[0]), *(("mouseMoved", place) for place in places[1:])]:
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        x, y = places[-1]
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Sets the size of the window, that of a phone below 500 pixels, and the colours that a user prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[colours])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a picture of the page as PNG."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


class Browser:
    """A running Chromium.

    Args:
        read: the file descriptor of its messages.
        write: that of ours.
    """

    def __init__(self, read: int, write: int) -> None:
        self.logged: list[str] = []
        self.requested: list[str] = []
        self._read, self._write = read, write
        self._rest = b""
        self._target = ""
        self._ids = itertools.count(1)

    def open(self, url: str) -> Tab:
        """A new tab with a page, in place of the one before; what it logs and requests is noted."""
        earlier = self._target
        self._target = self.send("Target.createTarget", url="about:blank")["targetId"]
        if earlier:
            self.send("Target.closeTarget", targetId=earlier)
        session = self.send("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.send(f"{domain}.enable")
        tab.send("Page.bringToFront")
        tab.send("Page.navigate", url=url)
        return tab

    def send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The result of a command of the protocol."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        os.write(self._write, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)
            if answer["method"] == "Page.javascriptDialogOpening":  # a page that asks whether it may be left
                leave = {"id": next(self._ids), "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
                os.write(self._write, json.dumps(leave | {"sessionId": answer["sessionId"]}).encode() + b"\0")

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium has ended"
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: Any) -> None:
        parameters = event.get("params", {})
        if event["method"] == "Log.entryAdded":
            self.logged.append(parameters["entry"]["text"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.logged.append(str(parameters["exceptionDetails"]))
        elif event["method"] == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])


@contextmanager
def running_chromium(folder: Path, program: str, *flags: str) -> Generator[Browser, None, None]:
    """A Chromium of its own, ended afterwards.

    Args:
        folder: gets its profile.
        program: the path of Chromium.
        flags: further options.
    """
    theirs_read, ours_write = os.pipe()
    ours_read, theirs_write = os.pipe()
    command = [sys.executable, "-S", "-c", _LAUNCH, str(theirs_read), str(theirs_write), program, *_FLAGS, *flags]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        pass_fds=(theirs_read, theirs_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_read)
    os.close(theirs_write)
    browser = Browser(ours_read, ours_write)
    try:
        yield browser
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours_read)
        os.close(ours_write)
