"""The score table: rows of every score, and files that are complete or not there."""

import csv
import io
import json
import sys

import pytest
import torch
from mvgen.mvg.metrics.plot import comparison_sheet
from mvgen.mvg.metrics.table import COLUMNS, Row, merge, read_csv, rows_of, to_csv, write_csv, write_parquet
from mvgen.mvg.metrics.table_text import by_method, by_stage, markdown, of_target

CONF = {
    "metric": "conf",
    "model": "dense",
    "finding": "edema",
    "values": [0.1, 0.9],
    "all": {"edema": [0.1, 0.9], "nodule": [0, 1]},
}
CLIP = {"metric": "clip_i", "model": "tiny", "values": [0.98, 0.9], "mean": 0.94}
CURVE = {"metric": "change", "values": [0.3, 0.2], "delta": None, "stopped": 2}
KID = {"metric": "kid", "model": "tiny", "values": [-0.01], "std": 0.02, "n": 60, "subset_size": 50, "note": "words"}
MAE = {
    **{"metric": "mae", "values": [0.1], "first_stage": 7, "register": "rigid", "registration": [{"matrix": []}]},
    "parts": [
        {"metric": "mae", "region": "inside", "values": [0.1]},
        {"metric": "psnr", "region": "inside", "values": ["inf"]},
    ],
}


GRADED = {
    **{"metric": "conf", "model": "dense", "scale": "probability", "finding": "edema", "values": [0.1, 0.9]},
    "severity": {"values": [0.0, 0.4], "all": {"edema": [0.0, 0.4], "nodule": [0.2, 0.3]}},
}


def short(rows):
    return [(row.stage, row.metric, row.value, json.loads(row.settings)) for row in rows]


def test_rows_of_every_score():
    assert short(rows_of(CONF, "a")) == [
        (0, "conf", 0.1, {"finding": "edema"}),
        (1, "conf", 0.9, {"finding": "edema"}),
        (0, "conf", 0.0, {"finding": "nodule"}),
        (1, "conf", 1.0, {"finding": "nodule"}),
    ]
    assert short(rows_of(json.dumps(CLIP), "a")) == [
        (1, "clip_i", 0.98, {}),
        (2, "clip_i", 0.9, {}),
        (None, "clip_i", 0.94, {}),
    ]
    assert short(rows_of(CURVE, "a")) == [(1, "change", 0.3, {"delta": None}), (2, "change", 0.2, {"delta": None})]
    edema, nodule = ({"finding": finding, "scale": "severity"} for finding in ("edema", "nodule"))
    assert short(rows_of(GRADED, "a"))[2:] == [
        *((0, "severity", 0.0, edema), (1, "severity", 0.4, edema)),
        *((0, "severity", 0.2, nodule), (1, "severity", 0.3, nodule)),
    ]
    size = {"n": 60, "subset_size": 50}
    assert short(rows_of(KID, "a")) == [(None, "kid", -0.01, size), (None, "kid_std", 0.02, size)]
    inside = {"region": "inside", "register": "rigid"}
    assert short(rows_of(MAE, "a")) == [(7, "mae", 0.1, inside), (7, "psnr", float("inf"), inside)]
    assert [row.model for row in rows_of(CONF, "a")] == ["dense"] * 4
    assert rows_of(KID, "a")[0].settings == '{"n": 60, "subset_size": 50}'


@pytest.mark.parametrize(
    ("scores", "chain", "words"),
    [
        (CONF, " ", "chain: got no name"),
        ({"values": [1]}, "a", "scores: got something that is no score"),
        ([1], "a", "scores: got something that is no score"),
        ({"metric": "kid", "values": [1, 2]}, "a", "scores: got 2 values of kid without first_stage"),
        ({**CLIP, "values": [0.9, float("nan")]}, "a", "clip_i: got NaN at stage 2 of chain 'a'"),
        ({**CLIP, "values": ["high"]}, "a", "clip_i: got 'high', want a number"),
        ({**CLIP, "values": [None]}, "a", "clip_i: got None, want a number"),
    ],
)
def test_bad_scores_are_refused_by_name(scores, chain, words):
    with pytest.raises(ValueError, match=words):
        rows_of(scores, chain)


def test_a_table_comes_back_from_its_file(tmp_path):
    rows = [row for scores in (CONF, CLIP, CURVE, KID, MAE) for row in rows_of(scores, 'a "b", c\nd')]
    write_csv(rows, tmp_path / "scores.csv")
    assert read_csv(tmp_path / "scores.csv") == rows
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.csv"]
    assert to_csv([]) == ",".join(COLUMNS) + "\n"
    assert to_csv([Row("a", None, "kid", 0.1 + 0.2, "m", "{}")]).endswith("a,,kid,0.30000000000000004,m,{}\n")


def test_a_failed_write_leaves_the_table_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    good = rows_of(CLIP, "a")
    write_csv(good, path)
    with pytest.raises(ValueError, match="got NaN"):
        write_csv([Row("a", 1, "clip_i", float("nan"), "m", "{}")], path)
    with pytest.raises(ValueError, match="rows: got two of clip_i, stage 1, chain 'a'"):
        write_csv(good + good, path)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_csv(rows_of(CURVE, "a"), path)
    assert read_csv(path) == good
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.csv"]


def test_merge_keeps_the_last_value_of_a_key():
    old, new = rows_of(CLIP, "a"), rows_of({**CLIP, "values": [0.97]}, "a")
    merged = merge(old, rows_of(CLIP, "b"), new)
    assert [(row.chain, row.stage, row.value) for row in merged] == [
        *(("a", 1, 0.97), ("a", 2, 0.9), ("a", None, 0.94)),
        *(("b", 1, 0.98), ("b", 2, 0.9), ("b", None, 0.94)),
    ]


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other.csv: got no score table, want the columns chain, stage"):
        read_csv(path)
    path.write_text(",".join(COLUMNS) + "\na,one,kid,1,m,{}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other.csv: line 2 is no row"):
        read_csv(path)


def test_parquet_names_the_package_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="needs the package pyarrow"):
        write_parquet(rows_of(CLIP, "a"), tmp_path / "scores.parquet")
    assert not list(tmp_path.iterdir())


def test_parquet_has_the_types(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(rows_of(CLIP, "a"), tmp_path / "scores.parquet")
    table = parquet.read_table(tmp_path / "scores.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "int32", "string", "double", "string", "string"]
    assert table.to_pylist()[2]["stage"] is None


def test_names_that_a_spreadsheet_would_run_are_text_and_come_back_whole(tmp_path):
    names = ["=1+1", "+1a", "-x", "@a", "\ta", "'=1", "''=1", "'a", "-5", "plain"]
    rows = [Row(name, 1, "conf", -0.5, name, "{}") for name in names]
    write_csv(rows, tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text()
    cells = [line[0] for line in csv.reader(io.StringIO(text))][1:]
    assert cells == ["'=1+1", "'+1a", "'-x", "'@a", "'\ta", "''=1", "'" * 3 + "=1", "'a", "-5", "plain"]
    assert ",-0.5," in text and read_csv(tmp_path / "scores.csv") == rows


def test_people_see_a_rounded_row_a_stage_with_units():
    conf = {"metric": "conf", "finding": "edema", "model": "m", "values": [0.12345, 0.98765]}
    assert of_target(rows_of(conf | {"all": {"nodule": [0, 1]}}, "a")) == rows_of(conf, "a")
    clip_i = {"metric": "clip_i", "model": "m", "values": [0.5], "mean": 0.5}
    rows = [*rows_of(conf, "a"), *rows_of(clip_i, "a")]
    assert markdown(by_stage(rows)).splitlines() == [
        "| stage | edema: Conf (0 to 1) | CLIP-I (cosine) |",
        "|-------|----------------------|-----------------|",
        "| 0     | 0.123                |                 |",
        "| 1     | 0.988                | 0.5             |",
        "| all   |                      | 0.5             |",
    ]
    longer = rows_of(conf | {"values": [0.1, 0.2, 0.00012]}, "b")
    assert by_method({"A": rows, "B|C": longer}) == [
        ["method", "edema: Conf (0 to 1), last stage", "CLIP-I (cosine), mean"],
        ["A", "0.988", "0.5"],
        ["B|C", "0.00012", ""],
    ]
    assert markdown([["a|b"], ["c"]]) == "| a\\|b |\n|------|\n| c    |\n"


def test_methods_on_one_sheet_keep_their_pictures():
    few, many = torch.full((2, 8, 8, 3), 0.25), torch.full((3, 8, 8, 1), 0.75)
    sheet = comparison_sheet({"few": few, "many": many}, cell=16)
    assert sheet.shape == (26 + 2 * 24 + 8, 130 + 3 * 24 + 8, 3)
    middle = [[float(sheet[42 + 24 * row, 146 + 24 * n, 0]) for n in range(3)] for row in range(2)]
    assert middle == [[0.25, 0.25, 1.0], [0.75, 0.75, 0.75]]
    with pytest.raises(ValueError, match="methods: got none or one without a picture"):
        comparison_sheet({"few": few[:0]})
