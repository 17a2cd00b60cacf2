"""The embedded SEINE against the true course of phantoms: ``run.py bench seine_phantom``.

Every clip has a known truth: a phantom patient rendered at 16 severities on the even way between two states. SEINE is
shown the two ends alone, with the node's own code; a pixel cross-fade and the latent walk stand beside it. As in the
bundled workflow the frames may change in the finding's region (eq. 10, cross-fade outside); "everywhere" is without.
Small steps are those between two stages of a plan (0.15 of severity), large ones 0.4 to 0.8.

Error: mean absolute difference of the 14 inner frames to the truth, in 1/1000 of the gray scale; in ROI: the same
inside the finding's region. Monotone: share of clips in which the severity that the reader (a network no node uses)
reads never falls by more than 0.01 below an earlier frame's, in the direction of the clip. Jump: the larger change
next to a keyframe over the median change inside the clip.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg import roi, seine, transition
from ...mvg.metrics.conf import conf
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom, picture
from . import seeds
from .patients import patients
from .workflow import bundled_inputs

FRAMES = 16
STEPS = {"small": (0.15, 0.15), "large": (0.4, 0.8)}
METHODS = ("SEINE", "SEINE everywhere", "SEINE, not anchored", "cross-fade", "latent walk", "truth")
SETTINGS = {"steps": int, "guidance": float, "method": str, "denoise": float, "noise": str, "seed": int}
STEP_BACK = 0.01
JUMP = 1.5


def cases(domain: str, seeds: range) -> list[dict]:
    """One clip for every patient, finding and size of step; every other one runs backwards."""
    out = []
    for seed in seeds:
        for place, finding in enumerate(FINDINGS[domain]):
            rng = np.random.default_rng([23, seed, place])
            for size, bounds in STEPS.items():
                step = rng.uniform(*bounds)
                low = rng.uniform(0.05, 0.95 - step)
                ends = (low, low + step) if (seed + place) % 2 == 0 else (low + step, low)
                out.append({"domain": domain, "seed": seed, "finding": finding, "size": size, "ends": ends})
    return out


def truth(case: dict) -> torch.Tensor:
    """[16, 128, 128, 3]."""
    domain = case["domain"]
    patient = phantom(domain).sample_patient(case["seed"])
    first, last = case["ends"]
    severities = np.linspace(first, last, FRAMES)
    return torch.from_numpy(np.stack([picture(domain, patient, {case["finding"]: float(s)}) for s in severities]))


def region_of(case: dict) -> torch.Tensor:
    """[128, 128] in [0, 1], fitted to the healthy image as a user's."""
    return patients(case["domain"], case["finding"], [case["seed"]]).masks[0]


class Films:
    """Clips between two given pictures, by every method."""

    def __init__(self, domain: str, settings: dict[str, Any]):
        """settings: of `nodes.seine.Settings`, by name."""
        from ...models.densenet import load_densenet
        from ...models.embedded import loader
        from ...nodes.transition import seine as node

        self.networks = loader.load(domain)
        self.reader = load_densenet(loader.find_weights("reader", domain))
        self.settings = node.Settings(**settings)

    @torch.inference_mode()
    def make(self, ends: torch.Tensor, regions: torch.Tensor) -> dict[str, torch.Tensor]:
        """Method -> [n, 16, H, W, 3] from the ends [n, 2, H, W, 3] and regions [n, H, W]."""
        from ...models.seine import native
        from ...nodes.transition import seine as node

        vae, clip = self.networks.vae, self.networks.clip
        latents = vae.encode(ends.flatten(0, 1)).unflatten(0, (-1, 2))
        gray = vae.encode(torch.full_like(ends[0, :1], seine.GRAY))
        between = native.between(self.networks.transition)
        shown = [seine.clip_conditioning(pair, gray, FRAMES, between) for pair in latents]
        video, mask = (torch.cat(parts) for parts in zip(*shown, strict=True))
        text = [clip.encode_from_tokens_scheduled(clip.tokenize(words)) for words in (node.PROMPT, "")]
        made = node.Clips(self.networks.transition, text, video, mask, self.settings).make()
        walks = [transition.latent_walk(first, last, FRAMES) for first, last in latents]
        raw = torch.stack([vae.decode(seine.flatten_frames(c[None])) for c in made]).float()
        walked = torch.stack([vae.decode(walk) for walk in walks]).float()
        time_ = torch.linspace(0, 1, FRAMES).reshape(-1, 1, 1, 1)
        fade = ends[:, 0, None] * (1 - time_) + ends[:, 1, None] * time_

        def film(clips: torch.Tensor, anchor: bool, masked: bool, inner: int = 0) -> torch.Tensor:
            out = []
            for clip, (first, last), region in zip(clips, ends, regions, strict=True):
                clip = transition.anchored(clip, first, last, inner) if anchor else clip
                out.append(roi.clip_blend(clip, first, last, region if masked else None, "crossfade"))
            return torch.stack(out)

        return {
            "SEINE": film(raw, anchor=True, masked=True, inner=self.settings.inner),
            "SEINE everywhere": film(raw, anchor=True, masked=False, inner=self.settings.inner),
            "SEINE, not anchored": film(raw, anchor=False, masked=False),
            "cross-fade": fade,
            "latent walk": film(walked, anchor=True, masked=True),
        }

    @torch.inference_mode()
    def severity(self, clip: torch.Tensor, finding: str) -> torch.Tensor:
        """[16] as the reader reads it."""
        return conf(self.reader.logits(clip))[:, self.reader.outputs.index(finding)]


def scores(clip: torch.Tensor, true: torch.Tensor, region: torch.Tensor, severity: torch.Tensor, rising: bool) -> dict:
    """Of one clip [16, H, W, 3]; region [H, W] in [0, 1]."""
    error = (clip - true).abs().mean(-1)[1:-1]
    read = severity if rising else severity.flip(0)
    fall = (read.cummax(0).values - read).max()
    change = transition.jumps(clip)
    return {
        "error": 1000 * float(error.mean()),
        "error_roi": 1000 * float((error * region).sum() / region.sum() / len(error)),
        "monotone": bool(fall <= STEP_BACK),
        "jump": float(torch.maximum(change[0], change[-1]) / change[1:-1].median()),
    }


def run(films: Films, todo: list[dict], batch: int) -> list[dict]:
    """A row a clip and method."""
    rows = []
    for start in range(0, len(todo), batch):
        group = todo[start : start + batch]
        true = torch.stack([truth(case) for case in group])
        regions = torch.stack([region_of(case) for case in group])
        made = films.make(true[:, [0, -1]], regions) | {"truth": true}
        for i, case in enumerate(group):
            for name in METHODS:
                clip = made[name][i]
                severity = films.severity(clip, case["finding"])
                rising = case["ends"][1] > case["ends"][0]
                rows.append({**case, "method": name, **scores(clip, true[i], regions[i], severity, rising)})
        print(f"{min(start + batch, len(todo))} of {len(todo)} clips", flush=True)
    return rows


def mean(rows: list[dict], key: str, **where: str) -> float:
    return float(np.mean([row[key] for row in rows if all(row[k] == v for k, v in where.items())]))


def bars(rows: list[dict]) -> list[tuple[str, float, str, bool]]:
    """(name, value, bar, passed)."""
    out = []
    ours = mean(rows, "error", method="SEINE")
    for other in ("cross-fade", "latent walk"):
        value = mean(rows, "error", method=other)
        out.append((f"error of SEINE, {ours:.3f}, below that of the {other}", ours / value, "< 1", ours < value))
    monotone = mean(rows, "monotone", method="SEINE")
    out.append(("monotone", monotone, ">= 0.90", monotone >= 0.9))
    jump = float(np.median([row["jump"] for row in rows if row["method"] == "SEINE"]))
    worst = max(row["jump"] for row in rows if row["method"] == "SEINE")
    out.append(("jump at a keyframe, median clip", jump, f"<= {JUMP}", jump <= JUMP))
    out.append(("jump at a keyframe, worst clip", worst, f"<= {JUMP}", worst <= JUMP))
    return out


def save_pictures(films: Films, case: dict, path: Path) -> None:
    """A row a method, eight of the 16 frames, and below each row five times its difference to the truth."""
    from PIL import Image

    true = truth(case)
    made = films.make(true[None, [0, -1]], region_of(case)[None])
    made = {name: clips[0] for name, clips in made.items()} | {"truth": true}
    rows = []
    for clip in made.values():
        for frames in (clip, 0.5 + 5 * (clip - true)):
            rows.append(torch.cat(list(frames[[0, 2, 4, 6, 9, 11, 13, 15]]), dim=1))
    Image.fromarray((torch.cat(rows).clamp(0, 1).numpy() * 255).round().astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench seine_phantom", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    seeds.add_options(parser, 10, "of each: the findings x 2 sizes of step")
    for name, kind in SETTINGS.items():
        parser.add_argument(f"--{name}", type=kind, help="in place of the bundled workflow's value")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, help="JSON with every row; a picture goes beside it as PNG")
    options = parser.parse_args()
    if options.batch < 1:
        parser.error(f"--batch: got {options.batch}, want an integer >= 1")
    those = seeds.claimed(parser, options, "seine_phantom", options.domain)
    use_host()
    bundled = bundled_inputs(options.domain)["MVG_SEINETransition"]
    given = {name: vars(options)[name] for name in SETTINGS if vars(options)[name] is not None}
    settings = {name: bundled[name] for name in SETTINGS} | given
    print(json.dumps(settings), flush=True)
    films = Films(options.domain, settings)
    began = time.time()
    todo = cases(options.domain, those)
    rows = run(films, todo, options.batch)
    print(f"{len(todo)} clips, {time.time() - began:.0f} s\n{'':34} error  in ROI  monotone  jump (median, worst)")
    for size in STEPS:
        for name in METHODS:
            where = {"size": size, "method": name}
            jumps = [row["jump"] for row in rows if row["size"] == size and row["method"] == name]
            figures = (mean(rows, key, **where) for key in ("error", "error_roi", "monotone"))
            print(
                f"{size + ' steps, ' + name:32} " + " ".join(f"{v:8.3f}" for v in figures),
                f"  {np.median(jumps):.2f}, {max(jumps):.2f}",
            )
    for name, value, bar, passed in bars(rows):
        print(f"{'pass' if passed else 'FAIL'}  {name:60} {value:.4f}  {bar}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(
            json.dumps({"settings": {**vars(options), **settings, "out": None}, "rows": rows}, indent=1)
        )
        save_pictures(films, todo[1], options.out.with_suffix(".png"))
        print(f"written: {options.out} and {options.out.with_suffix('.png')}")
    if not all(passed for *_, passed in bars(rows)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
