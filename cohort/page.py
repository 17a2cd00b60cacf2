"""One HTML page of a cohort: means, failures and a strip of stages a chain. It needs no other file and no network."""

import base64
import html as markup
import io
from pathlib import Path

import pandas as pd
from PIL import Image

from ..mvg.disclaimer import STATEMENT
from . import tables
from .pictures import BrokenPicture, load
from .store import Store

HEIGHT = 96  # of a stage in the strip, pixels
MAX_STRIPS = 200
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { border-bottom: 1px solid #ddd; padding: .25rem .7rem; }
th { text-align: left; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; overflow-x: auto; } figcaption { color: #555; }
.note { background: #fff3cd; padding: .6rem 1rem; }
"""


def html(name: str, store: Store, chains: pd.DataFrame, means: pd.DataFrame) -> str:
    """The page as text; at most 200 chains have a strip."""
    failed = tables.failed(chains)
    done = chains[chains["status"] == "done"]
    title = markup.escape(f"Cohort: {name}")
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>",
        f"<h1>{title}</h1><p class='note'>{markup.escape(STATEMENT)} Every picture here is synthetic but the first "
        "of a row, which is the input.</p>",
        f"<p>{chains['patient_id'].nunique()} patients, {len(chains)} chains: {tables.counted(chains)}.</p>",
        "<h2>Scores</h2><p>Mean over patients with its bootstrap 95 % interval.</p>",
        table(tables.shown(means)),
    ]
    if len(failed):
        parts += ["<h2>Failed</h2>", table(failed)]
    parts.append("<h2>Chains</h2>")
    if len(done) > MAX_STRIPS:
        parts.append(f"<p>The first {MAX_STRIPS} of {len(done)}; all are in the folder chains.</p>")
    parts += [strip(store, row) for row in done.head(MAX_STRIPS).itertuples()]
    return "\n".join(parts) + "</html>\n"


def table(frame: pd.DataFrame) -> str:
    rows = ["<tr>" + "".join(f"<th>{markup.escape(str(name))}</th>" for name in frame.columns) + "</tr>"]
    for row in frame.itertuples(index=False):
        rows.append("<tr>" + "".join(_cell(value) for value in row) + "</tr>")
    return f"<table>{''.join(rows)}</table>"


def _cell(value: object) -> str:
    kind = " class='number'" if isinstance(value, float | int) else ""
    return f"<td{kind}>{markup.escape(tables.show(value))}</td>"


def strip(store: Store, row) -> str:
    """The stages of a chain side by side, as one embedded JPEG a series."""
    try:
        return _figures(store.folder(row.chain), row)
    except BrokenPicture as error:
        store.reopen(row.chain)
        told = f"{row.patient_id}, seed {row.seed}: {error}; the same command makes the chain again."
        return f"<p>{markup.escape(told)}</p>"


def _figures(folder: Path, row) -> str:
    caption = markup.escape(f"{row.patient_id}, seed {row.seed}")
    figures = []
    for first in sorted(folder.rglob("stage_00.png")):
        series = first.parent.relative_to(folder).as_posix()
        label = caption if series == "." else f"{caption}, {markup.escape(series)}"
        source = base64.b64encode(_joined(sorted(first.parent.glob("stage_*.png")))).decode()
        figures.append(
            f"<figure><figcaption>{label}</figcaption><img alt='stages of {label}' src='data:image/jpeg;base64,"
            f"{source}'></figure>"
        )
    return "".join(figures) or f"<p>{caption}: no stages were saved.</p>"


def _joined(paths: list[Path]) -> bytes:
    pictures = []
    for path in paths:
        picture = load(path, path.name)
        width = max(1, round(picture.width * HEIGHT / picture.height))
        pictures.append(picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.BILINEAR))
    sheet = Image.new("RGB", (sum(p.width + 2 for p in pictures), HEIGHT), "white")
    x = 0
    for picture in pictures:
        sheet.paste(picture, (x, 0))
        x += picture.width + 2
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=80, comment=STATEMENT.encode())
    return data.getvalue()
