"""The parts of the demo: the graph it sends, what it makes of errors, the result folder and the table of times."""

import json
import time
from pathlib import Path

import pytest
from mvgen.client import websocket as client
from mvgen.cohort.demo import graph, result, timing
from mvgen.launch import arguments, paths
from mvgen.launch.errors import LaunchError

ROOT = Path(__file__).resolve().parents[2]

REQUEST = graph.Request("i.png", "r.txt", None, 3, 0.25, 7, "chest_xray", "demo-1")


@pytest.mark.parametrize("domain", arguments.domains())
def test_the_graph_takes_the_request(domain):
    request = graph.Request(**{**vars(REQUEST), "domain": domain})
    filled = graph.fill(graph.load(paths.WORKFLOWS / f"mvg_{domain}.json"), request)
    values = {(node["class_type"], name): value for node in filled.values() for name, value in node["inputs"].items()}
    assert values["MVG_LoadEmbedded", "domain"] == values["MVG_Recaption", "domain"] == domain
    assert values["MVG_LoadMedicalImage", "image"] == "i.png"
    assert values["MVG_LoadReport", "report"] == "r.txt"
    assert values["MVG_Recaption", "stages"] == 3
    assert values["MVG_PIELoop", "gamma"] == 0.25
    assert values["MVG_PIELoop", "seed"] == 7
    assert values["MVG_SaveTrajectory", "folder_prefix"] == "demo-1"


def test_a_mask_is_connected_wherever_one_is_used():
    template = graph.load(paths.WORKFLOWS / "mvg_chest_xray.json")
    filled = graph.fill(template, graph.Request(**{**vars(REQUEST), "mask": "m.png"}))
    users = {key for key, node in template.items() if "mask" in node["inputs"]}
    assert users
    assert all(filled[key]["inputs"]["mask"] == ["mask_channel", 0] for key in users)
    image = next(node for node in template.values() if node["class_type"] == "MVG_LoadMedicalImage")
    assert filled["mask_file"]["inputs"] == {**image["inputs"], "image": "m.png", "gray": False}


def test_a_refused_prompt_and_a_failed_node_become_one_line():
    errors = [{"message": "Value not in list", "details": "domain: 'knee'"}]
    reply = {"node_errors": {"1": {"class_type": "MVG_LoadEmbedded", "errors": errors}}}
    assert client.refusal(reply) == "MVG_LoadEmbedded: Value not in list domain: 'knee'"
    data = {"node_type": "MVG_PIEStep", "exception_message": "stage 2, step 3: NaN\nmore\n"}
    assert client.failure(data) == "MVG_PIEStep: stage 2, step 3: NaN"


def saved(base: Path, names: tuple[str, ...]) -> result.Saved:
    folder = base / "output" / "demo-1"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("{}")
    return result.Saved("demo-1", list(names))


def test_a_result_appears_whole_under_a_free_name(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    run_folder = saved(tmp_path, result.NEEDED)
    first, second = (result.publish(run_folder, tmp_path / "out", "20260101-000000") for _ in range(2))
    assert (first.name, second.name) == ("demo-20260101-000000", "demo-20260101-000000-2")
    assert json.loads((first / "scores.json").read_text()) == {}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [first.name, second.name]


def test_an_incomplete_or_foreign_result_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    with pytest.raises(LaunchError, match=r"scores\.json"):
        result.publish(saved(tmp_path, ("video.mp4",)), tmp_path / "out", "1")
    with pytest.raises(LaunchError, match="outside"):
        result.publish(result.Saved("../..", []), tmp_path / "out", "1")
    assert not (tmp_path / "out").exists()


def test_scratch_files_go_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    saved(tmp_path, ("video.mp4",))
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "demo-1.txt").write_text("report")
    with pytest.raises(KeyboardInterrupt), result.scratch("demo-1"):
        raise KeyboardInterrupt
    assert not list((tmp_path / "input").iterdir()) and not list((tmp_path / "output").iterdir())


def test_a_part_takes_the_time_since_the_one_before(capsys):
    clock = timing.Timing()
    time.sleep(0.2)
    first = clock.part("a")
    time.sleep(0.1)
    second = clock.part("b")
    assert first >= 0.2 and second >= 0.1 and list(clock.seconds.values()) == [first, second]
    clock.line("short", 0.01)
    clock.line("long", 2.04)
    clock.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  long: 2.0 s" and [line.split()[0] for line in lines[1:]] == ["a", "b", "in"]
