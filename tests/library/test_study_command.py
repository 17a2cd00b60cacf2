"""``run.py study`` as a user types it."""

import json
import subprocess
import sys

import pytest
from mvgen.launch.arguments import Parser
from mvgen.launch.errors import UsageError
from mvgen.launch.serve import study_lines
from mvgen.launch.server import free_port
from mvgen.launch.study_arguments import add_study_options
from mvgen.study import command, manifest, session
from mvgen.study.store import Store
from mvgen.tests.library.disks import small_disk
from mvgen.tests.library.study_films import clips, made, table


def study(*words):
    parser = Parser(prog="run.py study")
    add_study_options(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def answer_all(folder):
    """All votes of rater 1, who sees which film of a check is broken."""
    store = Store(folder, manifest.read(folder))
    broken = {check.broken for check in store.study.checks}
    for n, item in enumerate(session.items(store.study, 1)):
        answer = {"real": True, "finding": "edema", "realism": 3, "expected": True, "comment": ""}
        if item.right:
            answer = {"choice": "right" if item.left in broken else "left"}
        store.vote(1, n, {"kind": item.kind, "left": item.left, "right": item.right}, answer, 2.0)
    store.close()


def test_from_films_to_results(tmp_path, capsys):
    rows = [[clip.method, clip.domain, clip.patient, clip.file.name, clip.finding] for clip in clips(tmp_path)]
    listed = table(tmp_path / "clips.csv", rows, ("method", "domain", "patient", "file", "finding"))
    folder = tmp_path / "study"
    options = ("--first", "Pika", "--seconds", "0.6", "--side", "64", "--questionnaire", "2", "--title", "Mine")
    assert study("new", folder, "--from", listed, *options) == 0
    told = capsys.readouterr().out
    assert (
        "8 films of Pika, MVG; a rater answers 9 questions: 4 of 4 pairs, 1 of them again, 2 attention checks" in told
    )
    assert study("links", folder, 2, "--address", "https://study.example/") == 0
    links = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in links] == ["rater 1", "rater 2"]
    assert all(len(line.split("https://study.example/mvg/study/")[1]) == 43 for line in links)
    with pytest.raises(UsageError, match=r"there are no votes yet; the votes so far are in .*results"):
        study("results", folder)
    answer_all(folder)
    assert study("results", folder, "--out", tmp_path / "out") == 0
    assert "## Win rate of Pika over the others" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "results.json").read_text())["votes"] == 9


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("links", "x", 0), "N is 0: give 1 to 1000"),
        (("links", "x", 1), "x holds no study.json"),
        (("serve", "x"), "x holds no study.json"),
        (("serve", "x", "--port", 0), "--port is 0"),
        (("new", "x", "--from", "y", "--side", 65), "--side is 65: give an even number"),
        (("new", "x", "--from", "y", "--seconds", "nan"), "--seconds is nan: give 0.5 to 60"),
        (("new", "x", "--from", "y"), "there is no y: give a results folder"),
        (("new", "x"), "the following arguments are required: --from"),
        (("power", "--win-rate", 1), "--win-rate is 1.0: give 0.01 to 0.99"),
        (("power", "--pairs", 1), "--pairs is 1: give 2 or more"),
        (("results", "x"), "x holds no study.json"),
        (("compare",), "invalid choice: 'compare'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        study(*words)
    assert line in str(error.value) and "\n" not in str(error.value)


def test_a_bad_address_is_told(tmp_path):
    with pytest.raises(UsageError, match="--address is 'study"):
        study("links", tmp_path, 1, "--address", "study.example")


def test_power_names_the_smallest_study_that_will_do(capsys):
    assert study("power", "--win-rate", 0.8, "--raters", 2, 12, "--pairs", 15) == 0
    assert "of those tried: 12 raters with 15 pairs each" in capsys.readouterr().out
    study("power", "--win-rate", 0.51, "--raters", 2, "--pairs", 5)
    assert "none of those tried" in capsys.readouterr().out


def test_listening_says_what_becomes_public(tmp_path):
    folder = made(tmp_path, patients=1, repeats=1, checks=1, questionnaire=1)
    words = [sys.executable, "-m", "mvgen.study", "serve", str(folder), "--listen", "--port", str(free_port())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.readline(), process.stdout.readline()
        process.terminate()
    assert "It listens on all network interfaces. Public is: for who holds a link, the films and questions" in told[0]
    assert "http://0.0.0.0:" in told[1]


def test_what_comfyui_says_of_studies_is_found_in_its_log(tmp_path):
    (tmp_path / "log").write_text("[INFO] x\n[INFO] MVG study: served to who holds a link: /s\nMVG: other\n")
    assert study_lines(tmp_path / "log") == ["served to who holds a link: /s"]


def test_a_disk_that_gets_full_leaves_nothing_of_a_study(tmp_path):
    rows = [[clip.method, clip.domain, clip.patient, clip.file.name, clip.finding] for clip in clips(tmp_path)]
    listed = table(tmp_path / "clips.csv", rows, ("method", "domain", "patient", "file", "finding"))
    with small_disk(tmp_path / "full", "24k") as full:
        words = ("new", full / "study", "--from", listed, "--seconds", "0.6", "--side", "64")
        done = subprocess.run([sys.executable, "-m", "mvgen.study", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 1 and "error: the disk is full. Free some space" in done.stderr
        assert list(full.iterdir()) == []


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A study that a rater has finished."""
    folder = made(tmp_path_factory.mktemp("answered"), patients=1, repeats=1, checks=1, questionnaire=1)
    study("links", folder, 1)
    answer_all(folder)
    return folder


def test_results_on_a_full_disk_are_one_line_and_cost_no_vote(answered, tmp_path):
    with small_disk(tmp_path / "full", "8k") as full:
        words = ("results", answered, "--out", full / "out")
        done = subprocess.run([sys.executable, "-m", "mvgen.study", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("error: the disk is full. Free some space")
        assert "result:" not in done.stdout
    assert study("results", answered, "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["finished"] == 1


def test_a_study_changed_after_its_first_vote_is_refused_by_every_command(answered, tmp_path):
    path = answered / manifest.MANIFEST
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | {"question": "Which film is nicer?"}))
    for words in (("results", answered, "--out", tmp_path / "out"), ("links", answered, 1), ("serve", answered)):
        with pytest.raises(UsageError, match="was changed after its first vote: restore its study") as error:
            study(*words)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    path.write_text(text)
    assert study("results", answered, "--out", tmp_path / "out") == 0
