"""A user's own material in the place of phantoms: healthy start images, regions, prompts, and sets of both kinds."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...mvg.picture_file import read_picture
from ...mvg.picture_fit import fit_square
from ...mvg.plan import Plan, Stage

SUFFIXES = (".png", ".jpg", ".jpeg")


def image_files(folder: Path, option: str) -> list[Path]:
    """The pictures of a folder in the order of their names; ValueError where there is none."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not files:
        raise ValueError(f"{option}: got {folder}, want a folder with pictures ({', '.join(SUFFIXES)})")
    return files


def read_image(path: Path, size: int) -> torch.Tensor:
    """[size, size, 3] in [0, 1], as Load Medical Image has it: the middle square; ValueError naming a bad file."""
    image = read_picture(path, name=str(path)).image
    return fit_square(image[None], size, "crop")[0][0]


def read_mask(path: Path, size: int) -> torch.Tensor:
    return read_image(path, size)[..., 0]


def read_images(files: list[Path], size: int) -> torch.Tensor:
    return torch.stack([read_image(file, size) for file in files])


@dataclass(frozen=True)
class UserPatients:
    """`evaluation.Group` of files: one prompt for every stage, as in the paper."""

    domain: str
    finding: str
    prompt: str
    source: str
    files: tuple[Path, ...]
    images: torch.Tensor
    masks: torch.Tensor | None

    @property
    def names(self) -> tuple[str, ...]:
        """The files by name and content, with the prompts: what a run depends on."""
        about = hashlib.blake2b(f"{self.prompt}\n{self.source}".encode(), digest_size=4)
        if self.masks is not None:
            about.update(self.masks.numpy().tobytes())
        digests = (hashlib.blake2b(i.numpy().tobytes(), digest_size=6).hexdigest() for i in self.images)
        return tuple(f"{f.name} {d} {about.hexdigest()}" for f, d in zip(self.files, digests, strict=True))

    def part(self, start: int, stop: int) -> "UserPatients":
        cut = slice(start, stop)
        masks = None if self.masks is None else self.masks[cut]
        return replace(self, files=self.files[cut], images=self.images[cut], masks=masks)

    def region(self, name: str) -> torch.Tensor | None:
        """ "fitted": the user's own; "none"."""
        return {"fitted": self.masks, "none": None}[name]

    def plans(self, stages: int, mode: str) -> list[Plan]:
        steps = [
            Stage(prompt=self.prompt, finding=self.finding, severity=(n + 1) / stages, source=self.source)
            for n in range(stages)
        ]
        return [Plan(self.domain, self.finding, "", tuple(steps))] * len(self.files)


def user_patients(options, size: int) -> UserPatients:
    """From the options --images, --masks, --prompt, --healthy-prompt and --finding of a bench."""
    files = image_files(options.images, "--images")
    masks = None
    if options.masks is not None:
        by_stem = {f.stem: f for f in image_files(options.masks, "--masks")}
        missing = [f.stem for f in files if f.stem not in by_stem]
        if missing:
            raise ValueError(f"--masks: got none for {missing[0]} ({len(missing)} missing), want one of its name")
        masks = torch.stack([read_mask(by_stem[f.stem], size) for f in files])
    images = read_images(files, size)
    return UserPatients("own", options.finding, options.prompt, options.healthy_prompt, tuple(files), images, masks)
