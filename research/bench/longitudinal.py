"""Simulated against real later images (section 5.5): ``run.py bench longitudinal [SERIES.csv --root DIR]``.

Every patient starts from the first image; PIE and both baselines simulate what the later report says, with the settings
of the bundled workflow; the last stage is compared with the later image, beside the first image itself
("persistence"). Without SERIES.csv the patients are phantoms, whose true future is known.

SERIES.csv: a row a patient with patient_id, days and files (both separated by spaces, in order; paths below DIR) and
course, the report where a file has none of its own. Reports of single files: DIR/manifest.csv with file and
report_text, where there is one. The later image is first registered to the first one (rigid) and brought to its
brightness and contrast (mean and deviation outside the region); OUT/registration.png shows both.
"""

import argparse
import csv
import io
import time
from pathlib import Path

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import ROOT, use_host
from ...mvg.metrics.plot import contact_sheet
from ...mvg.spreadsheet import escape_formula
from . import bars, methods, seeds
from .figures import same_width, save_image
from .follow_up import PERSISTENCE, ROWS, Visit, directions_of, score, simulate
from .networks import Networks
from .patients import TARGET, patients, scored_findings
from .report import write
from .series import real_visits
from .workflow import workflow_settings


def as_csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return f"{value:.5f}" if isinstance(value, float) else escape_formula(value) if isinstance(value, str) else value


def summary(rows: list[dict], group: str) -> list[dict]:
    """Per group and method the means, and the MAE in the region over that of persistence."""
    out = []
    for name in dict.fromkeys(row[group] for row in rows):
        base = np.mean([r["mae_roi"] for r in rows if r[group] == name and r["method"] == PERSISTENCE])
        for method in ROWS:
            part = [r for r in rows if r[group] == name and r["method"] == method]
            means = {k: float(np.mean([r[k] for r in part])) for k, v in part[0].items() if isinstance(v, float)}
            out.append({group: name, "method": method, "n": len(part), "ratio": means["mae_roi"] / base, **means})
    return out


def as_markdown(title: str, about: str, lines: list[dict], group: str) -> str:
    head = [group, "method", "n", "MAE in ROI", "over persistence", "MAE", "SSIM in ROI", "SSIM", "Conf", "Conf later"]
    out = [f"# {title}", "", about, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    keys = (("mae_roi", 4), ("ratio", 3), ("mae", 4), ("ssim_roi", 3), ("ssim", 3), ("conf", 3), ("conf_later", 3))
    for line in lines:
        cells = [str(line[group]), line["method"], str(line["n"]), *(f"{line[k]:.{digits}f}" for k, digits in keys)]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def phantom_visits(domain: str, finding: str, those: range, stages: int, settings: dict, control: bool) -> list[Visit]:
    """The patients at the severity that the plan ends with; for a control the plan says that there is no finding."""
    group = patients(domain, finding, those)
    later = group.at(TARGET)
    plans = group.plans(stages, settings["plan"], control)
    everywhere = torch.ones_like(group.masks[0])
    return [
        Visit(name, "", first, last, region, everywhere, plan)
        for name, first, last, region, plan in zip(group.names, group.images, later, group.masks, plans, strict=True)
    ]


def ratios(rows: list[dict]) -> list[dict]:
    """Of every patient PIE's MAE in the region over that of persistence, as `bars.judge` takes it."""
    base = {(r["group"], r["patient"]): r["mae_roi"] for r in rows if r["method"] == PERSISTENCE}
    return [
        {"kind": r["kind"], "finding": r["finding"], "mae_ratio_last": r["mae_roi"] / base[r["group"], r["patient"]]}
        for r in rows
        if r["method"] == methods.PIE
    ]


def run_phantoms(options, people: dict[str, range]) -> int:
    """Writes longitudinal_phantom.{csv,md,png}; the exit code, 1 where a bar is missed."""
    rows, sheets = [], []
    for domain, those in people.items():
        networks, settings = Networks.embedded(domain), workflow_settings(domain)
        directions = directions_of(networks, domain)
        for finding in scored_findings(domain):
            for kind in (bars.PIE, bars.CONTROL):
                visits = phantom_visits(domain, finding, those, options.stages, settings, kind == bars.CONTROL)
                ends = simulate(networks, visits, settings, directions)
                group = f"{domain}, {finding}, {'course' if kind == bars.PIE else kind}"
                for row in score(networks, visits, ends):
                    rows.append({"domain": domain, **row, "finding": finding, "group": group, "kind": kind})
                if kind == bars.PIE:
                    sheets += [sheet(visits[0], {m: e[0] for m, e in ends.items()}, f"true, {finding}")]
    lines = summary(rows, "group")
    verdicts = bars.judge(bars.LONGITUDINAL, ratios(rows))
    first = next(iter(people.values()))[0]
    about = (
        f"`run.py bench longitudinal --patients {options.patients} --first-seed {first}`: phantoms from "
        f"healthy to severe ({TARGET:g}), N = {options.stages}, the settings of the domain's bundled "
        "workflow, regions fitted to the image; control: a plan of no finding against the same true future."
    )
    text = as_markdown("Longitudinal comparison, phantoms", about, lines, "group") + "\n" + bars.markdown(verdicts)
    finish(options.out, "longitudinal_phantom", rows, text, sheets)
    return bars.exit_code(verdicts)


def sheet(visit: Visit, ends: dict[str, torch.Tensor], words: str) -> torch.Tensor:
    labels = [words[:26], *ends]
    return contact_sheet(torch.stack([visit.later, *ends.values()]), labels=labels, cell=192)


def finish(out: Path, name: str, rows: list[dict], text: str, sheets: list[torch.Tensor]) -> None:
    write(out / f"{name}.csv", as_csv(rows))
    write(out / f"{name}.md", text)
    save_image(same_width(sheets), out / f"{name}.png")
    print(text)


def run_series(options) -> None:
    """Writes longitudinal_real.{csv,md,png} and registration.png."""
    settings = workflow_settings(options.domain)
    networks = Networks.embedded(options.domain)
    size = 128
    visits, shown = real_visits(options, size, settings["plan"])
    ends = simulate(networks, visits, settings, directions_of(networks, options.domain))
    rows = score(networks, visits, ends)
    for row in rows:
        row["group"] = "all"
    sheets = [
        sheet(visit, {m: e[i] for m, e in ends.items()}, f"{visit.patient}, day {visit.day}")
        for i, visit in enumerate(visits)
        if i == 0 or visits[i - 1].patient != visit.patient
    ]
    fallback = f" --finding {options.finding}" if options.finding else ""
    about = (
        f"`run.py bench longitudinal {options.series.name}{fallback}`: {len(visits)} later images of "
        f"{len({v.patient for v in visits})} patients, N = {options.stages}, the embedded {options.domain} networks, "
        "which have seen phantoms alone."
    )
    options.out.mkdir(parents=True, exist_ok=True)
    save_image(same_width(shown), options.out / "registration.png")
    lines = summary(rows, "group")
    if len({row["finding"] for row in rows}) > 1:
        lines += summary(rows, "finding")
    for line in lines:
        line["group"] = line.get("group", line.get("finding"))
    text = as_markdown("Longitudinal comparison, real series", about, lines, "group")
    finish(options.out, "longitudinal_real", rows, text, sheets)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench longitudinal", description=__doc__)
    parser.add_argument("series", nargs="?", type=Path, metavar="SERIES.csv")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the files of SERIES.csv lie in")
    parser.add_argument("--domain", choices=["chest_xray"], default="chest_xray", help="of SERIES.csv")
    parser.add_argument("--finding", help="for series whose reports name none (default: they are left unchanged)")
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS), help="of the phantoms")
    seeds.add_options(parser, 10, "phantoms a finding (default: 10)")
    parser.add_argument("--stages", type=int, default=6, help="N (default: 6)")
    parser.add_argument("--out", type=Path, default=ROOT / "research" / "bench" / "results")
    options = parser.parse_args()
    if options.stages < 1:
        parser.error(f"--stages: got {options.stages}, want an integer >= 1")
    people = {} if options.series else {d: seeds.claimed(parser, options, "longitudinal", d) for d in options.domains}
    use_host()
    began = time.time()
    try:
        if options.series:
            run_series(options)
        else:
            raise SystemExit(run_phantoms(options, people))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    finally:
        print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
