"""The browser that the page is tested in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .process import clean_environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLAYWRIGHT = {"win32": "AppData/Local/ms-playwright", "darwin": "Library/Caches/ms-playwright"}  # inside the home
PLAYWRIGHT_FILES = (
    *("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-win*/chrome.exe"),
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    *("chromium_headless_shell-*/*/headless_shell*", "chromium_headless_shell-*/*/chrome-headless-shell*"),
)
APT_SECONDS = {"update": 120, "install": 600}
APT_OPTIONS = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")


def find_browser() -> str | None:
    """A Chromium of the search path, else one that playwright has installed."""
    on_path = (path for name in BROWSERS if (path := shutil.which(name)))
    return next(on_path, None) or playwright_browser()


def playwright_browser() -> str | None:
    """The newest whole Chromium of playwright's folder, else its headless one."""
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    if folder in ("", "0"):  # 0: inside the package, which this environment has not
        folder = str(Path.home() / PLAYWRIGHT.get(sys.platform, ".cache/ms-playwright"))
    for pattern in PLAYWRIGHT_FILES:
        found = [file for file in Path(folder).glob(pattern) if file.is_file() and os.access(file, os.X_OK)]
        if found:
            return str(max(found, key=lambda file: (revision(file.relative_to(folder).parts[0]), str(file))))
    return None


def revision(name: str) -> int:
    """Of ``chromium-1187``, 1187."""
    number = name.rsplit("-", 1)[-1]
    return int(number) if number.isdigit() else 0


def provide_browser() -> str | None:
    """Sees to a browser -> why there is none, None where there is one.

    Debian's is installed where that needs no one's leave: as root, on a machine of Debian's kind that has none.
    """
    if find_browser():
        return None
    if not shutil.which("apt-get"):
        return "no Chromium was found on the search path or in playwright's folder; install one"
    if os.geteuid() != 0:
        return "no Chromium was found, and only root may install one: sudo apt-get install chromium"
    print("--- no browser: apt-get install chromium", flush=True)
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "chromium"]):
        if problem := apt_get(arguments):
            return f"no Chromium was found, and apt-get {arguments[0]} {problem}"
    return None if find_browser() else "Debian's package chromium brought no browser"


def apt_get(arguments: list[str]) -> str | None:
    """Runs it -> how it failed, None where it did not."""
    environment = clean_environment() | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            ["apt-get", *APT_OPTIONS, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=APT_SECONDS[arguments[0]],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "took too long"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return f"failed: {lines[-1]}" if lines else f"failed with status {done.returncode}"
