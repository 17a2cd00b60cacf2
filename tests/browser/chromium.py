"""A page in a real Chromium, driven by playwright."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright import sync_api

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
)
SIZE = {"width": 1920, "height": 1080}
CONTRASTS = """
const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
const parse = (color) => {
  pen.clearRect(0, 0, 1, 1)
  pen.fillStyle = color
  pen.fillRect(0, 0, 1, 1)
  const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data
  return { rgb: [red, green, blue], alpha: alpha / 255 }
}
const over = ({ rgb, alpha }, below) => rgb.map((v, n) => v * alpha + below[n] * (1 - alpha))
const probe = document.body.appendChild(document.createElement('i'))
probe.style.color = 'Canvas' // what a page stands on that has no ground of its own
const paper = parse(getComputedStyle(probe).color).rgb
probe.remove()
const ground = (e) => e ? over(parse(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : paper
const opacity = (e) => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1
const light = (rgb) => rgb.map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0)
const speaks = (e) => !['OPTION', 'SCRIPT', 'STYLE'].includes(e.tagName) && !e.disabled && e.checkVisibility()
  && (e.tagName === 'SELECT' || [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
return [...document.querySelectorAll(root + ' *')].filter(speaks).map((e) => {
  const below = ground(e), style = getComputedStyle(e)
  const { rgb, alpha } = parse(e instanceof SVGElement ? style.fill : style.color)
  const pair = [light(below), light(over({ rgb, alpha: alpha * opacity(e) }, below))].sort((a, b) => a - b)
  return [`${e.localName} ${e.textContent.slice(0, 30)}`, (pair[1] + 0.05) / (pair[0] + 0.05)]
})
"""
"""Body of a function of ``root``, a selector -> each element below it that shows words, and its contrast by WCAG 2."""


class Page:
    """One tab. JavaScript goes in, JSON comes out."""

    def __init__(self, tab: sync_api.Page):
        self.tab = tab

    def run(self, script: str, **values: Any) -> Any:
        """The value of the body of an async function, which sees ``values`` by their names."""
        names = ", ".join(values)
        # as JSON, which leaves out members that are undefined, where playwright would give them as None
        body = f"return JSON.stringify(await (async () => {{ {script} }})()) ?? null"
        answer = self.tab.evaluate(f"async ([{names}]) => {{ {body} }}", list(values.values()))
        return None if answer is None else json.loads(answer)

    def wait(self, condition: str, timeout: float = 60) -> None:
        """Until an expression is true; one that throws is not, as the page's objects come one by one."""
        asked = f"() => {{ try {{ return !!({condition}) }} catch {{ return false }} }}"
        self.tab.wait_for_function(asked, timeout=timeout * 1000, polling=100)

    def press(self, key: str) -> None:
        """A key, pressed and let go where the focus is."""
        self.tab.keyboard.press(key)

    def screenshot(self, path: Path) -> None:
        self.tab.screenshot(path=path)


@contextlib.contextmanager
def open_browser(executable: str) -> Iterator[sync_api.Browser]:
    """A Chromium with a profile of its own; it is gone after the block."""
    with sync_api.sync_playwright() as playwright, _launched(playwright.chromium, executable) as browser:
        yield browser


@contextlib.contextmanager
def open_browser_beside(browser: sync_api.Browser, executable: str) -> Iterator[sync_api.Browser]:
    """A second Chromium, as on another machine. A thread has one playwright, so it comes from that of ``browser``."""
    with _launched(browser.browser_type, executable) as other:
        yield other


@contextlib.contextmanager
def _launched(kind: sync_api.BrowserType, executable: str) -> Iterator[sync_api.Browser]:
    browser = kind.launch(executable_path=executable, args=list(OPTIONS), timeout=120_000)
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def open_page(browser: sync_api.Browser) -> Iterator[Page]:
    """A tab that shares nothing with the browser's others."""
    context = browser.new_context(viewport=SIZE)
    try:
        yield Page(context.new_page())
    finally:
        context.close()
