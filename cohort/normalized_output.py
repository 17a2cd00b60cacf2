"""What is kept of a chain: all that depends on the chain alone, so that computing it again gives the same bytes.

Left out of provenance.json: when and on which device (the journal says both). The folder that the host saved under
becomes the chain's id, in provenance.json and in scores.csv.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..mvg.metrics.table import Row, read_csv, write_csv

VARYING = ("created", "device")


def normalize(folder: Path, prefix: str, chain: str) -> None:
    """Rewrite what a run left in a folder as that of its chain.

    Args:
        folder: With the files that were fetched.
        prefix: Folder that the host saved them under.
        chain: Id of the chain.

    Raises:
        ValueError: scores.csv or provenance.json is not as this extension writes them.
        OSError: provenance.json names a file that was not saved with it.
    """
    for path in sorted(folder.rglob("scores.csv")):
        rows = [_renamed(row, prefix, chain) for row in read_csv(path)]
        write_csv(rows, path)
    for path in sorted(folder.rglob("provenance.json")):
        record = _replaced(_record(path), prefix, chain)
        for name in VARYING:
            record.pop(name, None)
        beside = {entry.name for entry in path.parent.iterdir() if entry.is_file()}
        for name in record.get("files", {}):
            if name not in beside:
                raise OSError(f"{path.name} names {name!r:.100}, which was not saved with it")
            record["files"][name] = _sha256(path.parent / name)
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        path.write_text(text, encoding="utf-8", newline="")


def mvg_version(folder: Path) -> str | None:
    """The version of MVG that saved what is in a folder; None where other nodes did. ValueError as ``normalize``."""
    for path in sorted(folder.rglob("provenance.json")):
        return _record(path).get("versions", {}).get("mvg")
    return None


def _record(path: Path) -> dict[str, Any]:
    """A provenance.json; ValueError where a server sent something else under its name."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deep") from error
    parts = (record, record.get("files", {}), record.get("versions", {})) if isinstance(record, dict) else (record,)
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{path.name} is no provenance of MVG")
    return record


def _renamed(row: Row, prefix: str, chain: str) -> Row:
    """A row of the chain itself, or of one of the series in it: "ID" or "ID/series"."""
    if not _is_object(row.settings):
        raise ValueError(f"scores.csv: got settings {row.settings!r:.80}, want a JSON object")
    name = _replaced(row.chain, prefix, chain)
    name = name if name.startswith(chain) else f"{chain}/{name}"
    return Row(name, row.stage, row.metric, row.value, row.model, row.settings)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        return False


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: _replaced(part, old, new) for key, part in value.items()}
    return [_replaced(part, old, new) for part in value] if isinstance(value, list) else value


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
