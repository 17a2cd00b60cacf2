"""Plans of language models kept on disk, so that the same question is asked once."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from ..plan import Plan, PlanError
from .endpoints import Endpoint
from .question import Question


def answer_file(folder: str | Path, report: str, endpoint: Endpoint, question: Question) -> Path:
    """The file of an answer.

    Args:
        folder: made where it is missing, so that an OSError comes before the call is paid for.
        report: as it is sent.
        endpoint: whom it is sent to; its address and model count.
        question: what is asked.

    Returns:
        The path, named by a hash of all that.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"report": report, "url": endpoint.url, "model": endpoint.model, **question.data()}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return folder / f"{digest}.json"


def read_kept(path: Path) -> Plan | None:
    """Reads a kept plan.

    Args:
        path: its file.

    Returns:
        The plan; None for a missing or a damaged file, which is asked for anew and replaced.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, PlanError):
        return None


def keep(path: Path, plan: Plan) -> None:
    """Writes a plan, so that a reader never meets half a file.

    Args:
        path: the file, in a folder that is there.
        plan: what goes into it.

    Raises:
        OSError: it cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem[:16], suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(plan.to_json())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
