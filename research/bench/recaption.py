"""How well the offline engine finds findings in real reports: ``run.py bench recaption``.

Tables of precision, recall and F1 a finding: the Open-i reports against their own MeSH terms ("major", put on by
people), then these reports and the clinical notes of the COVID image collection against labels read by hand, once for
what is present or possible and once for what is denied. Below each table are the reports on which the two disagree.

The labels are in recaption_labels.json; no report text is kept here. Denied is what the report says is not there, also
where it only says that it is not large, and what it calls normal or clear: the heart's size denies cardiomegaly, the
vascularity edema, a lung consolidation. What a report names and denies is present. A word that was garbled on the way,
"Two airspace consolidation" for "No", is labelled as a person reads it.
"""

import argparse
import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from ...mvg.recaption import offline

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LABELS = Path(__file__).with_name("recaption_labels.json")
Counts = tuple[int, int, int]
Pair = tuple[set[str], set[str]]

# How the MeSH terms that stand for our findings begin.
MESH = {
    "cardiomegaly": ("cardiomegaly", "cardiac shadow/enlarged"),
    "edema": ("pulmonary edema", "pulmonary congestion"),
    "pleural effusion": (
        "pleural effusion",
        "costophrenic angle/blunted",
        "costophrenic angle/left/blunted",
        "costophrenic angle/right/blunted",
        "hydropneumothorax",
    ),
    "consolidation": ("consolidation", "airspace disease", "pneumonia", "infiltrate", "opacity/lung"),
    "atelectasis": ("pulmonary atelectasis",),
    "pneumothorax": ("pneumothorax",),
}
FINDINGS = tuple(MESH)


def openi_reports(data: Path) -> dict[str, tuple[str, set[str]]]:
    """name -> (text with its section headers, findings by MeSH major terms) of the Open-i reports."""
    out = {}
    for path in sorted((data / "reports" / "openi_xml").glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        text = "\n".join(f"{a.get('Label')}: {a.text.strip()}" for a in root.iter("AbstractText") if a.text)
        terms = [(term.text or "").strip().lower() for term in root.iterfind(".//MeSH/major")]
        out[path.stem] = text, {f for f, starts in MESH.items() if any(t.startswith(starts) for t in terms)}
    return out


def clinical_notes(data: Path) -> dict[str, str]:
    """name of the image -> clinical note, of the chest X-rays of the manifest that have one."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["domain"] == "cxr" and r["report_text"].strip()]
    return {Path(r["file"]).stem: r["report_text"] for r in rows}


def found(report: str) -> dict[str, set[str]]:
    """The findings that the engine takes as "present" (possible ones too) and as "denied"."""
    observed = offline.read_report(report, "chest_xray")
    denied = {name for name, o in observed.items() if o.status == "absent"}
    return {"present": (set(observed) - denied) & set(FINDINGS), "denied": denied & set(FINDINGS)}


def score(pairs: Iterable[Pair]) -> dict[str, Counts]:
    """finding -> (true positives, false positives, false negatives) of (found, wanted) pairs, and of "all"."""
    pairs = list(pairs)
    out = {
        name: (
            sum(name in found and name in wanted for found, wanted in pairs),
            sum(name in found - wanted for found, wanted in pairs),
            sum(name in wanted - found for found, wanted in pairs),
        )
        for name in FINDINGS
    }
    both, extra, missed = (sum(counts[i] for counts in out.values()) for i in range(3))
    return {**out, "all": (both, extra, missed)}


def quality(counts: Counts) -> tuple[float, float, float]:
    """Precision, recall and F1; NaN where nothing was found or nothing was to be found."""
    both, extra, missed = counts
    nan = float("nan")
    return (
        both / (both + extra) if both + extra else nan,
        both / (both + missed) if both + missed else nan,
        2 * both / (2 * both + extra + missed) if both + extra + missed else nan,
    )


def evaluate(data: Path) -> dict[str, dict[str, Pair]]:
    """table -> report name -> (found, wanted), of the reports that are in the folder."""
    labels: dict[str, dict[str, dict[str, list[str]]]] = json.loads(LABELS.read_text(encoding="utf-8"))
    by_hand = {name: label for group in labels.values() for name, label in group.items()}
    openi = openi_reports(data)
    texts = {"Open-i": {name: text for name, (text, _) in openi.items()}, "clinical notes": clinical_notes(data)}
    read = {source: {name: found(text) for name, text in group.items()} for source, group in texts.items()}
    mesh = {name: (read["Open-i"][name]["present"], terms) for name, (_, terms) in openi.items()}
    return {"Open-i, MeSH terms": mesh} | {
        f"{source}, by hand, {status}": {
            name: (sets[status], set(by_hand[name][status])) for name, sets in group.items() if name in by_hand
        }
        for source, group in read.items()
        for status in ("present", "denied")
    }


def show(table: str, reports: dict[str, Pair]) -> None:
    if not reports:
        print(f"\n{table}: left out, there are none in the data folder")
        return
    print(f"\n{table}: {len(reports)} reports")
    print(f"{'finding':<18}{'n':>4}{'tp':>4}{'fp':>4}{'fn':>4}  precision  recall    F1")
    for name, counts in score(reports.values()).items():
        both, extra, missed = counts
        figures = ["-" if value != value else f"{value:.2f}" for value in quality(counts)]
        print(
            f"{name:<18}{both + missed:>4}{both:>4}{extra:>4}{missed:>4}{figures[0]:>11}{figures[1]:>8}{figures[2]:>6}"
        )
    for name, (found, wanted) in reports.items():
        differences = [f"extra {f}" for f in sorted(found - wanted)] + [f"missed {f}" for f in sorted(wanted - found)]
        if differences:
            print(f"  {name}: {', '.join(differences)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench recaption", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with reports/openi_xml and manifest.csv")
    options = parser.parse_args()
    for table, reports in evaluate(options.data).items():
        show(table, reports)


if __name__ == "__main__":
    main()
