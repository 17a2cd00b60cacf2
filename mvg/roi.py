"""The region of interest: masks, their shape, the blend of a stage (eq. 6) and of a clip (eq. 10)."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .wording import one_or

BETA_1, BETA_2 = 0.01, 0.75
"""How much of a change eq. 6 keeps outside and inside the mask: the paper's setting."""
CLIP_MODES = ("mean", "crossfade")
REPLACED = 0.3
"""A local change, in [0, 1], that leaves nothing of what the autoencoder lost of the original.

The largest of 0.05, 0.1, 0.2 and 0.3, and nearest to the phantoms' true pictures in every domain (`run.py bench
detail`); more was not tried.
"""
REACH = 1 / 64
"""How far round a pixel its change is looked at, in shares of the picture's shorter side."""
MAX_SHARE = 0.5
"""How far an edge may be moved or feathered, in shares of the picture's shorter side."""
FADE = 2.563
"""Standard deviations of a Gaussian between 0.1 and 0.9 of its integral."""


def check_mask(mask: Tensor, image: Tensor) -> Tensor:
    """Checks a mask against the image that it is for.

    Args:
        mask: [B, H, W] or [H, W], B being 1 or the image's.
        image: [B, H, W, C].

    Returns:
        The mask [B, H, W], values unchanged.

    Raises:
        ValueError: the axes or sizes are others, the batch is neither 1 nor the image's, or a value is outside [0, 1].
    """
    if image.ndim != 4:
        raise ValueError(f"image: got {image.ndim} axes, want [B, H, W, C]")
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3:
        raise ValueError(f"mask: got {mask.ndim} axes, want [B, H, W]")
    (batch, height, width), (images, image_height, image_width, _) = mask.shape, image.shape
    if (height, width) != (image_height, image_width):
        raise ValueError(
            f"mask: got {width} x {height} pixels, want {image_width} x {image_height}, the size of the image"
        )
    if batch not in (1, images):
        raise ValueError(f"mask: got {batch} masks, want {one_or(images)}, one an image")
    low, high = float(mask.min()), float(mask.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"mask: got values from {low:g} to {high:g}, want them in [0, 1]")
    return mask


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Resizes a mask, bilinear without antialiasing, soft values kept.

    At a reduction of 8 that is the mean of the middle 2 x 2 of each 8 x 8 block, as in the released PIE code.

    Args:
        mask: [B, H, W].
        height: of the result.
        width: of the result.

    Returns:
        [B, height, width] float32.
    """
    return interpolate(mask[:, None].float(), (height, width), mode="bilinear", align_corners=False)[:, 0]


def refine(mask: Tensor, grow: float = 0.0, feather: float = 0.0, fill: bool = False) -> Tensor:
    """Fills the holes of a mask, then grows it, then feathers it; returns it as it is where none is asked.

    Shares are of the picture's shorter side, so that a region stays the same in a picture of another size. Soft masks
    are treated level by level, in 255 steps. The border of the picture is no edge.

    Args:
        mask: [B, H, W] in [0, 1].
        grow: how far the edge moves outwards, or inwards where negative, a share in [-0.5, 0.5].
        feather: over how far an edge fades from 0.9 to 0.1, half of it on either side, a share in [0, 0.5].
        fill: whether what the region encloses becomes part of it.

    Returns:
        [B, H, W] in [0, 1].

    Raises:
        ValueError: naming the argument.
    """
    if not -MAX_SHARE <= grow <= MAX_SHARE:
        raise ValueError(f"grow: got {grow}, want a number in [{-MAX_SHARE}, {MAX_SHARE}]")
    if not 0 <= feather <= MAX_SHARE:
        raise ValueError(f"feather: got {feather}, want a number in [0, {MAX_SHARE}]")
    if not (grow or feather or fill):
        return mask
    check_mask(mask, mask[..., None])
    side = min(mask.shape[-2:])
    shaped = []
    for one in mask.detach().cpu().float().numpy():
        if fill:
            one = _filled(one)
        if grow:
            one = _grown(one, grow * side) if grow > 0 else 1 - _grown(1 - one, -grow * side)
        if feather:
            # in 64 bits a full mask stays full
            soft = cv2.GaussianBlur(
                one.astype(np.float64), (0, 0), feather * side / FADE, borderType=cv2.BORDER_REPLICATE
            )
            one = np.clip(soft, 0, 1)
        shaped.append(torch.from_numpy(np.asarray(one, np.float32)))
    return torch.stack(shaped).to(mask)


def boxes(mask: Tensor, least: float = 0.1) -> list[tuple[int, int, int, int]]:
    """The boxes round the parts of a mask that are 0.5 or more.

    Args:
        mask: [H, W] in [0, 1].
        least: parts smaller than this share of the largest are left out.

    Returns:
        (x0, y0, x1, y1) in pixels, the largest part first. A box ends behind the last pixel: x1 - x0 is its width.
    """
    inside = (mask.detach().cpu().numpy() >= 0.5).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    parts = sorted(stats[1:count].tolist(), key=lambda part: -part[cv2.CC_STAT_AREA])
    large = [part for part in parts if part[cv2.CC_STAT_AREA] >= least * parts[0][cv2.CC_STAT_AREA]]
    return [(x, y, x + width, y + height) for x, y, width, height, _ in large]


def _levels(mask: np.ndarray) -> Iterator[tuple[np.float32, np.ndarray]]:
    """The levels k / 255 above 0 of a mask [H, W], and where it reaches each of them as [H, W] of 0 and 1."""
    steps = np.floor(mask * 255 + 1e-3)
    for step in np.unique(steps[steps > 0]):
        yield np.float32(step / 255), (steps >= step).astype(np.uint8)


def _grown(mask: np.ndarray, radius: float) -> np.ndarray:
    """Dilated by a disc of so many pixels; a part of a pixel counts as that part."""
    grown = mask
    for level, inside in _levels(mask):
        away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        grown = np.maximum(grown, level * np.clip(radius + 1 - away, 0, 1))
    return grown


def _filled(mask: np.ndarray) -> np.ndarray:
    """Without holes: at every level, what the picture's border cannot be reached from belongs to the region."""
    filled = mask
    for level, inside in _levels(mask):
        framed = np.pad(inside, 1)
        cv2.floodFill(framed, None, (0, 0), 2, flags=4)
        filled = np.maximum(filled, level * (framed[1:-1, 1:-1] == 0))
    return filled


def latent_mask(mask: Tensor, latent: Tensor) -> Tensor:
    """A mask at the size of a latent, see `resize_mask`.

    Args:
        mask: [B, H, W].
        latent: [B, C, h, w] or [B, C, t, h, w].

    Returns:
        [B, 1, h, w] or [B, 1, 1, h, w], with the latent's type and device.
    """
    small = resize_mask(mask, latent.shape[-2], latent.shape[-1]).to(latent)
    return small.reshape(len(small), *[1] * (latent.ndim - 3), *small.shape[1:])


def pixel_mask(mask: Tensor, image: Tensor) -> Tensor:
    """A mask as `roi_blend` takes it for pictures.

    Args:
        mask: [B, H, W] or [H, W] in [0, 1].
        image: [B, H, W, C].

    Returns:
        [B, H, W, 1], with the image's type and device.

    Raises:
        ValueError: as `check_mask`.
    """
    return check_mask(mask, image)[..., None].to(image)


def roi_blend(x: Tensor, x_0: Tensor, mask: Tensor | None, beta_1: float = BETA_1, beta_2: float = BETA_2) -> Tensor:
    """(b1 * (x - x0) + x0) * (1 - M) + (b2 * (x - x0) + x0) * M (eq. 6), of latents or pixels alike.

    Args:
        x: the edit.
        x_0: the original, of the same shape.
        mask: M in [0, 1], as many axes as x, broadcasting to it (`latent_mask`, `pixel_mask`); None leaves x unblended.
        beta_1: how much of the change to keep outside the mask, in [0, 1].
        beta_2: the same inside.

    Returns:
        The blend, of x's shape; where the weight of the change is 0 or 1, x_0 or x bit for bit.

    Raises:
        ValueError: a beta is out of range, or the shapes do not fit.
    """
    for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0 <= beta <= 1:
            raise ValueError(f"{name}: got {beta}, want a number in [0, 1]")
    if x.shape != x_0.shape:
        raise ValueError(f"x: got {tuple(x.shape)}, want the shape of x_0, {tuple(x_0.shape)}")
    if mask is None:
        return x
    if mask.ndim != x.ndim or any(m not in (1, n) for m, n in zip(mask.shape, x.shape, strict=True)):
        raise ValueError(f"mask: got {tuple(mask.shape)}, want sizes of 1 or those of x, {tuple(x.shape)}")
    inside = mask.to(x)
    weight = beta_1 * (1 - inside) + beta_2 * inside
    x_0 = x_0.to(x)
    return torch.where(weight == 0, x_0, torch.where(weight == 1, x, x_0 + weight * (x - x_0)))


def restore_detail(image: Tensor, original: Tensor, decoded: Tensor) -> Tensor:
    """Puts back what the autoencoder loses of the original, where the picture did not change.

    Where a stage changed nothing the result is the original up to rounding: grain and fine vessels stay. Where it
    changed by REPLACED or more nothing of the original's detail shines through what is drawn over it.

    Args:
        image: the decoded stage, [B, H, W, C] in [0, 1].
        original: the patient's image, [B or 1, H, W, C] in [0, 1].
        decoded: what the autoencoder makes of the original's latent, of the same shape.

    Returns:
        image + w * (original - decoded) in [0, 1]; w falls smoothly from 1 to 0 with the local change.

    Raises:
        ValueError: shapes that differ.
    """
    for name, other in (("original", original), ("decoded", decoded)):
        if other.shape[1:] != image.shape[1:] or len(other) not in (1, len(image)):
            raise ValueError(f"{name}: got {tuple(other.shape)}, want the shape of image, {tuple(image.shape)}")
    decoded = decoded.to(image)
    share = (_blurred((image - decoded).abs().mean(-1)) / REPLACED).clamp(0, 1)
    kept = 1 - share.square() * (3 - 2 * share)
    return (image + kept[..., None] * (original.to(image) - decoded)).clamp(0, 1)


def _blurred(change: Tensor) -> Tensor:
    """[B, H, W] smoothed over REACH of the shorter side."""
    sigma = REACH * min(change.shape[-2:])
    smooth = [cv2.GaussianBlur(one, (0, 0), sigma) for one in change.detach().cpu().float().numpy()]
    return torch.from_numpy(np.stack(smooth)).to(change)


def composite(
    image: Tensor,
    original: Tensor,
    mask: Tensor,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    decoded: Tensor | None = None,
) -> Tensor:
    """A decoded stage put onto the patient's own pixels: lost detail restored, then eq. 6.

    Args:
        image: the decoded stage, [B, H, W, C] in [0, 1].
        original: the patient's image, [B or 1, H, W, C] in [0, 1].
        mask: [B or 1, H, W] in [0, 1].
        beta_1: how much of the change to keep outside the mask, in [0, 1].
        beta_2: how much of it to keep inside.
        decoded: what the autoencoder makes of the original; None leaves the detail that it loses lost.

    Returns:
        [B, H, W, C]; the original bit for bit where the weight of the change is 0.

    Raises:
        ValueError: sizes that differ, a mask or a beta outside [0, 1].
    """
    if decoded is not None:
        image = restore_detail(image, original, decoded)
    return roi_blend(image, original.expand_as(image), pixel_mask(mask, image), beta_1, beta_2)


def clip_blend(frames: Tensor, first: Tensor, last: Tensor, mask: Tensor | None, mode: str = "mean") -> Tensor:
    """Blends the frames between two stage images with a background (eq. 10): background * (1 - M) + frame * M.

    Args:
        frames: clip [K, H, W, C], K >= 2.
        first: stage image [H, W, C].
        last: the next one.
        mask: [1 or K, H, W] or [H, W] in [0, 1]; None takes the frames alone.
        mode: "mean" (the paper) has (first + last) / 2 as background; "crossfade" moves linearly from first to last,
            without a jump next to the ends.

    Returns:
        [K, H, W, C], whose ends are first and last bit for bit.

    Raises:
        ValueError: mode is unknown, or the shapes do not fit.
    """
    if mode not in CLIP_MODES:
        raise ValueError(f"mode: got {mode!r}, want one of {', '.join(CLIP_MODES)}")
    if frames.ndim != 4 or len(frames) < 2:
        raise ValueError(f"frames: got {tuple(frames.shape)}, want [K, H, W, C] with K >= 2")
    for name, image in (("first", first), ("last", last)):
        if image.shape != frames.shape[1:]:
            raise ValueError(f"{name}: got {tuple(image.shape)}, want the shape of a frame, {tuple(frames.shape[1:])}")
    first, last = first.to(frames), last.to(frames)
    if mask is None:
        blended = frames.clone()
    else:
        time = torch.linspace(0, 1, len(frames)).to(frames) if mode == "crossfade" else frames.new_tensor([0.5])
        time = time.reshape(-1, 1, 1, 1)
        inside = pixel_mask(mask, frames)
        blended = (first * (1 - time) + last * time) * (1 - inside) + frames * inside
    blended[0], blended[-1] = first, last
    return blended
