"""Chains: their ids, their order, and the graph that a host gets."""

import json
from pathlib import Path

import pytest
from mvgen import cohort
from mvgen.cohort import chains, models
from mvgen.cohort.workflow import Workflow, parse
from mvgen.launch import arguments
from mvgen.tests.library.cohort_files import HEADER, manifest, workflow
from PIL import Image

ROW = ["P1", "a.png", "report.txt", "3"]


def ids(folder: Path, row=ROW, header=HEADER, folders=(), **changed) -> list[str]:
    plan = cohort.build(manifest(folder, [row], header), workflow(folder, **changed), folders)
    return [chain.id for chain in plan.chains]


def test_an_id_depends_on_all_that_the_result_depends_on_and_on_nothing_else(tmp_path):
    (base,) = ids(tmp_path)
    assert len(base) == chains.ID_LETTERS
    for row, header in (
        (["other name", "a.png", "report.txt", "3"], HEADER),
        ([*ROW, "1.0"], [*HEADER, "guidance"]),  # what the workflow says already
        ([*ROW, ""], [*HEADER, "guidance"]),
    ):
        assert ids(tmp_path, row, header) == [base]
    assert ids(tmp_path, MVG_SaveTrajectory={"folder_prefix": "elsewhere"}) == [base]
    changed = [
        ids(tmp_path, ["P1", "b.png", "report.txt", "3"]),
        ids(tmp_path, ["P1", "a.png", "report.txt", "4"]),
        ids(tmp_path, [*ROW, "1.2"], [*HEADER, "guidance"]),
        ids(tmp_path, ["P1", "a.png", "Moderate cardiomegaly.", "3"], ["patient_id", "image", "prompt", "seeds"]),
        ids(tmp_path, [*ROW, "b.png"], [*HEADER, "mask"]),
        ids(tmp_path, MVG_PIELoop={"steps": 49}),
    ]
    assert len({base, *(one for (one,) in changed)}) == 7


def test_models_go_by_their_content_where_they_can_be_seen(tmp_path):
    weights = tmp_path / "models" / "checkpoints"
    weights.mkdir(parents=True)
    changed = {"MVG_PIELoop": {"scheduler": "x.safetensors"}}
    seen = []
    for content in (b"1", b"2"):
        models.sha256.cache_clear()
        (weights / "x.safetensors").write_bytes(content)
        seen.append(ids(tmp_path, folders=[tmp_path / "models"], **changed)[0])
    seen.append(ids(tmp_path, **changed)[0])
    assert len(set(seen)) == 3
    (weights / "x[v2].safetensors").write_bytes(b"3")
    assert models.UNSEEN not in models.Models([tmp_path / "models"]).hashes(("x[v2].safetensors",)).values()


def test_embedded_files_are_those_that_the_launcher_knows():
    for domain in arguments.DOMAINS:
        ours = models.embedded_files(models.EMBEDDED, domain)
        assert set(ours) == set(arguments.weight_files(domain)) and all(path.is_file() for path in ours)


def test_chains_with_the_same_models_follow_each_other_and_equal_rows_are_one(tmp_path):
    header = ["patient_id", "image", "prompt", "seeds", "domain"]
    rows = [
        ["A", "a.png", "Mild edema.", "0 1", "chest_xray"],
        ["B", "color.png", "Diabetic retinopathy.", "0", "fundus"],
        ["C", "a.png", "Mild edema.", "1", "chest_xray"],
    ]
    Image.new("RGB", (64, 64), (200, 90, 60)).save(tmp_path / "color.png")
    gray = {"MVG_LoadMedicalImage": {"gray": False}}
    plan = cohort.build(manifest(tmp_path, rows, header), workflow(tmp_path, **gray))
    assert [(c.patient.patient_id, c.seed) for c in plan.chains] == [("A", 0), ("A", 1), ("C", 1), ("B", 0)]
    assert plan.chains[1].id == plan.chains[2].id and len(plan.ids()) == 3
    todo = plan.todo(cohort.Store(tmp_path / "out"))
    assert [(c.patient.patient_id, c.seed) for c in todo] == [("A", 0), ("A", 1), ("B", 0)]


def test_shards_are_all_chains_once(tmp_path):
    plan = cohort.build(manifest(tmp_path, [["A", "a.png", "report.txt", "0-9"]]), workflow(tmp_path))
    parts = [plan.part(n, 3) for n in (1, 2, 3)]
    assert [chain for part in parts for chain in part.chains] == plan.chains
    assert sorted(len(part.chains) for part in parts) == [3, 3, 4]
    with pytest.raises(ValueError, match="got 4/3"):
        plan.part(4, 3)


def test_the_graph_of_a_chain(tmp_path):
    plan = cohort.build(manifest(tmp_path, [[*ROW, "b.png"]], [*HEADER, "mask"]), workflow(tmp_path))
    (chain,) = plan.chains
    graph = chains.graph_of(plan.workflow, chain.patient, 3, "mvg_cohort/x")
    assert graph["6"]["inputs"]["seed"] == graph["7"]["inputs"]["seed"] == 3
    assert graph["12"]["inputs"]["folder_prefix"] == "mvg_cohort/x"
    assert graph["6"]["inputs"]["mask"] == graph["7"]["inputs"]["mask"] == ["mask_channel", 0]
    assert graph["mask_file"]["inputs"] == {**graph["2"]["inputs"], "image": chain.patient.mask.name, "gray": False}
    assert plan.workflow.graph["6"]["inputs"]["seed"] == 0 and "mask_file" not in plan.workflow.graph
    sent = {file.name for file in chains.uploads_of(chain.patient)}
    assert sent == {graph["2"]["inputs"]["image"], graph["3"]["inputs"]["report"], chain.patient.mask.name}
    (tmp_path / "a.png").write_bytes(b"something else")
    with pytest.raises(ValueError, match="was changed after the cohort was read"):
        chain.patient.files[0].read()


def test_a_saver_in_a_subgraph_saves_where_it_may(tmp_path):
    path = workflow(tmp_path)
    graph = json.loads(path.read_text())
    graph["57:8"] = graph["12"]
    path.write_text(json.dumps(graph))
    (chain,) = cohort.build(manifest(tmp_path, [ROW]), path).chains
    filled = chains.graph_of(Workflow.load(path), chain.patient, 3, "mvg_cohort/x")
    folders = [filled[key]["inputs"]["folder_prefix"] for key in ("12", "57:8")]
    assert folders == ["mvg_cohort/x/12", "mvg_cohort/x/57.8"]


def test_cells_have_the_type_of_the_widget():
    assert [parse("1", like) for like in ("a", True, 5, 5.0)] == ["1", True, 1, 1.0]
    # the page writes 7.0 as 7
    assert [parse(text, 7) for text in ("7.5", "7.0", "18446744073709551615")] == [7.5, 7, 2**64 - 1]
    assert isinstance(parse("7.0", 7), int)
    for text, like in (("x", 5), ("nan", 5), ("nan", 5.0), ("inf", 5.0), ("2", False)):
        with pytest.raises(ValueError, match="want"):
            parse(text, like)
