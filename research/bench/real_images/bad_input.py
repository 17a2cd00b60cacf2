"""Pictures that should not be given: what is told of each, and what is drawn.

Of a film of val: turned upside down, inverted (white on black), and mirrored, so that sides are swapped. A CT slice and
a photograph of a cat, which come with packages of this repository's environment (pydicom, scikit-image), are other
kinds of pictures. A lateral film and a child's film are not among the open data; files of one's own are added with
``--files``.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ....mvg.domains import BUILT_IN
from ....mvg.inspection import inspect_file
from ....mvg.picture_file import read_picture
from ....mvg.picture_fit import fit_square
from ....mvg.plan import Plan
from ....mvg.recaption.offline import recaption
from ....mvg.regions import roi_mask
from ...courses import contact_sheet
from ..bars import PIE, Verdict
from .options import as_table, findings_of, simulator, table_of
from .pictures import healthy_pictures
from .simulated import Simulator

CAT, SLICE = "photograph of a cat", "CT slice"


@dataclass(frozen=True)
class Given:
    """A picture as Load Medical Image gives it on, [size, size, 3], and the report that it comes with."""

    domain: str
    finding: str
    pixels: Tensor

    def image(self) -> Tensor:
        return self.pixels

    def plan(self, stages: int, mode: str, known, control: bool = False) -> Plan:
        side = "left " if self.finding in BUILT_IN[self.domain].sided else ""
        text = "No finding." if control else f"Developing {side}{self.finding}."
        return recaption(text, self.domain, stages, mode=mode, known=known)

    def region(self, known) -> Tensor:
        return roi_mask(self.pixels[None], self.plan(1, "terminal", known))[0][0]


def bad_files(film: Tensor, folder: Path, more: list[Path]) -> Iterator[tuple[str, Path]]:
    """(what it is, its file) of the module's list.

    Args:
        film: [H, W, 3] in [0, 1], a usual one.
        folder: where changed films are written.
        more: files of one's own.
    """
    pixels = (film.numpy() * 255).round().astype(np.uint8)
    changed = {
        "as it is": pixels,
        "upside down": pixels[::-1, ::-1],
        "inverted": 255 - pixels,
        "mirrored": pixels[:, ::-1],
    }
    for name, array in changed.items():
        path = folder / f"{name.replace(' ', '_')}.png"
        gray = (array[..., 0] == array[..., 1]).all() and (array[..., 0] == array[..., 2]).all()
        Image.fromarray(np.ascontiguousarray(array[..., 0] if gray else array)).save(path)
        yield name, path
    others = {
        SLICE: _package_file("pydicom", "data/test_files/CT_small.dcm"),
        CAT: _package_file("skimage", "data/chelsea.png"),
    }
    for name, found in others.items():
        if found is None or not found.is_file():
            print(f"left out, as its package is not installed: {name}")
            continue
        yield name, found
        path = folder / f"{name.replace(' ', '_')}.png"
        Image.fromarray(gray_pixels(found)).save(path)
        yield f"{name} as a gray PNG", path
    yield from ((path.name, path) for path in more)


def gray_pixels(path: Path) -> np.ndarray:
    """uint8 [H, W] of any picture or DICOM slice, its range stretched: as it looks where a viewer exports it."""
    if path.suffix == ".dcm":
        from pydicom import dcmread

        values = dcmread(path).pixel_array.astype(np.float32)
    else:
        values = np.asarray(Image.open(path).convert("L"), np.float32)
    low, high = np.percentile(values, (1, 99))
    return (np.clip((values - low) / max(float(high - low), 1e-6), 0, 1) * 255).round().astype(np.uint8)


def _package_file(package: str, name: str) -> Path | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / name


def run(options: argparse.Namespace) -> list[Verdict]:
    """Prints what is told and drawn; with ``--out`` a sheet of the pictures, a row each."""
    table, made = table_of(options), simulator(options)
    finding = findings_of(options, made)[0]
    film = healthy_pictures(table, options.of, 1, options.size, first=options.first)[0].image()
    lines, rows, labels = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in bad_files(film, Path(folder), options.files):
            told = inspect_file(path, options.domain)
            try:
                picture = read_picture(path, gray=BUILT_IN[options.domain].gray, name=name)
                pixels, fitted = fit_square(picture.image[None], options.size, "crop")
                case = Given(options.domain, finding, pixels[0])
                _, region = roi_mask(pixels, case.plan(1, "terminal", made.known))
                states = made.states([case], PIE, options.stages)[0]
            except ValueError as error:
                lines.append([name, "; ".join(told.get("notes", [])), f"refused: {error}", "", ""])
                continue
            change = float((states[-1] - states[0]).abs().mean())
            notes = "; ".join([*told.get("notes", []), fitted])
            lines.append([name, notes, region, f"{change:.4f}", _conf(made, states, finding)])
            rows.append([state.numpy() for state in states])
            labels.append(name)
    print(
        as_table(["given", "told on loading", "told of the region", "mean change drawn", f"Conf of {finding}"], lines)
    )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        file = options.out / f"bad_input_{options.domain}.png"
        Image.fromarray(contact_sheet(rows, labels, options.tile)).save(file)
        print(f"pictures: {file}")
    return []


def _conf(made: Simulator, states: Tensor, finding: str) -> str:
    """Of the first and last state, by the product's own classifier; "" where it does not read the finding."""
    classifier = made.networks.classifier
    if classifier is None or finding not in classifier.outputs:
        return ""
    read = classifier.conf(states[[0, -1]])[:, classifier.outputs.index(finding)]
    return " -> ".join(f"{value:.2f}" for value in read.tolist())
