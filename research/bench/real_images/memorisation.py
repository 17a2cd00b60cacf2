"""Whether what the networks draw from noise is a copy of a training picture.

Of every sample the nearest training picture is found, by pixels and by CLIP-I. A copy is far nearer to one picture than
to others: looked at is its distance over the mean distance of its next NEXT neighbours of other patients (Carlini et
al. 2023). What a copy would measure is known: training pictures, moved and exposed a little as the training does, go
through the VAE, and 95 % of them have a ratio of at most so much. A sample at or below counts as a copy. How many
pictures of val do, which can be none, is the bar; pairs of films of one patient stand beside.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ....mvg import pie
from ....mvg.ddim import ddim_denoise
from ....mvg.domains import BUILT_IN
from ....training.data import TRAIN, VAL, Record, Table, caption
from ...courses.dataset import is_judges
from ..bars import Verdict, verdict
from ..figures import save_image
from .options import as_table, simulator, table_of
from .pictures import as_image, read_picture
from .simulated import Simulator

REFERENCES = 48
"""Training pictures of which copies are made on purpose."""
NEXT = 50
PIXELS = 64
"""Side at which pixels are compared."""
STEPS = 20


def prompts(records: Sequence[Record], domain: str, count: int) -> list[str]:
    """Captions of training pictures, drawn at random."""
    rng = np.random.default_rng(47)
    chosen = rng.integers(0, len(records), count)
    return [caption(records[i], BUILT_IN[domain], rng) for i in chosen]


@torch.inference_mode()
def samples(made: Simulator, said: Sequence[str], steps: int, guidance: float) -> Tensor:
    """Pictures [n, H, W, 3] drawn from noise, each kept on disk once it is made.

    Args:
        made: whose networks draw.
        said: a prompt a picture; its place is the seed of its noise.
        steps: of DDIM.
        guidance: against the empty prompt.
    """
    about = f"{made.about['networks']} {made.domain} {made.size}"
    folder = made.folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)

    def path(i: int):
        text = f"{about} {steps} {guidance} {i} {said[i]}"
        return folder / f"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}.npy"

    missing = [i for i in range(len(said)) if not path(i).is_file()]
    for begin in range(0, len(missing), made.batch):
        part = missing[begin : begin + made.batch]
        networks = made.networks
        sigmas = networks.sigmas(made.settings["scheduler"], steps, steps)
        texts = networks.text([said[i] for i in part]), networks.text([""] * len(part))
        like = networks.encode(torch.zeros(1, made.size, made.size, 3))
        rows = [torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(i)) for i in part]
        noise = torch.stack(rows).to(like)
        x = pie.direct_run(networks.denoiser(*texts, guidance))(ddim_denoise, torch.zeros_like(noise), noise, sigmas)
        for i, picture in zip(part, networks.decode(x).clamp(0, 1).numpy(), strict=True):
            np.save(path(i), (picture * 255).round().astype(np.uint8))
        print(f"  {begin + len(part)} of {len(missing)} samples", flush=True)
    return torch.stack([torch.from_numpy(np.load(path(i)).astype(np.float32) / 255) for i in range(len(said))])


def pixels(pictures: Tensor) -> np.ndarray:
    """[n, F]: small pictures of even exposure, so that a copy of another brightness is one too."""
    small = torch.nn.functional.interpolate(
        pictures.movedim(-1, 1).mean(1, keepdim=True), (PIXELS, PIXELS), mode="area"
    )
    flat = small.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return (flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-6)).numpy()


def embedded(made: Simulator, pictures: Tensor) -> np.ndarray:
    """[n, D] of the set's CLIP tower, of length 1."""
    parts = torch.cat([made.networks.embed(part) for part in pictures.split(32)])
    return (parts / parts.norm(dim=1, keepdim=True)).numpy()


def nearest(
    x: np.ndarray, training: np.ndarray, owners: Sequence[str], patients: Sequence[str] | None = None, own: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row the nearest training picture.

    Args:
        x: features [n, F] of length 1.
        training: [m, F].
        owners: [m] patients of these.
        patients: [n] those of x, who are left out among the training pictures; with ``own`` the nearest of their own
            is looked for instead, itself excepted, and the neighbours are of others.
        own: see there.

    Returns:
        distances [n] (1 - cosine), indices [n], and ratios [n] to the mean distance of NEXT others.
    """
    far = 1 - x @ training.T
    whose = np.asarray(owners)
    distances, places, ratios = [], [], []
    for i, row in enumerate(far):
        mine = np.zeros(len(row), bool) if patients is None else whose == patients[i]
        among = np.flatnonzero(mine & (row > 1e-6)) if own else np.flatnonzero(~mine)
        place = among[np.argmin(row[among])]
        others = np.sort(row[whose != whose[place]] if not own else row[~mine])[:NEXT]
        distances.append(row[place])
        places.append(place)
        ratios.append(row[place] / max(float(others.mean()), 1e-9))
    return np.array(distances), np.array(places), np.array(ratios)


def second_films(records: Sequence[Record]) -> list[int]:
    """Indices of pictures whose patient has another one."""
    people = [r.patient for r in records]
    return [i for i, name in enumerate(people) if people.count(name) > 1]


def seen_by_players(table: Table) -> list[Record]:
    return [r for r in table.records if r.split == TRAIN and not is_judges(table.domain, r.patient)]


def ways_of(made: Simulator) -> dict[str, Callable[[Tensor], np.ndarray]]:
    """How pictures are compared: a checkpoint of a user brings no CLIP tower along."""
    ways: dict[str, Callable[[Tensor], np.ndarray]] = {"pixels": pixels}
    if made.checkpoint is None:
        ways["CLIP-I"] = lambda pictures: embedded(made, pictures)
    return ways


@torch.inference_mode()
def copied(made: Simulator, pictures: Tensor) -> Tensor:
    """Pictures [n, H, W, 3] moved and exposed as `research.courses.dataset` does, and through the VAE."""
    rng, size = np.random.default_rng(59), pictures.shape[1]
    moved = []
    for picture in pictures.numpy():
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 1.5), float(np.exp(rng.normal(0.03, 0.03))))
        turn[:, 2] += rng.normal(0, 0.01 * size, 2)
        image = cv2.warpAffine(picture, turn, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        moved.append(np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.1)))
    parts = torch.from_numpy(np.stack(moved).astype(np.float32)).split(8)
    return torch.cat([made.networks.decode(made.networks.encode(part)) for part in parts]).clamp(0, 1)


def run(options: argparse.Namespace) -> list[Verdict]:
    """Prints distances and ratios of samples, val pictures and second pictures; ``--count`` is of samples here."""
    table, made = table_of(options), simulator(options)
    known = seen_by_players(table)
    theirs = torch.stack([as_image(read_picture(r, options.domain, options.size)) for r in known])
    val = list(table.part(VAL))
    other = torch.stack([as_image(read_picture(r, options.domain, options.size)) for r in val])
    said = prompts(known, options.domain, options.count)
    drawn = samples(made, said, options.steps or STEPS, options.guidance or made.settings["guidance"])
    owners = [r.patient for r in known]
    again = second_films(known)
    chosen = np.random.default_rng(53).permutation(len(known))[:REFERENCES]
    copies = copied(made, theirs[chosen])
    lines, verdicts, order = [], [], {}
    counted: dict[str, list[np.ndarray]] = {}
    for name, of in ways_of(made).items():
        training = of(theirs)
        rows = {
            "samples": nearest(of(drawn), training, owners),
            "val pictures": nearest(of(other), training, owners, [r.patient for r in val]),
            "copies made on purpose": nearest(of(copies), training, owners),
        }
        if again:
            rows["pictures, to another of the same patient"] = nearest(
                training[again], training, owners, [owners[i] for i in again], own=True
            )
        limit = float(np.quantile(rows["copies made on purpose"][2], 0.95))
        for what, (distances, _, ratios) in rows.items():
            quantiles = " / ".join(f"{q:.3f}" for q in np.quantile(ratios, (0, 0.05, 0.5, 0.95)))
            share = f"{(ratios <= limit).mean():.3f}"
            lines.append([name, f"{len(ratios)} {what}", f"{distances.min():.4f}", f"{np.median(distances):.4f}",
                          quantiles, share])  # fmt: skip
        counted[name] = [rows[what][2] <= limit for what in ("samples", "val pictures")]
        order[name] = (np.argsort(rows["samples"][2])[:3], rows["samples"][1])
    counted["both"] = [np.logical_and.reduce(pair) for pair in zip(*counted.values(), strict=True)]
    for name, (mine, unseen) in counted.items():
        verdicts.append(verdict(f"copies among samples by {name}", mine.astype(float), high=float(unseen.mean())))
    head = ["by", "of", "least distance", "median distance", "ratio: least / 5 % / median / 95 %", "as near as a copy"]
    print(as_table(head, lines))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        pairs = [torch.cat([drawn[i], theirs[places[i]]], 1) for least, places in order.values() for i in least]
        save_image(torch.cat(pairs), options.out / f"nearest_{options.domain}.png")
        print(f"the three nearest pairs by each (sample, training picture): {options.out}")
    return verdicts
