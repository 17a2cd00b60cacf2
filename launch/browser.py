"""The browser that the page is tested in."""

import os
import shutil
import subprocess

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def provide_browser() -> None:
    """Installs Chromium where nobody else would: on a CI machine of Debian's kind that has none.

    Only there, since it changes the system; a person is told the command instead, by the tests that then skip.
    """
    if find_browser() or not os.environ.get("CI") or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    print("--- CI without a browser: apt-get install chromium", flush=True)
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "chromium"]):
        done = subprocess.run(["apt-get", *arguments], stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"apt-get {arguments[0]} failed; the browser tests skip", flush=True)
            return
