"""One HTML page of a cohort: means, failures and the stages of every chain. It needs no other file and no network."""

import base64
import io
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from ..mvg.disclaimer import STATEMENT
from . import tables
from .pictures import BrokenPicture, load
from .store import Store

HEIGHT = 160  # of a stage, pixels
MAX_STRIPS = 200


@dataclass(frozen=True)
class Scores:
    """A table of one finding and one method: a row a metric, a column a stage."""

    title: str
    head: list[str]
    rows: list[list[object]]


@dataclass(frozen=True)
class Link:
    """A file beside the page. path: relative to it, quoted."""

    title: str
    path: str


@dataclass(frozen=True)
class Strip:
    """The stages of a chain, or of one series of it.

    Attributes:
        caption: Patient, seed, finding and series.
        jpegs: The stages in base64; none where ``problem`` says why.
        curve: Points of the Conf of the finding in a box of 100 x 40; values: the same in words.
        severity: Points of the severity where the classifier reads it; severities: the same in words.
    """

    caption: str
    finding: str
    notes: str
    jpegs: list[str] = field(default_factory=list)
    problem: str = ""
    links: list[Link] = field(default_factory=list)
    curve: str = ""
    values: str = ""
    severity: str = ""
    severities: str = ""


def html(name: str, store: Store, chains: pd.DataFrame, scores: pd.DataFrame, means: pd.DataFrame) -> str:
    """The page. A chain whose pictures turn out to be broken is opened again, so that the next run makes it.

    Args:
        name: Of the workflow.
        store: Where the chains are; at most 200 of them are shown with pictures.
        chains: From ``tables.chains``.
        scores: From ``tables.scores``.
        means: From ``tables.summary``.

    Returns:
        HTML without any reference to the network.
    """
    done = chains[chains["status"] == "done"]
    curves = {metric: dict(_curves(scores, metric)) for metric in ("conf", "severity")}
    return _template().render(
        name=name,
        statement=STATEMENT,
        height=HEIGHT,
        patients=chains["patient_id"].nunique(),
        count=len(chains),
        states=tables.counted(chains),
        left_out=tables.left_out(chains),
        scores=list(score_tables(means)),
        failed=tables.failed(chains).to_numpy().tolist(),
        chains=[(row, list(_links(store, store.folder(row.chain)))) for row in chains.itertuples(index=False)],
        hidden=max(0, len(done) - MAX_STRIPS),
        strips=[strip for row in done.head(MAX_STRIPS).itertuples() for strip in _strips(store, row, curves)],
    )


def _template() -> jinja2.Template:
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=folder, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["show"] = tables.show
    return environment.get_template("page.html.jinja")


def score_tables(means: pd.DataFrame) -> Iterator[Scores]:
    """A table a finding and method, of the finding that progresses.

    Args:
        means: From ``tables.summary``.

    Yields:
        The tables, sorted by finding and method.
    """
    for (finding, series), group in tables.targeted(means).groupby(["finding", "series"], sort=True):
        stages = sorted(group["stage"].dropna().unique())
        titles = [*(["all stages"] if group["stage"].isna().any() else []), *(f"stage {n}" for n in stages)]
        rows: list[list[object]] = []
        for (metric, model, settings), part in group.groupby(["metric", "model", "settings"], sort=True):
            cells = {
                "all stages" if row.stage is pd.NA else f"stage {row.stage}": _interval(row.mean, row.low, row.high)
                for row in part.itertuples()
            }
            about = ", ".join(filter(None, [model, tables.plain(settings)]))
            rows.append([metric, about, int(part["patients"].max()), *(cells.get(title, "") for title in titles)])
        title = ", ".join(filter(None, [finding, series])) or "All chains"
        yield Scores(title, ["metric", "by", "patients", *titles], rows)


def _interval(mean: float, low: float, high: float) -> str:
    """A mean and its interval to three digits; no interval where there is none."""
    return f"{mean:.3g} ({low:.3g} to {high:.3g})" if low == low else f"{mean:.3g}"


def _curves(scores: pd.DataFrame, metric: str) -> Iterator[tuple[tuple[str, str], list[float]]]:
    """(chain, series) -> a metric of the finding that progresses, stage by stage."""
    rows = tables.targeted(scores[(scores["metric"] == metric) & scores["stage"].notna()])
    for key, part in rows.groupby(["chain", "series"]):
        yield key, part.sort_values("stage").drop_duplicates("stage")["value"].tolist()


def _strips(store: Store, row, curves: dict[str, dict[tuple[str, str], list[float]]]) -> Iterator[Strip]:
    folder = store.folder(row.chain)
    caption = ", ".join(filter(None, [row.patient_id, f"seed {row.seed}", row.finding]))
    firsts = sorted(folder.rglob("stage_00.png"))
    try:
        strips = [[_thumbnail(path) for path in sorted(first.parent.glob("stage_*.png"))] for first in firsts]
    except BrokenPicture as error:
        store.reopen(row.chain)
        yield Strip(caption, row.finding, row.notes, problem=f"{error}; the same command makes the chain again.")
        return
    if not firsts:
        yield Strip(caption, row.finding, row.notes, problem="No stages were saved.")
    for first, jpegs in zip(firsts, strips, strict=True):
        series = first.parent.relative_to(folder).as_posix().removeprefix(".")
        conf, severity = (curves[metric].get((row.chain, series), []) for metric in ("conf", "severity"))
        yield Strip(
            ", ".join(filter(None, [caption, series])),
            row.finding,
            row.notes,
            jpegs,
            links=list(_links(store, first.parent)),
            curve=_points(conf),
            values=_words(conf),
            severity=_points(severity),
            severities=_words(severity),
        )


def _links(store: Store, folder: Path) -> Iterator[Link]:
    base = folder.relative_to(store.out).as_posix()
    for title, name in (("film", "video.mp4"), ("provenance", "provenance.json"), ("folder", "")):
        if (folder / name).exists():
            yield Link(title, urllib.parse.quote(f"{base}/{name}"))


def _words(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _points(values: list[float]) -> str:
    """Values in [0, 1] as points of an SVG line in a box of 100 x 40."""
    if len(values) < 2:
        return ""
    step = 100 / (len(values) - 1)
    return " ".join(f"{n * step:.1f},{40 * (1 - min(1.0, max(0.0, value))):.1f}" for n, value in enumerate(values))


def _thumbnail(path: Path) -> str:
    """A picture of the page's height as JPEG in base64."""
    picture = load(path, path.name)
    width = max(1, round(picture.width * HEIGHT / picture.height))
    data = io.BytesIO()
    small = picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.BILINEAR)
    small.save(data, "JPEG", quality=80, comment=STATEMENT.encode())
    return base64.b64encode(data.getvalue()).decode()
