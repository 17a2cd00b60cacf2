"""Studies made from films: blinded copies, and one clear line for what makes none."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from mvgen.study import create, films, manifest, sources
from mvgen.study.manifest import StudyError
from mvgen.tests.library.study_films import SMALL, clips, film, made, table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("made"), ("MVG", "Pika", "CogVideoX"))


def test_nothing_but_the_pictures_tells_the_method(folder):
    study = manifest.read(folder)
    assert study.methods == ["MVG", "Pika", "CogVideoX"] and len(study.films) == 12 and len(study.checks) == 2
    paths = list((folder / "films").iterdir())
    assert len(paths) == 14 and len({path.stat().st_size for path in paths}) == 1
    told = set()
    for path in paths:
        assert not any(method.encode() in path.read_bytes() for method in study.methods)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            sides = stream.codec_context.width, stream.codec_context.height
            tags = [*container.metadata.items(), *stream.metadata.items()]
            assert container.metadata["comment"] == films.STATEMENT
            told.add((stream.frames, stream.average_rate, *sides, *tags))
            assert sum(1 for _ in container.decode(stream)) == 9
    assert len(told) == 1
    assert all(method not in name for name in (path.name for path in paths) for method in study.methods)


def test_a_setting_of_a_later_version_leaves_the_hash(folder):
    content = json.loads((folder / "study.json").read_text())
    del content["failed_checks"]
    assert manifest.Study(**content).hash() != manifest.read(folder).hash()
    content["failed_checks"] = 0
    assert manifest.Study(**content).hash() == manifest.read(folder).hash()


def test_films_become_alike_and_keep_their_course(tmp_path):
    wide = film(tmp_path / "wide.webm", 90, frames=20, size=(32, 64))
    shape = films.Shape(side=64, seconds=1, fps=10)
    frames = films.alike(films.read_frames(wide, "x"), shape)
    assert len(frames) == 10 and frames[0].shape == (64, 64, 3)
    assert frames[0][:15].max() == 0 and frames[0][49:].max() == 0  # centered on black
    rows = [frame[16:48].mean((1, 2)) for frame in frames]
    bars = [float(np.flatnonzero(row > 150).mean()) for row in rows]
    assert bars == sorted(bars) and bars[0] < 6 and bars[-1] > 26  # the bar walks down from first to last
    covered = films.alike(films.read_frames(wide, "x"), films.Shape(64, 1, 10, cover=True))
    assert covered[0][16:20, :40].max() == 0 and frames[0][16:20, :40].min() > 60


def test_a_label_on_some_films_is_covered_on_all(tmp_path):
    told = []
    labelled = [create.Clip(**{**vars(clip), "labelled": clip.method == "MVG"}) for clip in clips(tmp_path / "c")]
    study = create.new(tmp_path / "s", labelled, create.Wish(**SMALL), told.append)
    assert "films of MVG carry the visible label" in told[0]
    for entry in study.films:
        frame = films.read_frames(tmp_path / "s" / "films" / entry.file, "x")[0]
        assert frame[10:13, :40].max() < 30


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda found: [clip for clip in found if clip.method == "MVG"], "got MVG alone, want at least two to compare"),
        (lambda found: found[:-1], "patient P1 of skin has none of Pika, want one of every method"),
        (lambda found: [*found, found[0]], "MVG of chest_xray, patient P0, is there twice"),
        (lambda found: [], "got none alone"),
    ],
)
def test_films_that_make_no_study_are_named(tmp_path, change, line):
    with pytest.raises(StudyError, match=line):
        create.new(tmp_path / "study", change(clips(tmp_path)), create.Wish(**SMALL))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".mp4"] == []


def test_an_odd_film_can_be_left_out(tmp_path):
    told = []
    wish = create.Wish(**SMALL, skip_incomplete=True)
    study = create.new(tmp_path / "study", clips(tmp_path)[:-1], wish, told.append)
    assert "left out, as they lack a film of some method: P1 of skin" in told[0] and len(study.films) == 6


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda path: path.unlink(), "cannot be read|is broken"),
        (lambda path: path.write_bytes(b"no film"), "is broken"),
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "is broken"),
        (lambda path: film(path, 90, frames=1), "ends after 1 of 2 frames"),
    ],
)
def test_a_missing_or_broken_film_is_named(tmp_path, spoil, line):
    found = clips(tmp_path)
    spoil(found[3].file)
    with pytest.raises(StudyError, match=line) as error:
        create.new(tmp_path / "study", found, create.Wish(**SMALL))
    assert "MVG, patient P1 of skin" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "study").exists()


def test_a_film_may_be_no_playlist(tmp_path):
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n")
    with pytest.raises(StudyError, match=r"got a film list.m3u8, want one of .mp4"):
        films.read_frames(path, "x")
    disguised = path.rename(tmp_path / "list.mp4")
    with pytest.raises(StudyError, match="is broken"):
        films.read_frames(disguised, "x")


def test_a_study_with_a_film_missing_or_changed_is_not_opened(folder, tmp_path):
    for spoil, line in ((Path.unlink, "is missing"), (lambda path: path.write_bytes(b"x"), "is broken or was changed")):
        copy = shutil.copytree(folder, tmp_path / line[:5])
        spoil(next((copy / "films").iterdir()))
        with pytest.raises(StudyError, match=line):
            manifest.read(copy)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"methods": ["MVG"]}, "got MVG alone, want at least two"),
        ({"methods": ["MVG", "mvg"]}, "'mvg' is there twice, want each once, in one spelling"),
        ({"pairs": 99}, "pairs: got 99, want at most the 12"),
        ({"repeats": 99}, "repeats: got 99"),
        ({"films": 3}, "films: got int, want a list"),
        ({"color": "red"}, "got an unknown field 'color'"),
        ({"seed": -1}, "seed: got -1, want at least 0"),
    ],
)
def test_a_manifest_that_is_none_is_told(folder, tmp_path, change, line):
    content = json.loads((folder / "study.json").read_text()) | change
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match=line) as error:
        manifest.read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_name_in_a_manifest_leads_out_of_no_folder(folder, tmp_path):
    content = json.loads((folder / "study.json").read_text())
    content["films"][0]["file"] = "../secret.mp4"
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match="film 1, file"):
        manifest.read(tmp_path)


def test_no_manifest_and_a_folder_that_is_there(tmp_path):
    with pytest.raises(StudyError, match=r"holds no study\.json"):
        manifest.read(tmp_path)
    with pytest.raises(StudyError, match="is there already"):
        create.new(tmp_path, [], create.Wish())


def results(folder, patients=("A", "B"), seeds=("0",), nodes=("",), label=True):
    """What run.py batch leaves of a chain that matters here."""
    lines = ["patient_id,seed,chain,status,seconds"]
    for patient in patients:
        for seed in seeds:
            chain = f"{patient}{seed}".lower()
            lines.append(f"{patient},{seed},{chain},done,1.0")
            for node in nodes:
                inside = folder / "chains" / chain / node
                film(inside / "video.mp4", 80)
                save = {"class_type": "MVG_SaveTrajectory", "label": label}
                record = {"plan": {"domain": "skin", "finding": "melanoma"}, "parameters": {"9": save}}
                (inside / "provenance.json").write_text(json.dumps(record))
    (folder / "chains.csv").write_text("\n".join([*lines, "C,0,c0,failed,"]))
    return folder


def test_films_of_batch_results_and_of_a_list(tmp_path):
    found = sources.find(f"PIE={results(tmp_path / 'r')}")
    assert [(clip.method, clip.domain, clip.patient, clip.finding, clip.labelled) for clip in found] == [
        ("PIE", "skin", "A", "melanoma", True),
        ("PIE", "skin", "B", "melanoma", True),
    ]
    assert sources.find(str(tmp_path / "r"))[0].method == "r"
    film(tmp_path / "pika.mp4", 10)
    head = ("method", "domain", "patient", "file", "real")
    (clip,) = sources.find(str(table(tmp_path / "l.csv", [["Pika", "skin", "A", "pika.mp4", "yes"]], head)))
    assert (clip.method, clip.real, clip.file) == ("Pika", True, tmp_path / "pika.mp4")


def test_several_films_of_a_chain_are_told_apart(tmp_path):
    folder = results(tmp_path / "r", nodes=("12", "15"), label=False)
    with pytest.raises(StudyError, match="the nodes 12, 15 saved a film each"):
        sources.find(f"PIE={folder}")
    (clip, _) = sources.find(f"PIE={folder}:15")
    assert (clip.method, clip.file.parent.name, clip.labelled) == ("PIE", "15", False)


@pytest.mark.parametrize(
    ("rows", "head", "line"),
    [
        ([["P", "skin", "A", "none.mp4"]], None, "line 2: there is no file none.mp4"),
        ([["", "skin", "A", "none.mp4"]], None, "line 2: method is empty"),
        ([], None, "names no clips"),
        ([["a"]], ("method", "domain", "patient"), "has no column file"),
        ([["P", "s", "A", "l.csv", "x"]], ("method", "domain", "patient", "file", "sex"), "got the column 'sex'"),
        ([["P", "s", "A", "l.csv", "x"]], ("method", "domain", "patient", "file", "real"), "got 'x', want yes or no"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path, rows, head, line):
    path = table(tmp_path / "l.csv", rows, head or ("method", "domain", "patient", "file"))
    with pytest.raises(StudyError, match=line):
        sources.find(str(path))


def test_results_that_are_none_are_told(tmp_path):
    with pytest.raises(StudyError, match=r"there is no .*nowhere"):
        sources.find("PIE=nowhere")
    with pytest.raises(StudyError, match=r"holds no chains\.csv"):
        sources.find(str(tmp_path))
    with pytest.raises(StudyError, match="patient A has the seeds 0, 1: choose one"):
        sources.find(str(results(tmp_path / "r", seeds=("0", "1"))))
    assert len(sources.find(str(tmp_path / "r"), seed=1)) == 2
