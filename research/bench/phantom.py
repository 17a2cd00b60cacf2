"""Progression of phantom patients against their true future: ``run.py bench phantom``.

Each patient starts healthy; for every finding the embedded model simulates N stages with the settings of the
bundled workflow inside the phantom's own region of interest. The true future is the same patient rendered at the
severity that the plan ends with. A control runs the same patients, regions and settings with "no finding".

Conf crosses: below 0.5 at stage 0 and above it at stage N. Spearman: stage against the severity that the reader
(a network no node uses) reads, over stages 0..N. MAE ratio: MAE of x_N to the true future in the region over that
of x_0. Outside: mean |x_N - x_0| where the mask is 0.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg import pie
from ...mvg.metrics.clip_i import clip_i_per_stage
from ...mvg.metrics.conf import conf
from ...mvg.recaption import offline
from .methods import pie_states
from .networks import Networks
from .patients import TARGET, patients, scored_findings
from .workflow import bundled_inputs

SETTINGS = ("steps", "gamma", "guidance", "beta_1", "beta_2", "mode", "refine", "scheduler", "seed", "composite")
BARS = {
    "crossed": (0.95, None),
    "spearman": (0.97, None),
    "mae_ratio": (None, 0.40),
    "outside": (None, 0.02),
    "clip_i": (0.9, None),
}


def workflow_settings(domain: str) -> dict:
    """The inputs of PIE Loop, and the mode of the plan, in the bundled workflow of a domain."""
    inputs = bundled_inputs(domain)
    return inputs["MVG_PIELoop"] | {"plan": inputs["MVG_Recaption"]["mode"]}


@torch.inference_mode()
def score(networks: Networks, states: torch.Tensor, truth: torch.Tensor, masks: torch.Tensor, finding: str) -> list:
    """One row a patient: states [N + 1, B, H, W, 3], truth [B, H, W, 3], masks [B, H, W]."""
    stages, batch = states.shape[:2]
    flat = states.flatten(0, 1)
    index = networks.classifier.outputs.index(finding)
    confidence = conf(networks.classifier.logits(flat))[:, index].reshape(stages, batch)
    severity = conf(networks.reader.logits(flat))[:, index].reshape(stages, batch)
    embeddings = networks.embed(flat).reshape(stages, batch, -1)
    rows = []
    for b in range(batch):
        m = masks[b, ..., None].expand_as(truth[b])
        outside = masks[b] == 0
        error = ((states[-1, b] - truth[b]).abs() * m).sum() / m.sum()
        unchanged = ((states[0, b] - truth[b]).abs() * m).sum() / m.sum()
        rows.append(
            {
                "conf": [round(float(v), 5) for v in confidence[:, b]],
                "severity": [round(float(v), 5) for v in severity[:, b]],
                "crossed": bool(confidence[0, b] < 0.5 < confidence[-1, b]),
                "spearman": float(np.nan_to_num(spearmanr(np.arange(stages), severity[:, b].numpy()).statistic)),
                "mae_ratio": float(error / unchanged),
                "outside": float((states[-1, b] - states[0, b]).abs()[outside].mean()),
                "clip_i": float(clip_i_per_stage(embeddings[1:, b], embeddings[0, b]).mean()),
            }
        )
    return rows


def mean(rows: list[dict], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def summary(rows: list[dict]) -> dict[str, float]:
    keys = ("crossed", "spearman", "mae_ratio", "outside", "clip_i")
    return {key: mean(rows, key) for key in keys} | {"severity": float(np.mean([r["severity"][-1] for r in rows]))}


def run(domain: str, count: int, first_seed: int, stages: int, settings: dict, findings, batch: int = 20) -> dict:
    """The whole bench as one dictionary; nothing in it depends on the batch size but rounding."""
    networks = Networks.embedded(domain)
    rows: list[dict] = []
    pictures: dict[str, torch.Tensor] = {}
    for finding in findings:
        for kind in ("progression", "control"):
            for start in range(first_seed, first_seed + count, batch):
                group = patients(domain, finding, range(start, min(start + batch, first_seed + count)))
                plans = group.plans(stages, settings["plan"], control=kind == "control")
                states = pie_states(networks, group.images, group.masks, plans, settings)
                truth = group.at(TARGET)
                scored = score(networks, states, truth, group.masks, finding)
                for seed, row in zip(group.seeds, scored, strict=True):
                    rows.append({"seed": seed, "finding": finding, "kind": kind, **row})
                if start == first_seed:
                    pictures[f"{finding} {kind}"] = torch.cat([states[:, :4], truth[None, :4]])
            part = [r for r in rows if r["finding"] == finding and r["kind"] == kind]
            print(f"{finding:18} {kind:12} " + " ".join(f"{k} {v:.3f}" for k, v in summary(part).items()), flush=True)
    progression = [r for r in rows if r["kind"] == "progression"]
    control = [r for r in rows if r["kind"] == "control"]
    return {
        "settings": {"domain": domain, "patients": count, "first_seed": first_seed, "stages": stages, **settings},
        "progression": summary(progression),
        "by_finding": {f: summary([r for r in progression if r["finding"] == f]) for f in findings},
        "control": summary(control),
        "control_by_finding": {f: summary([r for r in control if r["finding"] == f]) for f in findings},
        "rows": rows,
        "pictures": pictures,
    }


def bars(result: dict) -> list[tuple[str, float, str, bool]]:
    """(name, value, bar, passed) for every bar."""
    out = []
    for key, (low, high) in BARS.items():
        value = result["progression"][key]
        out.append((key, value, f">= {low}" if high is None else f"<= {high}", (low or -1e9) <= value <= (high or 1e9)))
    for finding, values in result["by_finding"].items():
        out.append((f"mae_ratio, {finding}", values["mae_ratio"], "<= 0.5", values["mae_ratio"] <= 0.5))
    control = result["control"]
    out.append(("control crossed", control["crossed"], "<= 0.03", control["crossed"] <= 0.03))
    out.append(("control mae_ratio", control["mae_ratio"], "0.95..1.05", 0.95 <= control["mae_ratio"] <= 1.05))
    return out


def save_pictures(pictures: dict[str, torch.Tensor], path: Path) -> None:
    """One PNG: a row a patient, stages 0..N and then the true future."""
    from PIL import Image

    rows = [torch.cat(list(states[:, b]), dim=1) for states in pictures.values() for b in range(states.shape[1])]
    Image.fromarray((torch.cat(rows).clamp(0, 1).numpy() * 255).round().astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench phantom", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--out", type=Path, help="JSON with every row; pictures go beside it as PNG")
    parser.add_argument("--findings", nargs="+", help="default: those of the domain whose future shows in the image")
    for name in ("gamma", "guidance", "beta_1", "beta_2"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help="in place of the bundled workflow's value")
    for name in ("steps", "refine", "seed"):
        parser.add_argument(f"--{name}", type=int, help="in place of the bundled workflow's value")
    parser.add_argument("--mode", choices=pie.MODES)
    parser.add_argument("--plan", choices=offline.MODES, help="mode of the plan")
    options = parser.parse_args()
    if options.patients < 1 or options.first_seed < 0 or options.stages < 1:
        parser.error("--patients and --stages want integers >= 1, --first-seed one >= 0")
    use_host()
    wanted = ("plan", *SETTINGS)
    settings = {key: value for key, value in workflow_settings(options.domain).items() if key in wanted}
    settings |= {key: value for key, value in vars(options).items() if key in wanted and value is not None}
    began = time.time()
    findings = options.findings or scored_findings(options.domain)
    result = run(options.domain, options.patients, options.first_seed, options.stages, settings, findings)
    pictures = result.pop("pictures")
    print(f"{json.dumps(settings)}\n{time.time() - began:.0f} s")
    for name, value, bar, passed in bars(result):
        print(f"{'pass' if passed else 'FAIL'}  {name:30} {value:.4f}  {bar}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1))
        save_pictures(pictures, options.out.with_suffix(".png"))
        print(f"written: {options.out} and {options.out.with_suffix('.png')}")


if __name__ == "__main__":
    main()
