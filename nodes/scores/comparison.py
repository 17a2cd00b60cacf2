"""Comparisons with real images: a set with a set (KID), a picture with a real later one (MAE, SSIM, PSNR)."""

import json
import math
from collections.abc import Callable

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ...models.inception import load_inception
from ...mvg.finite import check_finite
from ...mvg.metrics.image import compare
from ...mvg.metrics.kid import kid
from ...mvg.metrics.registration import MOTIONS, red_cyan, register
from ...mvg.wording import one_or
from ..support.model_files import INCEPTION
from .metrics import CLIPI

NONE = "none"
BATCH = 16


class KID(io.ComfyNode):
    """Kernel Inception Distance (section 5; Binkowski et al., ICLR 2018)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_KID",
            display_name="KID",
            category="MVG/metrics",
            description="How far a set of generated pictures lies from a set of real ones, as a network sees them. "
            "For cohorts, never for one patient.",
            search_aliases=["kernel inception distance", "fid", "mmd", "score"],
            inputs=[
                io.Image.Input("real", tooltip="Real pictures of many patients."),
                io.Image.Input("generated", tooltip="Generated pictures of many patients, such as their last stages."),
                io.Combo.Input(
                    "inception",
                    options=[NONE, *INCEPTION.files()],
                    tooltip="The Inception network that published figures use: pt_inception-2015-12-05 of "
                    "torch-fidelity, in ComfyUI/models/mvg/inception. none: the clip vision that is connected.",
                ),
                io.Int.Input(
                    "subsets", default=100, min=1, max=10_000, tooltip="How many random subsets are compared."
                ),
                io.Int.Input(
                    "subset_size",
                    default=50,
                    min=2,
                    max=10_000,
                    tooltip="Pictures a subset, fewer than either set holds; with all of them the std says nothing.",
                ),
                io.Int.Input("seed", default=0, min=0, max=2**63 - 1, tooltip="Which subsets are drawn."),
                io.ClipVision.Input(
                    "clip_vision",
                    display_name="clip vision",
                    optional=True,
                    tooltip="Any image encoder in place of Inception. Figures of different networks do not compare.",
                ),
            ],
            outputs=[
                io.String.Output("scores", tooltip="KID with std, the sizes of the sets, settings and model as JSON."),
                io.Float.Output("kid", tooltip="The mean over the subsets; like sets may give a little below 0."),
            ],
        )

    @classmethod
    def validate_inputs(cls, inception: str | None = None) -> bool | str:
        return inception == NONE or INCEPTION.check(inception, "inception")

    @classmethod
    def fingerprint_inputs(cls, inception: str | None = None, **_: object) -> str:
        return NONE if inception == NONE else INCEPTION.stamp(inception)

    @classmethod
    def execute(
        cls,
        real: torch.Tensor,
        generated: torch.Tensor,
        inception: str,
        subsets: int,
        subset_size: int,
        seed: int,
        clip_vision: io.ClipVision.Type | None = None,
    ) -> io.NodeOutput:
        for name, images in (("real", real), ("generated", generated)):
            check_set(name, images, subset_size)
        if (inception == NONE) == (clip_vision is None):
            got = "nothing" if clip_vision is None else "a clip vision and an Inception file"
            raise ValueError(f"inception: got {got} to see the pictures with, want one: a file, or a clip vision")
        if clip_vision is None:
            network = load_inception(INCEPTION.find(inception, "inception"))
            model, encode = network.name, network.features
        else:
            model = CLIPI.name_of(clip_vision)

            def encode(images: torch.Tensor) -> torch.Tensor:
                return clip_vision.encode_image(images)["image_embeds"].float().cpu()

        bar = comfy.utils.ProgressBar(len(real) + len(generated))
        result = kid(
            features_of(real, encode, bar), features_of(generated, encode, bar), subsets, subset_size, seed
        )._asdict()
        mean = result.pop("mean")
        return io.NodeOutput(json.dumps({"metric": "kid", "model": model, "values": [mean], **result}), mean)


def check_set(name: str, images: torch.Tensor, subset_size: int) -> None:
    if len(images) < 2:
        got = "1 picture" if len(images) else "no picture"
        raise ValueError(f"{name}: got {got}, want a set: KID compares sets, it says nothing of one patient")
    if len(images) < subset_size:
        raise ValueError(f"{name}: got {len(images)} pictures, want at least subset_size, {subset_size}")
    check_finite(name, images)
    constant = (images.flatten(1).amax(1) == images.flatten(1).amin(1)).nonzero()
    if len(constant):
        raise ValueError(f"{name}: picture {int(constant[0]) + 1} of {len(images)} is constant, want pictures")


def features_of(
    images: torch.Tensor, encode: Callable[[torch.Tensor], torch.Tensor], bar: comfy.utils.ProgressBar
) -> torch.Tensor:
    parts = []
    for batch in images.split(BATCH):
        comfy.model_management.throw_exception_if_processing_interrupted()
        parts.append(encode(batch))
        bar.update(len(batch))
    return torch.cat(parts)


class CompareImages(io.ComfyNode):
    """MAE, SSIM and PSNR to a real later image of the same patient (section 5), registered first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_MAE",
            display_name="Compare Images",
            category="MVG/metrics",
            description="Mean absolute error, SSIM and PSNR of pictures and a reference, such as a real later image of "
            "the patient: over the whole, inside and outside the region.",
            search_aliases=["mae", "ssim", "psnr", "registration", "align", "real follow-up", "score"],
            inputs=[
                io.Image.Input("images", tooltip="The pictures to judge: a last stage, or all stages."),
                io.Image.Input("reference", tooltip="What they should look like: one picture, or one for each."),
                io.Combo.Input(
                    "register",
                    options=["none", *MOTIONS],
                    tooltip="Brings the reference onto the pictures first. rigid: turned and shifted; affine: also "
                    "scaled and sheared. One reference is brought onto the first picture, else each onto its own.",
                ),
                io.Int.Input("first_stage", default=0, min=0, max=10_000, tooltip="Stage of the first picture."),
                io.Mask.Input("mask", optional=True, tooltip="The region, for the scores inside and outside it."),
            ],
            outputs=[
                io.String.Output("scores", tooltip="All scores and what the registration found, as JSON."),
                io.Float.Output("mae", tooltip="MAE over whole pictures, the mean of all, in [0, 1]."),
                io.Image.Output("registered", tooltip="The reference as it was compared."),
                io.Image.Output(
                    "overlay",
                    tooltip="Picture in red, reference in cyan: before registration at the left, after it at the "
                    "right. Gray where they agree; black where the reference shows nothing.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        reference: torch.Tensor,
        register: str,
        first_stage: int,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        if len(reference) not in (1, len(images)):
            raise ValueError(f"reference: got {len(reference)} pictures, want {one_or(len(images))}, one for each")
        if reference.shape[1:] != images.shape[1:]:
            (height, width, channels), want = reference.shape[1:], images.shape[1:]
            wanted = f"{want[1]} x {want[0]} x {want[2]}, the size of the images"
            raise ValueError(f"reference: got {width} x {height} x {channels}, want {wanted}")
        if len(images) < 1:
            raise ValueError("images: got an empty batch, want at least one picture")
        check_finite("images", images)
        check_finite("reference", reference)
        reference = reference.to(images.device)
        registered, valid, overlay, found = align(images, reference, register)
        scores = compare(images, registered.expand_as(images), mask, valid)
        parts = [
            {"metric": metric, "region": region, "values": [plain(v) for v in values]}
            for metric, regions in scores.items()
            for region, values in regions.items()
        ]
        mae = scores["mae"]["whole"]
        text = {
            **{"metric": "mae", "model": "", "values": [float(v) for v in mae], "first_stage": first_stage},
            **{"register": register, "registration": found, "parts": parts},
        }
        return io.NodeOutput(json.dumps(text), float(mae.mean()), registered, overlay)


def plain(value: torch.Tensor) -> float | str:
    """A number that JSON has: PSNR of equal pictures is infinite."""
    number = float(value)
    return "inf" if math.isinf(number) else number


def align(
    images: torch.Tensor, reference: torch.Tensor, motion: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[dict]]:
    """-> (references as compared, their valid pixels, overlays, what the registrations found)."""
    registered, valid, overlays, found = [], [], [], []
    for image, later in zip(images, reference, strict=False):
        comfy.model_management.throw_exception_if_processing_interrupted()
        result = register(later, image, motion) if motion != "none" else None
        registered.append(later if result is None else result.image)
        valid.append(torch.ones_like(later[..., 0]) if result is None else result.valid.to(later))
        after = red_cyan(image, registered[-1]) * valid[-1][..., None]
        overlays.append(torch.cat([red_cyan(image, later), after], dim=1))
        if result is not None:
            correlations = {"before": result.before, "after": result.after}
            found.append({"matrix": result.matrix.tolist(), **correlations, "note": result.note})
    return torch.stack(registered), torch.stack(valid), torch.stack(overlays), found
