"""Films to compare: of the results of run.py batch, and clips of other systems that a CSV file names."""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..mvg.spreadsheet import unescape_formula
from .manifest import StudyError

VIDEO = "video.mp4"
SAVE = "MVG_SaveTrajectory"
CHAINS = ("patient_id", "seed", "chain", "status")
NEEDED = ("method", "domain", "patient", "file")
OPTIONAL = ("finding", "real", "labelled")
YES, NO = ("yes", "true", "1"), ("no", "false", "0", "")


@dataclass(frozen=True)
class Clip:
    """A film as it was found.

    Attributes:
        real: Whether it shows a real course.
        labelled: Whether the word SYNTHETIC is drawn into its corner.
    """

    method: str
    domain: str
    patient: str
    file: Path
    finding: str = ""
    real: bool = False
    labelled: bool = False


def find(source: str, seed: int | None = None) -> list[Clip]:
    """The films that one word of ``study new --from`` means.

    Args:
        source: "FOLDER" of batch results, "METHOD=FOLDER", "METHOD=FOLDER:NODE" where several nodes saved a film, or a
            CSV file of clips.
        seed: Of the results, which of the seeds; None where there is one a patient.

    Returns:
        The films, in the order of the source.

    Raises:
        StudyError: The source cannot be read, or says something of a film that cannot be.
    """
    name, equals, rest = source.partition("=")
    method, place = (name.strip(), rest) if equals and not Path(source).exists() else ("", source)
    before, colon, after = place.rpartition(":")
    path, node = (Path(before), after) if colon and not Path(place).exists() else (Path(place), "")
    if path.is_dir():
        return _of_results(path.resolve(), method or path.resolve().name, node, seed)
    if not path.is_file():
        raise StudyError(f"--from: there is no {path}: give a results folder of run.py batch, or a CSV file of clips")
    return _of_table(path)


def _of_results(folder: Path, method: str, node: str, seed: int | None) -> list[Clip]:
    rows = _rows(folder / "chains.csv", CHAINS, f"{folder} is no result of run.py batch")
    done = [row for row in rows if row["status"] == "done" and (seed is None or row["seed"] == str(seed))]
    if not done:
        raise StudyError(f"{folder}: no chain is done{'' if seed is None else f' with seed {seed}'}")
    seeds = defaultdict(list)
    for row in done:
        seeds[row["patient_id"]].append(row["seed"])
    if several := next((patient for patient, found in seeds.items() if len(found) > 1), None):
        raise StudyError(
            f"{folder}: patient {several} has the seeds {', '.join(seeds[several])}: choose one with --seed"
        )
    return [_of_chain(folder, row, method, node) for row in done]


def _of_chain(folder: Path, row: dict[str, str], method: str, node: str) -> Clip:
    chain = (folder / "chains" / row["chain"]).resolve()
    if chain.parent != folder / "chains":
        raise StudyError(f"{folder}: chains.csv names the chain {row['chain']!r:.80}, which is not in chains")
    videos = [video for video in sorted(chain.rglob(VIDEO)) if node in ("", video.parent.name)]
    if not videos:
        place = f"chains/{row['chain']}{node and '/'}{node}"
        raise StudyError(f"{folder}: patient {row['patient_id']} has no {VIDEO} in {place}")
    if len(videos) > 1:
        names = [video.parent.name for video in videos]
        raise StudyError(
            f"{folder}: the nodes {', '.join(names)} saved a film each: give every one a name, as --from "
            f"PIE={folder.name}:{names[0]} OTHER={folder.name}:{names[1]}"
        )
    record = _provenance(videos[0].parent)
    plan = record.get("plan") or {}
    saves = [entry for entry in record.get("parameters", {}).values() if entry.get("class_type") == SAVE]
    return Clip(
        method=method,
        domain=str(plan.get("domain", "")),
        patient=row["patient_id"],
        file=videos[0],
        finding=str(plan.get("finding", "")),
        labelled=any(entry.get("label", True) for entry in saves),
    )


def _provenance(folder: Path) -> dict[str, Any]:
    """{} where nothing of ours saved the film."""
    path = folder / "provenance.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error})") from error
    return record if isinstance(record, dict) else {}


def _of_table(path: Path) -> list[Clip]:
    clips = []
    for n, row in enumerate(_rows(path, NEEDED, f"{path} is no list of clips", (*NEEDED, *OPTIONAL)), start=2):
        where = f"{path}, line {n}"
        if empty := [name for name in NEEDED if not row[name]]:
            raise StudyError(f"{where}: {empty[0]} is empty")
        file = path.parent / row["file"]
        if not file.is_file():
            raise StudyError(f"{where}: there is no file {row['file']}, want a clip, as a path from the list's folder")
        flags = {name: _flag(row.get(name, ""), f"{where}, {name}") for name in ("real", "labelled")}
        clips.append(Clip(row["method"], row["domain"], row["patient"], file, row.get("finding", ""), **flags))
    if not clips:
        raise StudyError(f"{path} names no clips")
    return clips


def _flag(text: str, where: str) -> bool:
    if text.lower() not in (*YES, *NO):
        raise StudyError(f"{where}: got {text!r:.40}, want yes or no")
    return text.lower() in YES


def _rows(path: Path, needed: tuple[str, ...], otherwise: str, known: tuple[str, ...] = ()) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            columns = reader.fieldnames or []
            if missing := [name for name in needed if name not in columns]:
                raise StudyError(f"{otherwise}: {path.name} has no column {missing[0]}, want {', '.join(needed)}")
            if strange := [name for name in columns if known and name not in known]:
                raise StudyError(f"{path}: got the column {strange[0]!r:.40}, want {', '.join(known)}")
            rows = list(reader)
    except FileNotFoundError:
        raise StudyError(f"{otherwise}: it holds no {path.name}") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise StudyError(f"{path} cannot be read ({error})") from error
    if any(None in row for row in rows):
        raise StudyError(f"{path}: a line has more cells than the head, want {', '.join(columns)}")
    return [{name: unescape_formula(cell.strip()) for name, cell in row.items()} for row in rows]
