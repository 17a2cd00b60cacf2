"""Training examples of real pictures: drawn courses, real pictures with their labels, and phantoms, in one array.

``python -m mvgen.research.courses.dataset --data CSV --split train --count 10000 --out DIR`` writes DIR/images.npy,
uint8 [n, size, size], or [n, size, size, 3] in color, which `numpy.load(..., mmap_mode="r")` reads, and
DIR/examples.jsonl, a line an image in the same order. Equal options give equal files, and no patient of the other split
is in them.
"""

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from ...mvg.domains import BUILT_IN
from ...training.data import SPLITS, TRAIN, Pictures, Record, Table, caption, read
from ...training.data.labels import NO_FINDING, finding_of
from ..phantom.captions import FINDINGS as PHANTOM_FINDINGS
from ..phantom.domains import PHANTOMS, phantom
from ..phantom.domains import sides as phantom_sides
from . import MODULES, courses

KINDS = ("drawn", "real", "phantom")
SHARES = (0.6, 0.25, 0.15)
"""Of KINDS, by default."""
GROUP = 5
"""Pictures that share one background: itself, without finding, and what is drawn on it."""
NUMBERS = 0.75
"""How often a caption says the severity as a number, as `mvg.severity_prompt` reads it, and not by its word."""
LEAST = 0.03
"""The mildest severity that is drawn."""


def _without_finding(record: Record) -> bool:
    return record.labels.get(NO_FINDING) == 1


DRAWN_ON: Mapping[str, Callable[[Record], bool]] = MappingProxyType(
    {
        "chest_xray": _without_finding,
        "fundus": _without_finding,
        "skin": lambda record: record.labels.get("nevus") == 1,
    }
)
"""Domain -> whether its findings may be drawn onto a picture. A domain's module skips what it cannot fit."""
DRAWN_AT: Mapping[str, int] = MappingProxyType({"fundus": 512})
"""Domain -> pixels that pictures have while they are drawn on, where those of the result are too few for lesions."""


JUDGES = MappingProxyType({"chest_xray": 0.4, "skin": 0.3})
"""Domain -> share of the train split's patients whom no network of the product sees: the judges learn from them."""
PARTS = ("players", "judges", "all")


def is_judges(domain: str, patient: str) -> bool:
    """Whether a patient of the train split is the judges', by a hash of the name; nobody is where none can judge."""
    digest = hashlib.blake2b(f"judges:{patient}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < JUDGES.get(domain, 0.0)


def of_part(table: Table, part: str) -> Table:
    """A table without the train patients of the other part.

    Args:
        table: of one domain.
        part: one of PARTS.

    Returns:
        The table; other splits stay whole.
    """
    kept = [
        record
        for record in table.records
        if part == "all" or record.split != TRAIN or is_judges(table.domain, record.patient) == (part == "judges")
    ]
    return replace(table, records=tuple(kept))


@dataclass(frozen=True)
class Example:
    """What one image shows and where it is from.

    Attributes:
        kind: one of KINDS.
        caption: by the domain's words; the severity in words or as a number.
        finding: what was drawn, "" for none; of real pictures and phantoms see ``findings``.
        severity: of ``finding`` in [0, 1]; 0 for none.
        side: of ``finding``, the patient's, "" where it has none.
        findings: every finding that is shown -> its severity, None where it is real and not graded.
        file, patient, view, licence: of the source record; of a phantom its seed stands for the patient.
        seed: of the course or phantom.
        group: number that a picture without finding shares with what was drawn onto it, moved and exposed alike; -1
            for what stands alone.
    """

    kind: str
    caption: str
    finding: str
    severity: float
    side: str
    findings: dict[str, float | None]
    file: str
    patient: str
    view: str
    licence: str
    seed: int
    group: int


@dataclass(frozen=True)
class _Planned:
    """An example before it is drawn: its place in the array, its kind, its record (of a phantom none), its seed.

    The first of a group is the picture that the others are drawn on.
    """

    place: int
    kind: str
    record: int
    seed: int
    group: int = -1
    before: bool = False


def phrase(domain: str, finding: str, severity: float, side: str, name: str = "", *, number: bool = False) -> str:
    """A finding as a caption names it: "severe left pleural effusion", or "0.850 left pleural effusion"."""
    words = BUILT_IN[domain]
    if not number:
        said = words.phrase(finding, severity, side)
        return said.replace(finding, name) if name else said
    return " ".join([f"{severity:.3f}", *([side] if finding in words.sided else []), name or finding])


def drawn_caption(
    domain: str, shown: Sequence[tuple[str, float, str]], rng: np.random.Generator, numbers: float = NUMBERS
) -> str:
    """Caption of findings (finding, severity, side): now and then another prefix or synonyms, mostly with numbers."""
    words, vary, number = BUILT_IN[domain], rng.random() < 0.3, rng.random() < numbers
    prefix = str(rng.choice(words.prefixes)) if vary else words.prefix
    if not shown:
        return f"{prefix}, {rng.choice(words.normal) if vary else words.normal[0]}"
    parts = []
    for finding, severity, side in shown:
        name = str(rng.choice([finding, *words.findings[finding].synonyms])) if vary else finding
        parts.append(phrase(domain, finding, severity, side, name, number=number))
    return ", ".join([prefix, *parts])


class Examples:
    """The examples of one split, in a fixed order of the seed.

    Args:
        table: of the domain.
        split: one of SPLITS; no other record is touched.
        count: how many.
        size: side in pixels.
        seed: of everything.
        shares: of KINDS.
        augment: whether drawn and real pictures are moved, turned, scaled and exposed a little.
    """

    def __init__(
        self,
        table: Table,
        split: str,
        count: int,
        size: int = 256,
        seed: int = 0,
        shares: Sequence[float] = SHARES,
        augment: bool = True,
    ):
        if count < 1:
            raise ValueError(f"count: got {count}, want at least 1")
        if len(shares) != len(KINDS) or min(shares) < 0 or sum(shares) <= 0:
            raise ValueError(f"shares: got {list(shares)}, want a share >= 0 for each of {', '.join(KINDS)}")
        self.domain, self.count, self.size, self.seed, self.augment = table.domain, count, size, seed, augment
        self.module = courses(table.domain)
        self.records = table.part(split)
        self.gray = BUILT_IN[table.domain].gray
        self.pictures = Pictures(self.records, max(size, DRAWN_AT.get(table.domain, 0)), gray=self.gray, cache_bytes=0)
        self.skipped: set[str] = set()
        self._shares = np.asarray(shares, dtype=float) / sum(shares)
        self._fit_for = [i for i, record in enumerate(self.records) if DRAWN_ON[self.domain](record)]
        self._labeled = self._by_finding()

    def _by_finding(self) -> dict[str, list[int]]:
        """finding (NO_FINDING too) -> the records with that label, for those that have any."""
        found: dict[str, list[int]] = {}
        if self._fit_for:
            found[NO_FINDING] = list(self._fit_for)
        for i, record in enumerate(self.records):
            for label, value in record.labels.items():
                finding = finding_of(label, BUILT_IN[self.domain])
                if value == 1 and finding in self.module.FINDINGS:
                    found.setdefault(finding, []).append(i)
        return found

    def _plan(self) -> list[_Planned]:
        rng = np.random.default_rng([self.seed, 11])
        kinds = rng.choice(len(KINDS), self.count, p=self._shares)
        out = []
        drawn, record = 0, -1
        for place, kind in enumerate(KINDS[k] for k in kinds):
            seed = int(rng.integers(2**31))
            if kind == "drawn":
                if not self._fit_for:
                    raise ValueError(f"data: no picture of {self.domain} lacks a finding, want some to draw on")
                group, member = divmod(drawn, GROUP)
                background = np.random.default_rng([self.seed, 15, group])
                record = int(background.choice(self._fit_for))
                out.append(_Planned(place, kind, record, seed, group, before=member == 0))
                drawn += 1
                continue
            record = -1
            if kind == "real":
                if not self._labeled:
                    raise ValueError(f"data: no picture has a label that {self.domain} draws, want some or no share")
                record = int(rng.choice(self._labeled[str(rng.choice(sorted(self._labeled)))]))
            out.append(_Planned(place, kind, record, seed))
        # a film is read and fitted once for all that is drawn on it
        return sorted(out, key=lambda example: (example.record, example.place))

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, Example]]:
        """(place, image uint8, example) of every place once, in no order of the places."""
        planned, unfit = self._plan(), []
        current, image, anatomy = -2, np.empty(0), None
        drawable: list[int] = []
        for example in planned:
            if example.kind == "phantom":
                yield example.place, *self._phantom(example.seed)
                continue
            if example.record != current:
                current, anatomy = example.record, None
                image = self._picture(current)
                if any(p.record == current and p.kind == "drawn" for p in planned):
                    anatomy = self.module.fit(image)
                    if anatomy is None:
                        self.skipped.add(self.records[current].image.name)
                    else:
                        drawable.append(current)
            if example.kind == "real":
                yield example.place, *self._real(image, current, example)
            elif anatomy is not None:
                yield example.place, *self._drawn(image, current, anatomy, example)
            else:
                unfit.append(example)
        if unfit and not drawable:
            raise ValueError(f"data: none of the pictures of {self.domain} could be fitted, want some to draw on")
        # in the place of pictures that cannot be fitted stand others that can
        moved = [(drawable[example.group % len(drawable)], example) for example in unfit]
        for record, example in sorted(moved, key=lambda pair: (pair[0], pair[1].place)):
            if record != current:
                current = record
                image = self._picture(current)
                anatomy = self.module.fit(image)
            yield example.place, *self._drawn(image, current, anatomy, example)

    def _picture(self, record: int) -> np.ndarray:
        tensor, found = self.pictures[record]
        if found != record:
            raise ValueError(f"data: {self.records[record].image} cannot be read as an image")
        picture = tensor.numpy()
        return np.ascontiguousarray(picture[0] if self.gray else np.moveaxis(picture, 0, -1))

    def _example(
        self, kind: str, text: str, shown: Mapping[str, float | None], record: int, planned: _Planned, side=""
    ) -> Example:
        source = self.records[record]
        drawn = kind == "drawn" and len(shown) > 0
        finding = next(iter(shown)) if drawn else ""
        return Example(
            kind, text, finding, float(shown[finding] or 0) if drawn else 0.0, side, dict(shown), source.image.name,
            source.patient, source.view, source.licence, planned.seed, planned.group,
        )  # fmt: skip

    def _drawn(self, image: np.ndarray, record: int, anatomy: object, planned: _Planned) -> tuple[np.ndarray, Example]:
        rng = np.random.default_rng([planned.seed, 12])
        finish = np.random.default_rng([self.seed, 16, planned.group])
        if planned.before:
            text = drawn_caption(self.domain, [], rng)
            return self._finished(image, finish), self._example("drawn", text, {}, record, planned)
        finding = str(rng.choice(self.module.FINDINGS))
        severity = round(float(rng.uniform(LEAST, 1.0)), 3)
        side = str(rng.choice(("left", "right", "bilateral"))) if finding in BUILT_IN[self.domain].sided else ""
        drawn = self.module.draw(image, finding, severity, side, planned.seed, anatomy)
        text = drawn_caption(self.domain, [(finding, severity, side)], rng)
        return self._finished(drawn, finish), self._example("drawn", text, {finding: severity}, record, planned, side)

    def _real(self, image: np.ndarray, record: int, planned: _Planned) -> tuple[np.ndarray, Example]:
        rng, words = np.random.default_rng([planned.seed, 13]), BUILT_IN[self.domain]
        source = self.records[record]
        named = (finding_of(label, words) for label, value in source.labels.items() if value == 1)
        shown: dict[str, float | None] = {f: source.severities.get(f) for f in named if f in self.module.FINDINGS}
        healthy = not shown and DRAWN_ON[self.domain](source)
        text = drawn_caption(self.domain, [], rng) if healthy else caption(source, words, rng, self.module.FINDINGS)
        return self._finished(image, rng), self._example("real", text, shown, record, planned)

    def _phantom(self, seed: int) -> tuple[np.ndarray, Example]:
        rng, module = np.random.default_rng([seed, 14]), phantom(self.domain)
        patient = module.sample_patient(seed, module.TRAINING)
        names = PHANTOM_FINDINGS[self.domain]
        chosen = rng.choice(len(names), size=int(rng.integers(0, min(2, len(names)) + 1)), replace=False)
        severities = {names[i]: round(float(rng.uniform(0.1, 1.0)), 3) for i in chosen}
        where = phantom_sides(self.domain, patient)
        image = module.render(patient, severities, self.size)
        text = drawn_caption(self.domain, [(f, s, where.get(f, "")) for f, s in severities.items()], rng)
        pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        return pixels, Example("phantom", text, "", 0.0, "", dict(severities), "", f"phantom:{seed}", "", "", seed, -1)

    def _finished(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8, and where asked for moved and exposed a little, as another film of the same patient would be."""
        if image.shape[0] > self.size:
            image = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        if self.augment:
            middle, shape = (self.size / 2, self.size / 2), (self.size, self.size)
            turn = cv2.getRotationMatrix2D(middle, rng.normal(0, 1.5), float(np.exp(rng.normal(0.03, 0.03))))
            turn[:, 2] += rng.normal(0, 0.01 * self.size, 2)
            image = cv2.warpAffine(image, turn, shape, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
            image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.1))
        return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def write(examples: Examples, out: Path) -> dict:
    """Writes images.npy, examples.jsonl and about.json into a folder; what about.json holds."""
    out.mkdir(parents=True, exist_ok=True)
    shape = (examples.count, examples.size, examples.size) + (() if examples.gray else (3,))
    images = np.lib.format.open_memmap(out / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    told: list[Example | None] = [None] * examples.count
    start = time.process_time()
    for place, image, example in examples:
        images[place], told[place] = image, example
    images.flush()
    seconds = time.process_time() - start
    lines = [asdict(example) for example in told if example is not None]
    (out / "examples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    about = {
        "domain": examples.domain,
        "count": examples.count,
        "size": examples.size,
        "seed": examples.seed,
        "kinds": dict(Counter(line["kind"] for line in lines)),
        "drawn": dict(Counter(line["finding"] for line in lines if line["finding"])),
        "patients": len({line["patient"] for line in lines if line["kind"] != "phantom"}),
        "without_anatomy": sorted(examples.skipped),
        "licences": sorted({line["licence"] for line in lines if line["licence"]}),
    }
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return {**about, "ms_an_image": 1000 * seconds / examples.count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", choices=sorted(set(MODULES) & set(PHANTOMS)), default="chest_xray")
    parser.add_argument("--data", type=Path, required=True, help="a data set as `run.py train classifier` takes it")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--patients", choices=PARTS, default="players", help="whose train pictures (default: players)")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shares", type=float, nargs=len(KINDS), default=SHARES, metavar=("DRAWN", "REAL", "PHANTOM"))
    parser.add_argument("--as-they-are", action="store_true", help="pictures are not moved and exposed a little")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table = of_part(read(options.data, domain=options.domain), options.patients)
    examples = Examples(
        table, options.split, options.count, options.size, options.seed, options.shares, not options.as_they_are
    )
    about = write(examples, options.out)
    print(f"{about['count']} images of {about['patients']} patients in {options.out}: {about['kinds']}")
    print(f"{about['ms_an_image']:.1f} ms of processor time an image")
    print(f"no anatomy, so nothing drawn, in {len(about['without_anatomy'])} pictures")


if __name__ == "__main__":
    main()
