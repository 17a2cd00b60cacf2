"""Small films, and studies of them, for the tests."""

import csv
import secrets
from pathlib import Path

import av
import numpy as np
from mvgen.study import create
from mvgen.study.manifest import Check, Film, Study
from mvgen.study.sources import Clip
from mvgen.study.store import Store

DOMAINS = {"chest_xray": "edema", "skin": "melanoma"}
SMALL = {"side": 64, "seconds": 0.6}


def film(path: Path, tone: int, frames: int = 6, size: tuple[int, int] = (48, 64), **metadata: str) -> Path:
    """A gray picture in which a bright bar walks down."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libx264" if path.suffix == ".mp4" else "libvpx-vp9", rate=8)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for n in range(frames):
            picture = np.full((*size, 3), tone, np.uint8)
            picture[n * size[0] // frames :][:6] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def clips(folder: Path, methods: tuple[str, ...] = ("MVG", "Pika"), patients: int = 2) -> list[Clip]:
    """A film of every method for every patient, of two domains."""
    found = []
    for m, method in enumerate(methods):
        for domain, finding in DOMAINS.items():
            for n in range(patients):
                path = film(folder / f"{method}_{domain}_{n}.mp4", 40 + 30 * m + 5 * n, title=method)
                found.append(Clip(method, domain, f"P{n}", path, finding))
    return found


def made(folder: Path, methods: tuple[str, ...] = ("MVG", "Pika"), patients: int = 2, **wish) -> Path:
    """A study on disk."""
    create.new(folder / "study", clips(folder / "clips", methods, patients), create.Wish(**SMALL | wish))
    return folder / "study"


def table(path: Path, rows: list[list[str]], head: tuple[str, ...] = ("method", "domain", "patient", "file")) -> Path:
    """A list of clips."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def unfilmed(methods: list[str], domains: list[str], patients: int, **settings) -> Study:
    """A study of films that no file holds, for what never looks at one."""

    def name() -> str:
        return f"{secrets.token_hex(8)}.mp4"

    films = [
        Film(file=name(), method=method, domain=domain, patient=f"P{n}", finding="edema", sha256="0" * 64)
        for domain in domains
        for n in range(patients)
        for method in methods
    ]
    checks = [Check(film=films[0].file, broken=name(), sha256="0" * 64)] if settings.pop("checked", False) else []
    findings = {domain: ["edema", "no finding"] for domain in domains}
    return Study(title="t", methods=methods, films=films, findings=findings, checks=checks, **settings)


def opened(folder: Path, study: Study) -> Store:
    """Its votes, in an empty folder."""
    folder.mkdir(exist_ok=True)
    return Store(folder, study)
