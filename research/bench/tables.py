"""Tables 2, 4, 5, 6 and 7 and figures 2, 4, 6 and 7 of the paper: ``run.py bench tables``.

On phantoms of all three domains with the embedded networks, or, with ``--checkpoint``, ``--classifier``,
``--clip-vision`` and ``--images``, on a user's own. Each patient starts healthy and is simulated towards one finding
(the patients take turns at the findings of the domain) under the paper's settings, for all methods the same weights and
the same ROI blend.

PIE is shown in both modes: terminal, the paper's chain towards one prompt, and severity, each stage drawn at a number
from one inversion. Regions are fitted to the image as a user's; in table 4 the true one stands beside, an upper bound.

Conf: of stage N, the mean over patients. CLIP-I: the mean over stages and patients. KID: the images of stages 1..N
against real ones with the finding, features of the CLIP tower. Of phantoms also the severity of stage N, as a network
reads it that no node uses (0.85 is what the prompt asks for), the scores of the true course, and the true CLIP-I: that
of the patients' true pictures at the severities that the stages are read to have. What CLIP-I falls short of it is
identity lost; the rest is the disease. Intervals: 95 %, bootstrap over patients; several seeds of a patient, where a
method draws anything at random, are averaged first. Where PIE is not first in table 2 the command ends with exit
code 1. Every run is kept in OUT/runs, so that the command goes on where it was stopped.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import ROOT, use_host
from ...mvg.metrics.kid import kid
from ...mvg.metrics.table import write_csv
from . import bars, figures, methods, seeds
from .evaluation import BY_SEVERITY, GUIDANCE, PAPER, Scores
from .evaluation_setup import EvaluationSetup, phantom_setup, user_setup
from .first import compared
from .report import Line, as_csv, as_markdown, tidy, write

STAGES = 10
GAMMAS = (0.1, 0.2, 0.4, 0.6, 0.8)
COUNTS, QUICK_COUNTS = (1, 5, 10, 50, 100), (1, 5, 10, 20)
MODES: dict[str, dict] = {"terminal": {}, "severity": BY_SEVERITY}
"""Mode of the plan -> what it changes of the paper's settings."""
FIRST = """PIE less each baseline, of the same patients. At equal severity: CLIP-I where both courses have come to the
lower of the two severities that they reach; patients where that is below 0.1 are left out."""
UPPER = "with the true region (upper bound)"
BETAS = tuple((b1, b2) for b1 in (0.01, 0.1, 0.2) for b2 in (1.0, 0.75, 0.5))


def kid_of(setup: EvaluationSetup, scores: Sequence[Scores], seed: int = 0) -> dict:
    """KID of the images of stages 1..N against the reference set."""
    made = torch.from_numpy(np.concatenate([s.embeddings[:, 1:].reshape(-1, s.embeddings.shape[-1]) for s in scores]))
    real = setup.reference()
    result = kid(real, made, subset_size=min(50, len(made), len(real)), seed=seed)
    return {"mean": result.mean, "std": result.std, "n": result.n, "m": result.m, "subset": result.subset_size}


def table_2(setups: list[EvaluationSetup], options) -> list[Line]:
    lines = []
    for setup in setups:
        for method, mode, changed in variants(setup, options):
            runs = [
                s
                for seed in setup.seeds(method, options.seeds)
                for s in setup.scores(method, STAGES, seed=seed, **changed)
            ]
            lines.append(Line(setup.domain, method, runs, mode, true_clip_i=setup.true_clip_i(runs)))
    return lines


def variants(setup: EvaluationSetup, options) -> list[tuple[str, str, dict]]:
    """(method, mode of the plan, what it changes of the settings) of table 2 and the figures."""
    out: list[tuple[str, str, dict]] = [(method, "", {}) for method in (methods.EXTRAPOLATION, methods.WALK)]
    out += [(methods.PIE, mode, MODES[mode]) for mode in options.plans]
    return out + ([(methods.TRUTH, "", {})] if setup.phantoms else [])


def table_4(setups: list[EvaluationSetup], options) -> list[Line]:
    lines = []
    for setup in setups:
        regions = {"none": "without mask", "fitted": "with mask"} | ({"true": UPPER} if setup.phantoms else {})
        for mode in options.plans:
            for region, label in regions.items():
                scores = setup.scores(methods.PIE, STAGES, region=region, **MODES[mode])
                lines.append(Line(setup.domain, label, scores, mode))
    return lines


def _ablation(setups: list[EvaluationSetup]) -> EvaluationSetup:
    """The domain of the paper's tables 5 to 7: the chest X-ray, where it is there."""
    return next((w for w in setups if w.domain == "chest_xray"), setups[0])


def _ablated(setups: list[EvaluationSetup], options, rows: dict[str, dict]) -> list[Line]:
    """A line a mode and row; rows: label -> what it changes of the settings."""
    setup, lines = _ablation(setups), []
    for mode in options.plans:
        for label, changed in rows.items():
            scores = setup.scores(methods.PIE, STAGES, options.ablation_patients, **MODES[mode], **changed)
            lines.append(Line(setup.domain, label, scores, mode, kid_of(setup, scores)))
    return lines


def table_5(setups: list[EvaluationSetup], options) -> list[Line]:
    return _ablated(setups, options, {f"{gamma:g}": {"gamma": gamma} for gamma in GAMMAS})


def table_6(setups: list[EvaluationSetup], options) -> list[Line]:
    setup, lines = _ablation(setups), []
    for mode in options.plans:
        for count, scores in _counts(setup, options, mode).items():
            lines.append(Line(setup.domain, str(count), scores, mode, kid_of(setup, scores)))
    return lines


def _counts(setup: EvaluationSetup, options, mode: str) -> dict[int, list[Scores]]:
    """N -> scores; of a chain towards one prompt a shorter one is the beginning of the longest."""
    limit = options.ablation_patients
    if mode == "terminal":
        longest = setup.scores(methods.PIE, max(options.counts), limit)
        return {count: [s.first(count) for s in longest] for count in options.counts}
    return {count: setup.scores(methods.PIE, count, limit, **MODES[mode]) for count in options.counts}


def table_7(setups: list[EvaluationSetup], options) -> list[Line]:
    return _ablated(setups, options, {f"{b1:g}, {b2:g}": {"beta_1": b1, "beta_2": b2} for b1, b2 in BETAS})


TABLES = {"2": table_2, "4": table_4, "5": table_5, "6": table_6, "7": table_7}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a size for a CPU: 8 patients, 1 seed, T = 20, N up to 20")
    seeds.add_options(parser, None, "a domain (default: 50; quick: 8)")
    parser.add_argument("--ablation-patients", type=int, help="of a finding in tables 5 to 7 (default: all; quick: 1)")
    parser.add_argument("--seeds", type=int, help="of what is random, in table 2 (default: 5; quick: 1)")
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS))
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--guidance", type=float, help=f"w (default: {GUIDANCE:g} for the embedded networks)")
    parser.add_argument("--steps", type=int, help="T (default: 50; quick: 20)")
    parser.add_argument("--mode", choices=("ddim", "noise"), default="ddim")
    parser.add_argument(
        "--plans",
        nargs="+",
        choices=MODES,
        help="modes of PIE's plan (default: both, where the model has words for it)",
    )
    parser.add_argument("--no-figures", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "research" / "bench" / "results")
    own = parser.add_argument_group("a user's own material, in place of phantoms (all but --masks are needed)")
    own.add_argument("--checkpoint", type=Path, help="Stable Diffusion 1.x or 2.x with its text encoder and VAE")
    own.add_argument("--classifier", type=Path, help="as Load Classifier takes it")
    own.add_argument("--labels", help="what the classifier reads, with commas, where its file does not say")
    own.add_argument("--clip-vision", type=Path, help="image encoder for CLIP-I and KID")
    own.add_argument("--images", type=Path, help="folder of healthy images to start from")
    own.add_argument("--masks", type=Path, help="folder of regions, white, named as the images")
    own.add_argument("--healthy", type=Path, help="folder of images without the finding")
    own.add_argument("--diseased", type=Path, help="folder of images with the finding")
    own.add_argument("--finding", help="as the classifier names it")
    own.add_argument("--prompt", help="of the terminal stage")
    own.add_argument("--healthy-prompt", default="", help="what the start images show (default: nothing)")
    own.add_argument("--size", type=int, default=512, help="side of the pictures (default: 512)")


def checked(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    usual = {"patients": 50, "steps": PAPER["steps"], "seeds": 5, "ablation_patients": 0}
    if options.quick:
        usual = {"patients": 8, "steps": 20, "seeds": 1, "ablation_patients": 1}
    for name, value in usual.items():  # 0 is given, and no reason to take the default in silence
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.counts = QUICK_COUNTS if options.quick else COUNTS
    if min(options.patients, options.steps, options.seeds) < 1:
        parser.error("--patients, --steps and --seeds want integers >= 1")
    needed = ("checkpoint", "classifier", "clip_vision", "images", "healthy", "diseased", "finding", "prompt")
    missing = [name for name in needed if getattr(options, name) is None]
    options.own = len(missing) < len(needed)
    if options.own and missing:
        parser.error(f"own material: want --{missing[0].replace('_', '-')} too")
    words_alone = "terminal alone with " + ("material of one's own" if options.own else "--mode noise")
    if options.plans is None:
        options.plans = ["terminal"] if options.own or options.mode == "noise" else list(MODES)
    elif "severity" in options.plans and (options.own or options.mode == "noise"):
        parser.error(f"--plans: got severity, want {words_alone}")
    return options


def setups_of(parser: argparse.ArgumentParser, options, settings: dict) -> list[EvaluationSetup]:
    if options.own:
        return [user_setup(options, settings)]
    references = 48 if options.quick else 200
    people = {domain: seeds.claimed(parser, options, "tables", domain) for domain in options.domains}
    return [phantom_setup(d, those, references, options.out, settings) for d, those in people.items()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench tables", description=__doc__)
    add_options(parser)
    options = checked(parser)
    use_host()
    guidance = options.guidance
    if guidance is None:
        guidance = PAPER["guidance"] if options.own else GUIDANCE
    settings = PAPER | {"guidance": guidance, "mode": options.mode, "steps": options.steps}
    began = time.time()
    setups = setups_of(parser, options, settings)
    about = (
        f"`run.py bench tables{' --quick' if options.quick else ''}`: T = {settings['steps']}, gamma = "
        f"{settings['gamma']:g}, N = {STAGES}, w = {guidance:g}, beta_1 = {settings['beta_1']:g}, beta_2 = "
        f"{settings['beta_2']:g}, mode {settings['mode']}, unless the row says otherwise. Mean and 95 % bootstrap "
        "interval over patients."
    )
    everything: list[Line] = []
    verdicts: list[bars.Verdict] = []
    for number in options.tables:
        lines = TABLES[number](setups, options)
        everything += lines
        write(options.out / f"table{number}.csv", as_csv(number, lines))
        text = as_markdown(number, lines, about)
        if number == "2" and not options.own:
            verdicts = compared(lines)
            text += "\n" + FIRST + "\n\n" + bars.markdown(verdicts)
        write(options.out / f"table{number}.md", text)
        print(text, f"{time.time() - began:.0f} s", flush=True)
    models = {
        "conf": " ".join(dict.fromkeys(w.networks.classifier.name for w in setups)),
        "clip_i": " ".join(dict.fromkeys(str(w.networks.clip_vision.config.get("name", "clip")) for w in setups)),
    }
    write_csv(tidy(everything, models), options.out / "scores.csv")
    if not options.no_figures:
        figures.draw(setups, {w.domain: variants(w, options) for w in setups}, settings, STAGES, options.out)
    found, made = (sum(getattr(w.evaluation, name) for w in setups) for name in ("found", "made"))
    print(f"{made} runs made, {found} found; {time.time() - began:.0f} s; written to {options.out}")
    raise SystemExit(bars.exit_code(verdicts))


if __name__ == "__main__":
    main()
