"""A domain of a user's own in the real ComfyUI: one TOML file, from report to plan to the prompts of an SD-1.x UNet."""

import hashlib

import pytest

HAND = """
prefixes = ["hand x-ray"]
gray = true

[findings."joint space narrowing"]
synonyms = ["narrowed joint space"]
sided = true
region = "{side} hand"
"""
REPORT = "Mild joint-space narrowing of the left hand, expected to progress. No fracture."
MILD_ON = ("mild to moderate", "moderate", "moderate to severe", "severe")


@pytest.fixture
def folder(server):
    path = server.base / "models" / "mvg" / "domains"
    path.mkdir(exist_ok=True)
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture
def graph(server):
    (server.base / "input" / "hand.txt").write_text(REPORT, encoding="utf-8")
    loop = {"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2], "image": ["image", 0]}
    loop |= {"plan": ["plan", 0], "mask": ["region", 0], "steps": 2, "gamma": 0.5, "guidance": 2.0, "refine": 0}
    loop |= {"beta_1": 0.01, "beta_2": 0.9, "mode": "ddim", "composite": False, "scheduler": "ddim_uniform", "seed": 0}
    plan = {"report": ["report", 0], "domain": "hand_xray", "stages": 4, "mode": "ladder", "strict": True}
    return {
        "model": {"class_type": "OwnModel", "inputs": {}},
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "report": {"class_type": "MVG_LoadReport", "inputs": {"report": "hand.txt"}},
        "plan": {"class_type": "MVG_Recaption", "inputs": {**plan, "finding": "joint space narrowing"}},
        "region": {"class_type": "MVG_AnatomicalROI", "inputs": {"image": ["image", 0], "plan": ["plan", 0]}},
        "loop": {"class_type": "MVG_PIELoop", "inputs": loop},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["loop", 0], "filename_prefix": "hand"}},
        "text": {"class_type": "PreviewAny", "inputs": {"source": ["plan", 1]}},
        "where": {"class_type": "PreviewAny", "inputs": {"source": ["region", 1]}},
    }


def encoded(run):
    """Digests of the prompts that PIE Loop had encoded."""
    return {node.rsplit(".", 1)[1] for node in run.executed if ".text." in node or "pie.text." in node}


def digest(prompt):
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def test_from_a_file_to_the_prompts_of_a_model(server, folder, graph):
    (folder / "hand_xray.toml").write_text(HAND)
    required = server.get("/object_info/MVG_Recaption")["MVG_Recaption"]["input"]["required"]
    assert "hand_xray" in required["domain"][1]["options"]
    assert "joint space narrowing" in required["finding"][1]["options"]
    run = server.run(graph)
    assert run.error is None, run.error
    said = run.outputs["text"]["text"][0]
    assert said.startswith("left joint space narrowing (hand_xray), 4 stages, in the left hand\n")
    assert "the whole picture" in run.outputs["where"]["text"][0]
    prompts = [f"hand x-ray, {word} left joint space narrowing" for word in MILD_ON]
    assert {digest(prompt) for prompt in prompts} <= encoded(run)
    assert run.stages_run() == [1, 2, 3, 4] and len(run.outputs["save"]["images"]) == 5


def test_the_embedded_model_refuses_what_it_does_not_draw_before_a_stage_runs(server, folder, graph):
    (folder / "hand_xray.toml").write_text(HAND)
    graph["model"] = {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}}
    run = server.run(graph)
    assert "plan: got joint space narrowing, which the embedded chest_xray model does not draw" in str(run.error)
    assert run.stages_run() == []
    graph["plan"]["inputs"]["model_findings"] = ["model", 6]
    assert "model_findings: got 'pleural effusion', want some of hand_xray" in str(server.run(graph).error)


def test_the_embedded_model_says_what_it_draws(server, graph):
    (server.base / "input" / "chest.txt").write_text("Severe pneumothorax. Mild left pneumonia.", encoding="utf-8")
    graph["model"] = {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}}
    graph["report"]["inputs"]["report"] = "chest.txt"
    graph["plan"]["inputs"] |= {"domain": "chest_xray", "finding": "auto", "model_findings": ["model", 6]}
    graph = {name: graph[name] for name in ("model", "report", "plan", "text")}
    run = server.run(graph)
    assert run.error is None, run.error
    said = run.outputs["text"]["text"][0]
    assert said.startswith("left consolidation (chest_xray)")
    assert "names severe pneumothorax, which the chest_xray model does not draw" in said
    assert "pneumonia is drawn as consolidation" in said
    del graph["plan"]["inputs"]["model_findings"]
    assert server.run(graph).outputs["text"]["text"][0].startswith("bilateral pneumothorax (chest_xray)")


def test_a_bad_file_harms_no_other_domain_and_one_that_went_is_named(server, folder, graph):
    (folder / "hand_xray.toml").write_text(HAND + "colour = 1\n")
    refused = str(server.refuse(graph))
    assert "domain file hand_xray.toml" in refused and "unknown field 'colour'" in refused
    assert "chest_xray" in str(server.get("/object_info/MVG_Recaption"))
    (folder / "hand_xray.toml").write_text(HAND)
    assert server.run({name: graph[name] for name in ("report", "plan", "text")}).error is None
    (folder / "hand_xray.toml").unlink()
    refused = str(server.refuse(graph))
    assert "domain: got 'hand_xray', want one of chest_xray, fundus, skin" in refused
