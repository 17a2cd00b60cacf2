"""Whether what the networks draw from noise is a copy of a training picture (Carlini et al. 2023).

Of every sample the nearest training picture is found, by pixels and by CLIP-I. A copy is far nearer to one picture than
to others: its distance over the mean distance of its next NEXT neighbours of other patients is compared with COPY and
with the same ratio of real val pictures, none of which is in the training data, and of second pictures of training
patients, which shows what the ratio of a known patient is like.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ....mvg import pie
from ....mvg.ddim import ddim_denoise
from ....mvg.domains import BUILT_IN
from ....training.data import TRAIN, VAL, Record, Table, caption
from ...courses.dataset import is_judges
from ..bars import Verdict, interval, verdict
from ..figures import save_image
from .options import as_table, simulator, table_of
from .pictures import as_image, read_picture
from .simulated import Simulator

COPY = 0.5
"""Of the ratio, below which a sample counts as a copy, as in Carlini et al."""
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
    lines, verdicts, order = [], [], {}
    ways: dict[str, Callable[[Tensor], np.ndarray]] = {"pixels": pixels}
    if made.checkpoint is None:
        ways["CLIP-I"] = lambda pictures: embedded(made, pictures)
    for name, of in ways.items():
        training = of(theirs)
        rows = {
            f"{len(drawn)} samples": nearest(of(drawn), training, owners),
            f"{len(val)} val pictures": nearest(of(other), training, owners, [r.patient for r in val]),
        }
        if again:
            rows[f"{len(again)} pictures, to another of the same patient"] = nearest(
                training[again], training, owners, [owners[i] for i in again], own=True
            )
        for what, (distances, _, ratios) in rows.items():
            quantiles = " / ".join(f"{q:.3f}" for q in np.quantile(ratios, (0, 0.05, 0.5)))
            lines.append([name, what, f"{distances.min():.4f}", f"{np.median(distances):.4f}", quantiles])
        distances, places, ratios = rows[f"{len(drawn)} samples"]
        verdicts.append(verdict(f"copies among samples, {name}", (ratios < COPY).astype(float), high=0.0))
        order[name] = (np.argsort(ratios)[:3], places)
        print(f"{name}: mean ratio of the samples {interval(ratios)[0]:.3f}", flush=True)
    print(as_table(["by", "of", "least distance", "median distance", "ratio: least / 5 % / median"], lines))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        pairs = [torch.cat([drawn[i], theirs[places[i]]], 1) for chosen, places in order.values() for i in chosen]
        save_image(torch.cat(pairs), options.out / f"nearest_{options.domain}.png")
        print(f"the three nearest pairs by each (sample, training picture): {options.out}")
    return verdicts
