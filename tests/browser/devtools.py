"""A page in a real Chromium, driven over the DevTools protocol with what the host's own packages offer."""

import asyncio
import base64
import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"),
    *("--no-first-run", "--no-default-browser-check", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars"),
    *("--remote-debugging-port=0", "--remote-allow-origins=*"),
)
START_SECONDS = 120
KEY_CODES = {"Tab": 9, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36} | {
    f"Arrow{side}": code for code, side in enumerate(("Left", "Up", "Right", "Down"), start=37)
}


class PageError(Exception):
    """A script of the page threw, or the page did not get ready in time."""


class Page:
    """One tab. JavaScript goes in, JSON comes out."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse):
        self.loop = loop
        self.socket = socket
        self.last = 0

    def command(self, method: str, timeout: float = 60, **parameters: Any) -> dict:
        return self.loop.run_until_complete(asyncio.wait_for(self._command(method, parameters), timeout))

    async def _command(self, method: str, parameters: dict) -> dict:
        self.last += 1
        await self.socket.send_json({"id": self.last, "method": method, "params": parameters})
        while True:
            answer = json.loads((await self.socket.receive()).data)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def goto(self, url: str) -> None:
        self.command("Page.navigate", url=url)

    def run(self, script: str, timeout: float = 60, **values: Any) -> Any:
        """The value of the body of an async function, which sees ``values`` by their names."""
        call = f"(async ({', '.join(values)}) => {{ {script} }})({', '.join(map(json.dumps, values.values()))})"
        answer = self.command(
            "Runtime.evaluate", timeout, expression=call, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait(self, condition: str, timeout: float = 60) -> None:
        """Until an expression is true."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(PageError):  # the page's objects come one by one
                if self.run(f"return !!({condition})"):
                    return
            time.sleep(0.2)
        raise PageError(f"after {timeout:g} s this is still not so: {condition}")

    def press(self, key: str) -> None:
        """A key that has a name, such as ArrowLeft, pressed and let go where the focus is."""
        code = KEY_CODES[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def open_page(browser: str, width: int = 1920, height: int = 1080) -> Iterator[Page]:
    """A tab of a browser with a profile of its own; both are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="mvg-browser-", ignore_cleanup_errors=True) as profile:
        command = [browser, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        loop = asyncio.new_event_loop()
        try:
            address = _address(process, Path(profile) / "DevToolsActivePort")
            session, page = loop.run_until_complete(_connect(loop, address))
            try:
                yield page
            finally:
                loop.run_until_complete(session.close())
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            loop.close()


def _address(process: subprocess.Popen, port_file: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if port_file.is_file() and (lines := port_file.read_text().split()):
            return f"http://127.0.0.1:{lines[0]}"
        time.sleep(0.1)
    raise PageError(f"{process.args[0]} did not open its DevTools port")


async def _connect(loop: asyncio.AbstractEventLoop, address: str) -> tuple[aiohttp.ClientSession, Page]:
    session = aiohttp.ClientSession()
    async with session.get(f"{address}/json/list") as answer:
        targets = await answer.json(content_type=None)
    target = next(target for target in targets if target["type"] == "page")
    socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
    return session, Page(loop, socket)
