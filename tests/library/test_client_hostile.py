"""A server that is no friend: nothing that it names leads out of the folder of the results."""

import json
from pathlib import Path

import pytest
from mvgen.client import SERVER, Client
from mvgen.cohort import normalized_output
from mvgen.cohort.engines.base import Job
from mvgen.cohort.engines.pool import attempt
from mvgen.tests.library.services import scripted, serving

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {}}, "10": {"class_type": "SaveImage", "inputs": {}}}


def fetched(tmp_path: Path, outputs, graph=GRAPH, files=None) -> tuple[str, str | None]:
    """(kind, error) of a chain that such a server computed; its folder is tmp_path/out/chain."""
    into = tmp_path / "out" / "chain"
    into.mkdir(parents=True, exist_ok=True)
    with serving(scripted(outputs, files)) as address:
        outcome = attempt(Client(address), Job("c", graph, (), "p", into), lambda: None, 9, "node7")
    return outcome.kind, outcome.error


def image(name, subfolder: str = "") -> dict:
    return {"images": [{"filename": name, "subfolder": subfolder, "type": "output"}]}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "form", ["{tmp}/evil", "../evil", "../../evil", "..", ".", "", "evil", "10/../../evil", "C:\\evil"]
)
def test_a_node_that_was_not_submitted_saves_nothing(tmp_path, form):
    node = form.format(tmp=tmp_path)
    kind, error = fetched(tmp_path, {node: image("a.png"), "9": image("b.png")})
    assert kind == SERVER and error is not None and "which was not submitted" in error
    assert everything(tmp_path) == set()


NAMES = [
    "/etc/evil.png",
    "../evil.png",
    "a/../../evil.png",
    "C:\\evil.png",
    "C:evil.png",
    "..\\evil.png",
    "\\\\host\\share\\evil.png",
    "NUL",
    "con.png",
    "COM1.txt",
    "evil.png.",
    "evil.png ",
    ".hidden",
    "a.png:stream",
    "a\x00.png",
    "a\n.png",
    "\ud800.png",
    "\u202egnp.exe",
    "a?.png",
    "..",
    "",
    "a" * 300,
    7,
    None,
    ["a.png"],
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("form", ["image", "trajectory"])
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path, name, form):
    trajectory = {"mvg_trajectory": [{"subfolder": "x", "files": [name]}]}
    kind, error = fetched(tmp_path, {"9": image(name) if form == "image" else trajectory})
    assert kind == SERVER and error is not None and "want a plain file name" in error
    assert everything(tmp_path) == set()


def test_plain_files_of_submitted_nodes_are_fetched(tmp_path):
    graph = {**GRAPH, "3:4": GRAPH["9"]}
    outputs = {
        "9": image("Ümläut 1.png", "../ask/where/you/like"),
        "10.0.0.stage.1": image("b.png"),
        "3:4": image("b.png"),
    }
    assert fetched(tmp_path, outputs, graph) == ("", None)
    assert everything(tmp_path / "out" / "chain") == {"9/Ümläut 1.png", "10/b.png", "3.4/b.png"}


def test_a_file_is_named_once(tmp_path):
    kind, error = fetched(tmp_path, {"10": image("b.png"), "10.0.0.1": image("b.png")})
    assert kind == SERVER and error is not None and "names the file 'b.png' twice" in error


def test_a_submitted_id_that_is_a_path_saves_nothing(tmp_path):
    """A workflow from elsewhere may have any ids."""
    graph = {**GRAPH, "../../evil": GRAPH["9"]}
    kind, error = fetched(tmp_path, {"../../evil": image("a.png"), "9": image("b.png")}, graph)
    assert kind == SERVER and error is not None and "outside of the folder of the results" in error
    assert everything(tmp_path) == set()


def test_no_link_is_followed(tmp_path):
    chain, elsewhere = tmp_path / "out" / "chain", tmp_path / "elsewhere"
    chain.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "kept.png").write_text("kept")
    (chain / "9").symlink_to(elsewhere, target_is_directory=True)
    (chain / "10").mkdir()
    (chain / "10" / "b.png").symlink_to(elsewhere / "kept.png")
    for outputs in ({"9": image("a.png"), "10": image("c.png")}, {"10": image("b.png"), "9": image("x.png")}):
        kind, error = fetched(tmp_path, outputs)
        assert kind == SERVER and error is not None and "outside of the folder of the results" in error
    assert everything(elsewhere) == {"kept.png"} and (elsewhere / "kept.png").read_text() == "kept"


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/hostname", "gone.png"])
def test_a_provenance_names_only_files_beside_it(tmp_path, name):
    """The hash of a file of this machine does not get into the results."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "out" / "chain"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"files": {name: ""}}))
    with pytest.raises(OSError, match="which was not saved with it"):
        normalized_output.normalize(folder, "p", "c")


@pytest.mark.parametrize(
    "row", ["c,1,conf,0.5,m," + "[" * 100_000, "c,1,conf,0.5,m,[]", '"' + "x" * 200_000 + '",1,,,,']
)
def test_a_table_of_scores_of_another_form_is_named(tmp_path, row):
    (tmp_path / "scores.csv").write_text(f"chain,stage,metric,value,model,settings\n{row}\n")
    with pytest.raises(ValueError, match=r"scores\.csv: "):
        normalized_output.normalize(tmp_path, "p", "c")


@pytest.mark.parametrize("text", ["[]", '{"files": []}', '{"versions": "x"}', "[" * 100_000])
def test_a_provenance_of_another_form_is_named(tmp_path, text):
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(ValueError, match="provenance"):
        normalized_output.normalize(tmp_path, "p", "c")
