"""Simulated against real later images (section 5.5): ``run.py bench longitudinal [SERIES.csv --root DIR]``.

Every patient starts from the first image; PIE and both baselines simulate what the later report or label says, with the
settings of the bundled workflow; the last stage is compared with the later image, beside the first image itself
("persistence"). Without SERIES.csv or --data the patients are phantoms, whose true future is known.

SERIES.csv: a row a patient with patient_id, days and files (both separated by spaces, in order; paths below DIR) and
course, the report where a file has none of its own. Reports of single files: DIR/manifest.csv with file and
report_text, where there is one. --data CSV adds the val patients of a data set with more than one film, and by meaning
what the judges of `run.py bench judges` read where the later film has a finding that the first one has not. The later
image is first registered to the first one (rigid) and brought to its brightness and contrast (mean and deviation
outside the region); OUT/longitudinal_real.png shows both.
"""

import argparse
import time
from pathlib import Path

import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import ROOT, use_host
from ...mvg.metrics.plot import contact_sheet
from . import bars, methods, seeds
from .follow_up import PERSISTENCE, Visit, directions_of, score, simulate
from .longitudinal_table import as_markdown, finish, summary
from .networks import Networks
from .patients import TARGET, patients, scored_findings
from .real_images import later_report
from .workflow import workflow_settings


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench longitudinal", description=__doc__)
    parser.add_argument("series", nargs="?", type=Path, metavar="SERIES.csv")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the files of SERIES.csv lie in")
    parser.add_argument("--domain", choices=["chest_xray"], default="chest_xray", help="of SERIES.csv")
    parser.add_argument("--finding", help="for series whose reports name none (default: they are left unchanged)")
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS), help="of the phantoms")
    seeds.add_options(parser, 10, "phantoms a finding (default: 10)")
    later_report.add_options(parser)
    parser.add_argument("--stages", type=int, default=6, help="N (default: 6)")
    parser.add_argument("--out", type=Path, default=ROOT / "research" / "bench" / "results")
    options = parser.parse_args()
    if options.stages < 1:
        parser.error(f"--stages: got {options.stages}, want an integer >= 1")
    real = options.series is not None or options.data is not None
    people = {} if real else {d: seeds.claimed(parser, options, "longitudinal", d) for d in options.domains}
    use_host()
    began = time.time()
    try:
        raise SystemExit(later_report.run(options) if real else run_phantoms(options, people))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    finally:
        print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
