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

from ..models.headless import use_host
from ..mvg import pie, roi
from ..mvg.metrics.clip_i import clip_i_per_stage
from ..mvg.metrics.conf import conf
from ..mvg.phantom import chest_xray
from ..mvg.phantom.captions import SIDED, band_centre
from ..mvg.recaption.offline import recaption
from .workflow import bundled_inputs

FINDINGS = ("cardiomegaly", "edema", "pleural effusion")
SETTINGS = ("steps", "gamma", "guidance", "beta_1", "beta_2", "mode", "refine", "scheduler", "seed", "composite")
CONTROL = "No finding. No acute cardiopulmonary abnormality."
BARS = {
    "crossed": (0.95, None),
    "spearman": (0.97, None),
    "mae_ratio": (None, 0.40),
    "outside": (None, 0.02),
    "clip_i": (0.9, None),
}


def workflow_settings() -> dict:
    """The inputs of PIE Loop, and the mode of the plan, in the bundled workflow."""
    inputs = bundled_inputs()
    return inputs["MVG_PIELoop"] | {"plan": inputs["MVG_Recaption"]["mode"]}


class Embedded:
    """The embedded networks as functions on batches, through the host's own model classes."""

    def __init__(self):
        import comfy.model_management
        import comfy.samplers

        from ..models.densenet import load_densenet
        from ..models.embedded import loader

        self.networks = loader.load("chest_xray")
        self.reader = load_densenet(loader.find_weights("reader"))
        comfy.model_management.load_models_gpu([self.networks.model])
        self.model = self.networks.model.model
        self.device = self.networks.model.load_device
        self._levels = comfy.samplers.calculate_sigmas

    def sigmas(self, scheduler: str, steps: int, k: int) -> torch.Tensor:
        return pie.sigmas_for(self._levels(self.model.model_sampling, scheduler, steps), k)

    def text(self, prompts: list[str]) -> torch.Tensor:
        clip = self.networks.clip
        encoded = {p: clip.encode_from_tokens(clip.tokenize(p)) for p in dict.fromkeys(prompts)}
        return torch.cat([encoded[p] for p in prompts]).to(self.device)

    def denoiser(self, cond: torch.Tensor, uncond: torch.Tensor, guidance: float):
        """D of classifier-free guidance; one network call for both halves, none for the second at guidance 1."""

        def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            if guidance == 1.0:
                return self.model.apply_model(x, sigma, c_crossattn=cond)
            both = self.model.apply_model(torch.cat([x, x]), sigma.repeat(2), c_crossattn=torch.cat([cond, uncond]))
            d, d_uncond = both.chunk(2)
            return d_uncond + guidance * (d - d_uncond)

        return model

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.networks.vae.encode(images).to(self.device)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.networks.vae.decode(latents).float().cpu()

    def clip_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.networks.clip_vision.encode_image(images)["image_embeds"].float().cpu()


@torch.inference_mode()
def trajectories(
    embedded: Embedded, images: torch.Tensor, masks: torch.Tensor, plans: list, settings: dict
) -> torch.Tensor:
    """[N + 1, B, H, W, 3]: the states of B patients that advance as one batch, as MVG_PIELoop makes them."""
    x_0 = embedded.encode(images)
    inside = roi.latent_mask(masks, x_0)
    pixels = roi.pixel_mask(masks, images)
    k = pie.n_inverted(settings["steps"], settings["gamma"])
    sigmas = embedded.sigmas(settings["scheduler"], settings["steps"], k)
    decoded = embedded.decode(x_0)
    x, states = x_0, [images]
    for n in range(len(plans[0].stages)):
        stages = [plan.stages[n] for plan in plans]
        cond, source = (embedded.text([getattr(stage, name) for stage in stages]) for name in ("prompt", "source"))
        negative = embedded.text([plan.unguided(stage) for plan, stage in zip(plans, stages, strict=True)])
        x = pie.pie_stage(
            x,
            x_0,
            sigmas,
            invert=pie.direct_run(embedded.denoiser(source, source, 1.0)),
            denoise=pie.direct_run(embedded.denoiser(cond, negative, settings["guidance"])),
            mode=settings["mode"],
            mask=inside,
            beta_1=settings["beta_1"],
            beta_2=settings["beta_2"],
            refine=settings["refine"],
            noise=pie.stage_noise(x.shape, settings["seed"], n + 1),
            stage=n + 1,
        )
        picture = embedded.decode(x)
        if settings["composite"]:
            picture = roi.restore_detail(picture, images, decoded)
            picture = roi.roi_blend(picture, images, pixels, settings["beta_1"], 1.0)
        states.append(picture)
    return torch.stack(states)


@torch.inference_mode()
def score(embedded: Embedded, states: torch.Tensor, truth: torch.Tensor, masks: torch.Tensor, finding: str) -> list:
    """One row a patient: states [N + 1, B, H, W, 3], truth [B, H, W, 3], masks [B, H, W]."""
    stages, batch = states.shape[:2]
    flat = states.flatten(0, 1)
    index = embedded.networks.classifier.outputs.index(finding)
    confidence = conf(embedded.networks.classifier.logits(flat))[:, index].reshape(stages, batch)
    severity = conf(embedded.reader.logits(flat))[:, index].reshape(stages, batch)
    embeddings = embedded.clip_image(flat).reshape(stages, batch, -1)
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


def run(patients: int, first_seed: int, stages: int, settings: dict, findings=FINDINGS, batch: int = 20) -> dict:
    """The whole bench as one dictionary; nothing in it depends on the batch size but rounding."""
    embedded = Embedded()
    seeds = range(first_seed, first_seed + patients)
    people = [chest_xray.sample_patient(seed) for seed in seeds]
    rows: list[dict] = []
    pictures: dict[str, torch.Tensor] = {}
    for finding in findings:
        for kind in ("progression", "control"):
            for start in range(0, patients, batch):
                group = people[start : start + batch]
                target = band_centre("severe")
                healthy = torch.from_numpy(np.stack([chest_xray.render(p) for p in group]))
                truth = torch.from_numpy(np.stack([chest_xray.render(p, {finding: target}) for p in group]))
                masks = torch.from_numpy(np.stack([chest_xray.roi(p, finding) for p in group]))
                healthy, truth = (t[..., None].repeat(1, 1, 1, 3) for t in (healthy, truth))
                reports = [f"Developing {p.sides[finding] if finding in SIDED else ''} {finding}." for p in group]
                if kind == "control":
                    reports = [CONTROL] * len(group)
                plans = [recaption(report, "chest_xray", stages, mode=settings["plan"]) for report in reports]
                states = trajectories(embedded, healthy, masks, plans, settings)
                scored = score(embedded, states, truth, masks, finding)
                for i, row in enumerate(scored):
                    rows.append({"seed": first_seed + start + i, "finding": finding, "kind": kind, **row})
                if start == 0:
                    pictures[f"{finding} {kind}"] = torch.cat([states[:, :4], truth[None, :4]])
            part = [r for r in rows if r["finding"] == finding and r["kind"] == kind]
            print(f"{finding:18} {kind:12} " + " ".join(f"{k} {v:.3f}" for k, v in summary(part).items()), flush=True)
    progression = [r for r in rows if r["kind"] == "progression"]
    control = [r for r in rows if r["kind"] == "control"]
    return {
        "settings": {"patients": patients, "first_seed": first_seed, "stages": stages, **settings},
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
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--out", type=Path, help="JSON with every row; pictures go beside it as PNG")
    parser.add_argument("--findings", nargs="+", default=list(FINDINGS))
    for name in ("gamma", "guidance", "beta_1", "beta_2"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help="in place of the bundled workflow's value")
    for name in ("steps", "refine", "seed"):
        parser.add_argument(f"--{name}", type=int, help="in place of the bundled workflow's value")
    parser.add_argument("--mode", choices=pie.MODES)
    parser.add_argument("--plan", choices=("terminal", "ladder"), help="mode of the plan")
    options = parser.parse_args()
    if options.patients < 1 or options.first_seed < 0 or options.stages < 1:
        parser.error("--patients and --stages want integers >= 1, --first-seed one >= 0")
    use_host()
    wanted = (
        "plan",
        "steps",
        "gamma",
        "guidance",
        "beta_1",
        "beta_2",
        "mode",
        "refine",
        "scheduler",
        "seed",
        "composite",
    )
    settings = {key: value for key, value in workflow_settings().items() if key in wanted}
    settings |= {key: value for key, value in vars(options).items() if key in wanted and value is not None}
    began = time.time()
    result = run(options.patients, options.first_seed, options.stages, settings, tuple(options.findings))
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
