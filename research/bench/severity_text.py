"""How near a model with severities as numbers comes to its plan: ``run.py bench severity_text --weights FOLDER``.

Phantom patients that no training saw, the settings of the bundled workflow, a plan of mode severity, stages of equal
change as PIE Loop spaces them, all by its own nodes. The reader, a network no node uses, reads the severity of every
stage. Without ``--weights`` the bundled model, which mixes the predictions of the words, is measured the same way.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ...models.densenet import load_densenet
from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS, file_name
from ...models.standalone_host import use_host
from ...mvg import roi
from ...mvg.domains import BUILT_IN
from .bars import interval
from .patients import TARGET, patients
from .workflow import bundled_inputs

SEVERITY_MAE = 0.06
USED = ("steps", "gamma", "guidance", "beta_1", "beta_2", "refine", "scheduler")


def networks(domain: str, weights: Path | None):
    """MODEL, CLIP and VAE: the bundled ones, or the model and text encoder of a folder."""
    files = loader.weight_files(domain)
    if weights is not None:
        files |= {part: weights / file_name(part, domain) for part in ("unet", "clip_text")}
    model = loader.load_model(files["unet"], files["vae"])
    return model, loader.load_clip(files["clip_text"]), loader.load_vae(files["vae"], gray=BUILT_IN[domain].gray)


@torch.inference_mode()
def course(model, clip, vae, patient, plan, settings: dict, spacing: str) -> tuple[torch.Tensor, list[float]]:
    """The stages [N, H, W, 3] of one patient as PIE Loop draws them, and the severities that they were asked for."""
    from ...nodes.progression.pie import DDIMInvert
    from ...nodes.progression.severity import SeverityStage
    from ...nodes.progression.spacing import StageSpacing
    from ...nodes.support.guider import with_severity

    def text(prompt: str):
        return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))

    scale = [entry for grade in plan.scale for entry in with_severity(text(grade.prompt), grade.severity)]
    source, negative = text(plan.stages[0].source), text(plan.unguided(plan.stages[0]))
    latent = {"samples": vae.encode(patient.images)}
    planned = [stage.severity for stage in plan.stages]
    inverting = {name: settings[name] for name in ("steps", "gamma", "refine", "scheduler")}
    noise_map = DDIMInvert.execute(model, source, latent, round_trip=False, **inverting).args[0]
    common = {name: settings[name] for name in ("gamma", "guidance", "beta_1", "beta_2", "scheduler")}
    common["mask"] = patient.masks
    asked = planned
    if spacing != "as planned":
        wanted = ", ".join(map(repr, planned))
        spaced = StageSpacing.execute(model, vae, scale, source, negative, latent, wanted, spacing, **common)
        asked = list(spaced.args[0])
    decoded = vae.decode(latent["samples"])
    stages = []
    for severity in asked:
        drawn = SeverityStage.execute(
            model, scale, negative, noise_map, latent, severity, steps=settings["steps"], **common
        )
        picture = vae.decode(drawn.args[0]["samples"])
        if settings["composite"]:
            # as MVG_ROIBlend in PIE Loop
            picture = roi.composite(picture, patient.images, patient.masks, settings["beta_1"], 1.0, decoded)
        stages.append(picture[0])
    return torch.stack(stages).clone(), asked


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench severity_text", description=__doc__)
    parser.add_argument(
        "--weights", type=Path, help="folder of unet and clip_text, as train embedded diffusion --exact writes it"
    )
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--finding", default="pleural effusion")
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=40_000)
    parser.add_argument("--stages", type=int, default=6)
    parser.add_argument("--spacing", choices=("as planned", "equal change"), default="equal change")
    parser.add_argument("--guidance", type=float, help="in place of the bundled workflow's value")
    parser.add_argument("--refine", type=int, help="in place of the bundled workflow's value")
    parser.add_argument("--out", type=Path, metavar="PNG", help="the stages of every patient, the true future last")
    options = parser.parse_args()
    if options.patients < 1 or options.stages < 1:
        parser.error("--patients and --stages want integers >= 1")
    use_host()
    settings = bundled_inputs(options.domain)["MVG_PIELoop"]
    settings |= {name: value for name in USED if (value := getattr(options, name, None)) is not None}
    model, clip, vae = networks(options.domain, options.weights)
    reader = load_densenet(loader.find_weights("reader", options.domain))
    column = reader.outputs.index(options.finding)
    errors, steps, read, rows = [], [], [], []
    for seed in range(options.first_seed, options.first_seed + options.patients):
        patient = patients(options.domain, options.finding, [seed])
        (plan,) = patient.plans(options.stages, "severity")
        stages, asked = course(model, clip, vae, patient, plan, settings, options.spacing)
        severity = reader.conf(torch.cat([patient.images, stages]))[:, column].numpy()
        planned = np.array([stage.severity for stage in plan.stages])
        errors.append(float(np.abs(severity[1:] - planned).mean()))
        steps.append(np.diff(severity))
        read.append(severity)
        rows.append(torch.cat([patient.images[0], *stages, patient.at(TARGET)[0]], dim=1))
        shown = " ".join(f"{value:.2f}" for value in severity)
        print(f"{seed}: MAE {errors[-1]:.3f}, read {shown}, asked {' '.join(f'{s:.2f}' for s in asked)}", flush=True)
    mean, low, high = interval(errors)
    print(f"mean of {len(read)}: {' '.join(f'{value:.2f}' for value in np.mean(read, axis=0))}")
    print(f"largest step {np.max(steps, axis=1).mean():.3f}, rising {np.mean(np.min(steps, axis=1) > 0):.2f}")
    if options.out:
        from PIL import Image

        Image.fromarray((torch.cat(rows).clamp(0, 1).numpy() * 255).round().astype(np.uint8)).save(options.out)
    passed = mean <= SEVERITY_MAE
    print(f"{'pass' if passed else 'FAIL'}  severity MAE {mean:.4f} (95 % {low:.4f} to {high:.4f})  <= {SEVERITY_MAE}")
    if not passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
