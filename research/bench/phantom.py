"""Progression of phantom patients against their true course: ``run.py bench phantom``.

Each patient starts healthy; for every finding the embedded model simulates N stages with the settings of the bundled
workflow, inside the region that is fitted to the image as a user's is. The true course is the same patient rendered at
the severities of the plan. Beside PIE: a control (the same patients and settings, a plan of "no finding"), both
baselines under the paper's settings, PIE in the region that the finding truly has (an upper bound: no user knows it),
and what the true course itself scores. Severity is read by a network that no node uses.

Intervals: 95 %, bootstrap over patients. A bar that is missed ends the command with exit code 1. Every patient's row is
kept in research/bench/results/runs, so that the command goes on where it was stopped, and findings can be run side by
side. ``--paper`` takes the paper's settings (gamma 0.6), with the guidance that suits the embedded networks.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import ROOT, use_host
from ...mvg import pie
from ...mvg.recaption import offline
from ...mvg.severity import PROBES, SPACINGS, TRIES
from ..phantom.captions import FINDINGS
from . import bars, methods, seeds
from .bars import CONTROL, PIE
from .course import FIGURES, measure
from .evaluation import GUIDANCE, PAPER
from .evaluation_setup import digest_of
from .follow_up import directions_of
from .networks import Networks
from .patients import TARGET, Patients, patients
from .report import write
from .workflow import PROGRESSION, workflow_settings

UPPER = "PIE, true region (upper bound)"
KINDS = (PIE, CONTROL, UPPER, methods.WALK, methods.EXTRAPOLATION)
TRUTH = methods.TRUTH
SHOWN = 2
BATCH = 10
RUNS = ROOT / "research" / "bench" / "results" / "runs" / "phantom"


class Rows:
    """The rows of patients that are done, and pictures of their courses, each a file of a folder."""

    def __init__(self, folder: Path, about: dict):
        """about: all that a row depends on but its finding, kind and seed."""
        self.folder, self.about = folder, json.dumps(about, sort_keys=True)

    def path(self, finding: str, kind: str, seed: int) -> Path:
        text = f"{self.about} {finding} {kind} {seed}"
        return self.folder / f"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}.json"

    def get(self, finding: str, kind: str, seed: int) -> dict | None:
        path = self.path(finding, kind, seed)
        return json.loads(path.read_text()) if path.is_file() else None

    def put(self, row: dict, strip: np.ndarray) -> None:
        """strip [H, W, 3] uint8: the stages side by side."""
        from PIL import Image

        path = self.path(row["finding"], row["kind"], row["seed"])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(strip).save(path.with_suffix(".png"))
        write(path, json.dumps(row))


class Bench:
    """Simulates and measures; settings as those of `workflow_settings`."""

    def __init__(self, domain: str, stages: int, settings: dict, folder: Path):
        self.domain, self.stages, self.settings = domain, stages, settings
        self.networks = Networks.embedded(domain)
        self.directions: dict[str, torch.Tensor] = {}
        networks = digest_of([loader.find_weights(part, domain) for part in (*loader.weight_files(domain), "reader")])
        about = {"domain": domain, "stages": stages, "settings": settings, "networks": networks}
        if settings["plan"] == "severity":
            about["probes"] = [PROBES, TRIES]
        self.rows = Rows(folder, about)

    def run(
        self, finding: str, those: Sequence[int], kinds: Sequence[str], beside: int | None = None
    ) -> Iterator[dict]:
        """A row for every patient and kind, and one for each patient's true course.

        beside: how many of the patients get the kinds that are not PIE; None: all.
        """
        for kind in (TRUTH, *kinds):
            count = len(those) if kind in (TRUTH, PIE) or beside is None else min(beside, len(those))
            for start in range(0, count, BATCH):
                part = those[start : min(start + BATCH, count)]
                if any(self.rows.get(finding, kind, seed) is None for seed in part):
                    self._make(patients(self.domain, finding, part), kind)
                for seed in part:
                    row = self.rows.get(finding, kind, seed)
                    assert row is not None
                    yield row

    def _make(self, group: Patients, kind: str) -> None:
        plans = group.plans(self.stages, self.settings["plan"])
        planned = [[stage.severity for stage in plan.stages] for plan in plans]
        truth = group.course([0.0, *planned[0]])
        if kind == CONTROL:
            plans = group.plans(self.stages, self.settings["plan"], control=True)
            planned = [[0.0] * self.stages for _ in plans]
        states = truth if kind == TRUTH else self._states(group, kind, plans)
        rows = measure(self.networks, states, truth, group.masks, planned, group.finding)
        for b, (seed, row) in enumerate(zip(group.seeds, rows, strict=True)):
            strip = torch.cat(list(states[:, b]), dim=1).clamp(0, 1)
            about = {"seed": seed, "finding": group.finding, "kind": kind}
            self.rows.put(about | row, (strip.numpy() * 255).round().astype(np.uint8))

    def _states(self, group: Patients, kind: str, plans: list) -> torch.Tensor:
        if kind in (PIE, CONTROL, UPPER):
            masks = group.true_masks if kind == UPPER else group.masks
            return methods.pie_states(self.networks, group.images, masks, plans, self.settings)
        settings = PAPER | {"guidance": GUIDANCE}
        if kind == methods.WALK:
            return methods.walk_states(self.networks, group.images, group.masks, plans, settings)
        if not self.directions:
            self.directions = directions_of(self.networks, self.domain)
        direction = self.directions[group.finding]
        return methods.extrapolation_states(self.networks, group.images, group.masks, direction, self.stages, settings)

    def strip(self, row: dict) -> np.ndarray:
        from PIL import Image

        path = self.rows.path(row["finding"], row["kind"], row["seed"]).with_suffix(".png")
        return np.asarray(Image.open(path))


def summary(rows: Sequence[dict]) -> dict[str, tuple[float, float, float]]:
    """Figure -> mean, low and high over patients; what no patient has is left out."""
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in FIGURES}
    return {name: bars.interval(values) for name, values in columns.items() if values}


def markdown(rows: Sequence[dict], about: str) -> str:
    """A table of FIGURES by finding and kind."""
    out = ["# Phantom courses", "", about, ""]
    out += [f"- {name}: {words}" for name, words in FIGURES.items()]
    out += ["", f"| finding | | n | {' | '.join(FIGURES)} |", "|" + "---|" * (len(FIGURES) + 3)]
    for finding in dict.fromkeys(row["finding"] for row in rows):
        for kind in dict.fromkeys(row["kind"] for row in rows if row["finding"] == finding):
            part = [row for row in rows if (row["finding"], row["kind"]) == (finding, kind)]
            found = summary(part)
            cells = ["{:.3f} ({:.3f} to {:.3f})".format(*found[n]) if n in found else "" for n in FIGURES]
            out.append(f"| {finding} | {kind} | {len(part)} | {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def save_pictures(bench: Bench, rows: Sequence[dict], path: Path) -> None:
    """One PNG: the first patients of each finding, PIE above the true course."""
    from PIL import Image

    strips = []
    for finding in dict.fromkeys(row["finding"] for row in rows):
        for seed in list(dict.fromkeys(row["seed"] for row in rows if row["finding"] == finding))[:SHOWN]:
            pair = {row["kind"]: row for row in rows if (row["finding"], row["seed"]) == (finding, seed)}
            strips += [bench.strip(pair[kind]) for kind in (PIE, TRUTH) if kind in pair]
    Image.fromarray(np.concatenate(strips)).save(path)


def settings_of(options: argparse.Namespace) -> dict:
    """Those of the bundled workflow, or the paper's, with what the options change."""
    settings = workflow_settings(options.domain)
    if options.paper:
        settings |= {name: PAPER[name] for name in (*PROGRESSION, "plan")} | {"guidance": GUIDANCE}
    return settings | {k: v for k, v in vars(options).items() if k in settings and v is not None}


def parsed() -> tuple[argparse.Namespace, range]:
    parser = argparse.ArgumentParser(prog="run.py bench phantom", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    seeds.add_options(parser, 20)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--out", type=Path, help="JSON with every row; the table and pictures go beside it")
    parser.add_argument("--findings", nargs="+", help="default: all of the domain")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--beside", type=int, help="patients that get the kinds other than PIE (default: all)")
    parser.add_argument("--paper", action="store_true", help="the paper's settings in place of the bundled workflow's")
    for name in ("gamma", "guidance", "beta_1", "beta_2"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help="in place of that value")
    for name in ("steps", "refine", "seed"):
        parser.add_argument(f"--{name}", type=int, help="in place of that value")
    parser.add_argument("--mode", choices=pie.MODES)
    parser.add_argument("--plan", choices=offline.MODES, help="mode of the plan")
    parser.add_argument("--spacing", choices=SPACINGS, help="where stages lie in a plan of mode severity")
    options = parser.parse_args()
    for name in ("stages", "beside"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name}: got {getattr(options, name)}, want an integer >= 1")
    options.findings = options.findings or list(FINDINGS[options.domain])
    for finding in options.findings:
        if finding not in FINDINGS[options.domain]:
            parser.error(f"--findings: got {finding!r}, want some of {', '.join(FINDINGS[options.domain])}")
    return options, seeds.claimed(parser, options, "phantom", options.domain)


def main() -> None:
    options, those = parsed()
    use_host()
    settings = settings_of(options)
    began = time.time()
    bench = Bench(options.domain, options.stages, settings, RUNS)
    rows: list[dict] = []
    for finding in options.findings:
        rows += bench.run(finding, those, options.kinds, options.beside)
        print(f"{finding}: {time.time() - began:.0f} s", flush=True)
    about = f"{options.domain}, seeds {those[0]} to {those[-1]} ({'tuning' if options.tuning else 'report'}), "
    about += f"N = {options.stages}, target {TARGET:g}, {json.dumps(settings)}"
    verdicts = bars.judge(bars.COURSE, rows)
    text = markdown(rows, about) + "\n" + bars.markdown(verdicts)
    print(text)
    if options.out:
        head = json.dumps({"about": about, "bars": [v.cells() for v in verdicts]})
        lines = ",\n".join(json.dumps(row) for row in rows)  # a line a patient
        write(options.out, f'{head[:-1]}, "rows": [\n{lines}\n]}}\n')
        write(options.out.with_suffix(".md"), text)
        save_pictures(bench, rows, options.out.with_suffix(".png"))
        print(f"written: {options.out}, .md and .png")
    raise SystemExit(bars.exit_code(verdicts))


if __name__ == "__main__":
    main()
