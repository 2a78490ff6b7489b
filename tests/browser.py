"""Headless Chromium, driven over a pipe by its DevTools protocol: one process opens many pages.

Rule: commands and events are JSON, each ended by a zero byte, on the file descriptors 3 and 4 of Chromium
(``--remote-debugging-pipe``). No name of a host is ever found, so that a page which needs another server
fails.
"""

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE = 30.0
"""Seconds to wait for one answer or event."""


def find_browser() -> str:
    """Return the path of a browser, or skip the test where there is none that could start."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to open the page with: none of {', '.join(NAMES)}")
    if resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY:
        pytest.skip("Chromium reserves more address space than is allowed here (ulimit -v)")
    return found


class Browser:
    """A running Chromium and one page of it.

    Parameters
    ----------
    commands, answers : int
        File descriptors to write to and to read from.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number, self._session = 0, ""
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def open(self, address: str, *, width: int, height: int = 900) -> list[dict[str, Any]]:
        """Open a page in a window of that size; return the events until it was loaded."""
        self.resize(width, height)
        self.events.clear()
        self.send("Page.navigate", url=address)
        while all(event["method"] != "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())
        return self.events

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window that many pixels; the page stays as it is."""
        size = {"width": width, "height": height}
        self.send("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)

    def evaluate(self, script: str) -> Any:
        """Return what an expression gives; a promise is awaited."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._answers], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._answers, 2**16) if ready else b""
            assert part, f"the browser has closed the pipe, or said nothing for {PATIENCE} s"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded


@contextmanager
def started(path: str, profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; it ends with the context."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", shell, "browser", path, *OPTIONS]
    own = [f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
    with (profile.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(
            [*command, *own],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_out, ours_in)
        finally:
            os.close(ours_out)
            os.close(ours_in)
            process.terminate()
            process.wait(timeout=PATIENCE)
