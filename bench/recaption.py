"""How well the offline engine finds findings in real reports: precision and recall a finding.

python -m mvgen.bench.recaption [--data DIR] [--errors]

Three tables: Open-i reports against their own MeSH tags, the same reports against labels read by hand, and the
clinical notes of the COVID image collection against labels read by hand (bench/recaption_labels.json; no report text
is kept here). A finding counts where the report names it as present or possible. No machine tags: MeSH "major" only.
"""

import argparse
import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..mvg.recaption import offline

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
LABELS = Path(__file__).with_name("recaption_labels.json")
FINDINGS = ("cardiomegaly", "edema", "pleural effusion", "consolidation", "atelectasis", "pneumothorax")
MESH = (
    ("cardiomegaly", "cardiomegaly"),
    ("cardiac shadow/enlarged", "cardiomegaly"),
    ("pulmonary edema", "edema"),
    ("pulmonary congestion", "edema"),
    ("pleural effusion", "pleural effusion"),
    ("costophrenic angle/blunted", "pleural effusion"),
    ("costophrenic angle/left/blunted", "pleural effusion"),
    ("costophrenic angle/right/blunted", "pleural effusion"),
    ("consolidation", "consolidation"),
    ("airspace disease", "consolidation"),
    ("pneumonia", "consolidation"),
    ("infiltrate", "consolidation"),
    ("opacity/lung", "consolidation"),
    ("pulmonary atelectasis", "atelectasis"),
    ("pneumothorax", "pneumothorax"),
    ("hydropneumothorax", "pneumothorax"),
)


def openi_reports(data: Path) -> dict[str, tuple[str, set[str]]]:
    """name -> (text with its section headers, findings by MeSH major tags) of the Open-i reports."""
    out = {}
    for path in sorted((data / "reports" / "openi_xml").glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        text = "\n".join(f"{a.get('Label')}: {a.text.strip()}" for a in root.iter("AbstractText") if a.text)
        tags = [(tag.text or "").lower() for tag in root.iterfind(".//MeSH/major")]
        out[path.stem] = text, {finding for prefix, finding in MESH if any(t.startswith(prefix) for t in tags)}
    return out


def clinical_notes(data: Path) -> dict[str, str]:
    """name of the image -> clinical note, of the chest X-rays of the manifest that have one."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["domain"] == "cxr" and r["report_text"].strip()]
    return {Path(r["file"]).stem: r["report_text"] for r in rows}


def positives(report: str) -> set[str]:
    return {o.finding for o in offline.read_report(report, "chest_xray").values() if o.status != "absent"}


def score(pairs: Iterable[tuple[set[str], set[str]]]) -> dict[str, tuple[int, int, int]]:
    """finding -> (true positives, false positives, false negatives) of (found, wanted) pairs, and of "all"."""
    pairs = list(pairs)
    out = {}
    for name in FINDINGS:
        both = sum(name in found and name in wanted for found, wanted in pairs)
        out[name] = (
            both,
            sum(name in found for found, _ in pairs) - both,
            sum(name in wanted for _, wanted in pairs) - both,
        )
    out["all"] = tuple(sum(v[i] for v in out.values()) for i in range(3))  # type: ignore[assignment]
    return out


def precision_recall(counts: tuple[int, int, int]) -> tuple[float, float]:
    both, extra, missed = counts
    return (both / (both + extra) if both + extra else 1.0), (both / (both + missed) if both + missed else 1.0)


def evaluate(data: Path) -> dict[str, dict[str, tuple[set[str], set[str]]]]:
    """table -> report name -> (found, wanted)."""
    labels: Mapping[str, Mapping[str, list[str]]] = json.loads(LABELS.read_text(encoding="utf-8"))
    openi = openi_reports(data)
    found = {name: positives(text) for name, (text, _) in openi.items()}
    notes = {n: positives(t) for n, t in clinical_notes(data).items() if n in labels["clinical_notes"]}
    return {
        "Open-i, MeSH tags": {n: (found[n], tags) for n, (_, tags) in openi.items()},
        "Open-i, by hand": {n: (found[n], set(labels["openi_xml"][n])) for n in openi if n in labels["openi_xml"]},
        "clinical notes, by hand": {n: (f, set(labels["clinical_notes"][n])) for n, f in notes.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=DATA, help="folder with reports/openi_xml and manifest.csv")
    parser.add_argument("--errors", action="store_true", help="name the reports that are read wrongly")
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f"--data: no folder {args.data}")
    for table, reports in evaluate(args.data).items():
        print(
            f"\n{table}: {len(reports)} reports\n{'finding':<18}{'n':>4}{'tp':>4}{'fp':>4}{'fn':>4}  precision  recall"
        )
        for name, counts in score(reports.values()).items():
            precision, recall = precision_recall(counts)
            both, extra, missed = counts
            print(f"{name:<18}{both + missed:>4}{both:>4}{extra:>4}{missed:>4}{precision:>11.2f}{recall:>8.2f}")
        if args.errors:
            for name, (found, wanted) in reports.items():
                if found != wanted:
                    print(f"  {name}: extra {sorted(found - wanted)}, missed {sorted(wanted - found)}")


if __name__ == "__main__":
    main()
