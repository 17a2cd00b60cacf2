"""The same cohort on Ray, an actor killed on the way."""

import os
import signal
from pathlib import Path

from mvgen import cohort
from mvgen.tests.host.cloning import Clone
from mvgen.tests.host.test_batch import POSIX, arguments, clone, files, quiet, same, wait_until  # noqa: F401 -- fixtures


def actors() -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes().startswith(b"ray::HostActor"):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


@POSIX
def test_an_actor_that_is_killed_costs_its_chain_only(clone: Clone, files: Path, quiet: Path):  # noqa: F811
    out = clone.folder.parent / "ray"
    driver = clone.start(*arguments(files, out), "--engine", "ray", "--workers", "1")
    log = out / "logs" / "all" / "ray-1.log"
    wait_until(
        lambda: driver.poll() is not None or (log.is_file() and "got prompt" in log.read_text(errors="replace")),
        seconds=300,
    )
    assert driver.poll() is None, driver.communicate()
    for actor in actors():
        os.kill(actor, signal.SIGKILL)
    told, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0, told + errors
    assert told.count("again, as its actor ended") == 1
    assert same(quiet / "chains", out / "chains") and len(cohort.Store(out).done()) == 2
    clone.check_nothing_left()
