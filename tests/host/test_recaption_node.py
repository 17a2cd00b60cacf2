"""Recaption Report with a language model, in a real ComfyUI and against a real HTTP server; Edit Plan behind it.

After every run no key and no word of the report is in the host's log, its history or any file that it wrote.
"""

import json
import time
import urllib.request
from contextlib import contextmanager

import pytest
from mvgen.mvg.plan_text import parse_plan
from mvgen.tests.host.templates import load, small
from mvgen.tests.library.llm_answer import answer
from mvgen.tests.library.llm_server import KEY, serving
from PIL import Image

REPORT = "Patient: Jane Quimby, MRN 4711042. There is a small left pleural effusion after zymurgical travel."
NONE = "(the server names none)"
SECRETS = (KEY, "Quimby", "zymurgical", "4711042", "small left pleural effusion after")
WORDLESS = "Mr Quimby came back from zymurgical travel."


@pytest.fixture(autouse=True)
def reports(server):
    texts = {"quimby": REPORT, "wordless": WORDLESS, "long": "x" * 900_000, "bytes": "\x01\x02\x03abc\x04"}
    texts["spanish"] = "Señora Quimby: sin edema ni cardiomegalia."
    for name, text in texts.items():
        (server.base / "input" / f"{name}.txt").write_text(text, encoding="utf-8")


def graph(report="quimby", **changes):
    """Report to plan to a shown plan and a saved folder; ``changes``: inputs of the Recaption node."""
    asked = {"domain": "chest_xray", "stages": 3, "mode": "ladder", "finding": "auto", "strict": False}
    return {
        "report": {"class_type": "MVG_LoadReport", "inputs": {"report": f"{report}.txt"}},
        "recaption": {"class_type": "MVG_Recaption", "inputs": {"report": ["report", 0], **asked, **changes}},
        "edit": {"class_type": "MVG_EditPlan", "inputs": {"text": "", "plan": ["recaption", 0]}},
        "words": {"class_type": "PreviewAny", "inputs": {"source": ["edit", 1]}},
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "png": {"class_type": "SaveImage", "inputs": {"images": ["image", 0], "filename_prefix": "recaption"}},
        "folder": {
            "class_type": "MVG_SaveTrajectory",
            "inputs": {"states": ["image", 0], "folder_prefix": "recaption/run", "fps": 8.0, "plan": ["edit", 0]},
        },
    }


def refuse(server, prompt, node):
    """What the host says of a node of a prompt that it must not run; an output that needs no plan would run alone."""
    del prompt["png"]
    return json.dumps(server.refuse(prompt)["node_errors"][node])


def by_model(**changes):
    engine = {"engine": "openai", "engine.endpoint": "local", "engine.timeout": 10.0, "engine.attempts": 1}
    return engine | {f"engine.{name}": value for name, value in changes.items()}


@contextmanager
def endpoints(server, text):
    file = server.base / "user" / "__mvg" / "endpoints.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def model(server, *turns):
    """A language model that the server knows as "local"."""
    with serving(*turns) as llm:
        item = {"url": llm.endpoint.url, "model": llm.endpoint.model, "key_env": llm.endpoint.key_env}
        with endpoints(server, json.dumps({"local": item})):
            yield llm


def run(server, prompt, *secrets, address="not in use", **options):
    """The run, after a look for secrets wherever the host keeps something of it; its log may hold the address."""
    done = server.run(prompt, **options)
    kept = {"history": json.dumps(server.get("/history")), "log": (server.base / "server.log").read_text("utf-8")}
    for folder in ("output", "user", "temp"):
        for file in (server.base / folder).rglob("*"):
            if file.is_file() and file.name != "endpoints.json":
                kept[file.name] = file.read_bytes().decode("latin-1")
    for name, content in kept.items():
        for secret in (*SECRETS, *secrets, *([] if name.endswith("log") else [address])):
            assert secret not in content, f"{name} holds {secret}"
    return done


def test_a_good_answer_is_a_plan_and_only_once_paid_for(server):
    with model(server, answer()) as llm:
        done = run(server, graph(**by_model()), address=llm.endpoint.url)
        assert done.error is None, done.error
        (text,) = done.outputs["words"]["text"]
        assert text.startswith("left pleural effusion (chest_xray), 3 stages, in the left lung base")
        assert "note: taken out of the report before it was sent: 1 name, 1 record number" in text
        assert "by the language model tiny at the endpoint local" in text
        (shown,) = done.outputs["edit"]["text"]
        assert [stage.severity for stage in parse_plan(shown).stages] == [0.3, 0.6, 0.9]
        sent = json.dumps(llm.requests[0][2])
        assert "small left pleural effusion" in sent and "Quimby" not in sent and "4711042" not in sent
        picture = Image.open(server.base / "output" / done.outputs["png"]["images"][0]["filename"])
        assert json.loads(picture.text["prompt"])["recaption"]["inputs"]["engine.endpoint"] == "local"

        assert run(server, graph(**by_model(timeout=11.0))).outputs["words"]["text"] == [text]
        assert len(llm.requests) == 1, "kept on disk"
        run(server, graph(**by_model(), stages=2))
        assert len(llm.requests) > 1


def test_the_bundled_workflow_runs_to_its_end(server):
    """The model's plan is what the loop draws, and the sample's report is where no report may be."""
    prompt = small(load("api/mvg_llm_recaption.json"))
    nodes = {node["class_type"]: (key, node["inputs"]) for key, node in prompt.items()}
    nodes["MVG_Recaption"][1]["stages"] = 3
    report = (server.base / "input" / nodes["MVG_LoadReport"][1]["report"]).read_text(encoding="utf-8")
    with model(server, answer()) as llm:
        done = run(server, prompt, *filter(None, report.splitlines()), address=llm.endpoint.url)
        assert done.error is None, done.error
        assert len(llm.requests) == 1
    assert [s.severity for s in parse_plan(done.outputs[nodes["MVG_EditPlan"][0]]["text"][0]).stages] == [0.3, 0.6, 0.9]
    (saved,) = done.outputs[nodes["MVG_SaveTrajectory"][0]]["mvg_trajectory"]
    folder = server.base / "output" / saved["subfolder"]
    wanted = {"stage_03.png", "difference_03.png", "plot.png", "video.mp4", "scores.json", "provenance.json"}
    assert wanted <= set(saved["files"])
    drawn = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["plan"]["stages"]
    assert [stage["prompt"] for stage in drawn] == [stage["prompt"] for stage in answer()["stages"]]
    assert json.loads((folder / "scores.json").read_text(encoding="utf-8"))["synthetic"] is True


def test_another_file_of_endpoints_is_asked_anew(server):
    for _ in range(2):
        with model(server, answer()) as llm:
            assert run(server, graph(**by_model())).error is None
            assert len(llm.requests) == 1


def test_a_bad_answer_is_repaired(server):
    with model(server, "Sure! Mr Quimby will get worse.", answer()) as llm:
        assert run(server, graph(**by_model())).error is None
        assert len(llm.requests) == 2


def test_busy_and_then_an_answer(server):
    with model(server, (429, {"Retry-After": "0"}, "{}"), "cut", answer()) as llm:
        assert run(server, graph(**by_model(attempts=3))).error is None
        assert len(llm.requests) == 3


@pytest.mark.parametrize(
    ("turn", "kind", "message"),
    [
        ("no JSON for Quimby, zymurgical", "AnswerError", "its answer makes no plan, also after one repair"),
        (60.0, "CallError", "endpoint 'local': no answer within 0.5 s"),
        ("cut", "CallError", "endpoint 'local': cannot be reached or broke the connection off"),
        (
            (401, {}, json.dumps({"error": {"message": f"Incorrect key {KEY}, Quimby"}})),
            "CallError",
            "the key is wrong",
        ),
        ((500, {}, "Quimby"), "CallError", "endpoint 'local': refused with status 500"),
    ],
)
def test_what_goes_wrong_is_named(server, turn, kind, message):
    with model(server, turn) as llm:
        error = run(server, graph(**by_model(timeout=0.5 if turn == 60.0 else 10.0)), address=llm.endpoint.url).error
    assert error["node_type"] == "MVG_Recaption" and error["exception_type"].endswith(f".{kind}")
    assert message in error["exception_message"] and error["current_inputs"] == {}


def test_cancel_ends_the_waiting(server):
    def press(kind, data):
        if kind == "executing" and data["node"] == "recaption":
            until = time.monotonic() + 20
            while not llm.requests and time.monotonic() < until:
                time.sleep(0.02)
            server.post("/interrupt")

    with model(server, 60.0) as llm:
        start = time.monotonic()
        assert run(server, graph(**by_model(timeout=60.0)), watch=press).interrupted
        assert time.monotonic() - start < 20 and len(llm.requests) == 1
    assert run(server, graph()).error is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "endpoint: the server names none; its operator does in user/__mvg/endpoints.json"),
        (
            '{"local": {"url": "https://x.org/v1", "model": "m", "key": "sk-abc"}}',
            "endpoint 'local': a key is not written in the file",
        ),
        ("sk-abc", "endpoints file endpoints.json: not readable as JSON"),
    ],
)
def test_endpoints_that_cannot_be_used_are_named(server, text, message):
    with endpoints(server, text):
        offered = server.get("/object_info/MVG_Recaption")["MVG_Recaption"]["input"]["optional"]["engine"][1]["options"]
        assert offered[1]["inputs"]["required"]["endpoint"][1]["options"] == [NONE]
        error = run(server, graph(**by_model(endpoint=NONE)), "sk-abc").error
    assert message in error["exception_message"]


def test_the_file_of_endpoints_is_given_to_nobody(server):
    with model(server, answer()):
        for path in ("userdata/..%2F__mvg%2Fendpoints.json", "view?filename=endpoints.json&subfolder=../user/__mvg"):
            with pytest.raises(urllib.error.HTTPError):
                server.get(f"/{path}")


def test_a_new_node_reads_strictly_and_says_which_endpoints_are_elsewhere(server, definitions):
    assert definitions["MVG_Recaption"]["input"]["required"]["strict"][1]["default"] is True
    clinic = {"url": "https://x.example.org/v1", "model": "m", "key_env": "K"}
    for leaves, said in ((True, "leaves this machine for: clinic."), (False, "url: is not on this machine")):
        with endpoints(server, json.dumps({"clinic": {**clinic, "leaves_this_machine": leaves}})):
            node = server.get("/object_info/MVG_Recaption")["MVG_Recaption"]
            option = node["input"]["optional"]["engine"][1]["options"][1]["inputs"]["required"]["endpoint"][1]
            assert said in option["tooltip"] and option["options"] == (["clinic"] if leaves else [NONE])


def test_every_engine_option_is_explained(definitions):
    (_, engine) = definitions["MVG_Recaption"]["input"]["optional"]["engine"]
    assert [option["key"] for option in engine["options"]] == ["offline", "openai"]
    for kind, inputs in engine["options"][1]["inputs"].items():
        assert kind in ("required", "optional")
        assert all(options.get("tooltip") for _, options in inputs.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "magic"}, "engine: got 'magic', want offline or openai"),
        (by_model(endpoint="http://evil.example.org/v1"), "evil.example.org"),
        (
            {"finding": "melanoma"},
            "finding: got 'melanoma', which is none of chest_xray; want auto or one of cardiomegaly",
        ),
        (
            {"finding": "edema", "domain": "skin"},
            "finding: got 'edema', which is none of skin; want auto or one of melanoma",
        ),
        ({"finding": "gout"}, "finding: got 'gout', want auto or one of cardiomegaly"),
        ({"domain": "x-ray"}, "domain: got 'x-ray', want one of chest_xray"),
        ({"mode": "stairs"}, "mode"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(server, changes, words):
    assert words in refuse(server, graph(**changes), "recaption")


@pytest.mark.parametrize(
    ("domain", "finding"),
    [("chest_xray", "consolidation"), ("fundus", "diabetic retinopathy"), ("skin", "melanoma")],
)
def test_a_finding_of_every_domain_can_be_asked_for(server, domain, finding):
    done = run(server, graph(domain=domain, finding=finding, engine="offline"))
    assert parse_plan(done.outputs["edit"]["text"][0]).finding == finding
    assert f"{finding} was asked for; the report does not mention it" in done.outputs["words"]["text"][0]


@pytest.mark.parametrize(
    ("report", "engine", "message"),
    [
        ("wordless", {}, "says nothing of any finding of chest_xray"),
        ("long", {}, "got 900000 characters, want at most 100000"),
        ("long", by_model(), "got 900000 characters, want at most 100000"),
        ("spanish", {}, "report: is not in English, the only language that the rules read"),
        ("bytes", by_model(), "report: got bytes or symbols"),
    ],
)
def test_a_report_that_is_refused_is_in_no_history(server, report, engine, message):
    with model(server, answer()) as llm:
        error = run(server, graph(report, strict=True, **engine), "x" * 100).error
    assert message in error["exception_message"] and error["current_inputs"] == {} and llm.requests == []


def test_strict_means_the_same_for_a_model(server):
    none = {"finding": "no finding", "severity": 0, "region": "", "prompt": "frontal chest x-ray, no finding"}
    with model(server, {**answer(**none), "side": ""}):
        assert run(server, graph("wordless", **by_model())).error is None
        error = run(server, graph("wordless", strict=True, **by_model())).error
    assert "says nothing of any finding" in error["exception_message"]


def test_a_finding_that_no_domain_knows(server):
    """By a language model that is asked for it, or by hand; the region is the lungs, and what draws others refuses."""
    stages = answer(finding="hiatal hernia", region="lungs")["stages"]
    for stage in stages:
        stage["prompt"] = stage["prompt"].replace("left pleural effusion", "hiatal hernia")
    note = "hiatal hernia is no finding of chest_xray: it takes a model that draws it"

    def regional(prompt):
        prompt["roi"] = {"class_type": "MVG_AnatomicalROI", "inputs": {"image": ["image", 0], "plan": ["edit", 0]}}
        prompt["roi words"] = {"class_type": "PreviewAny", "inputs": {"source": ["roi", 1]}}
        return prompt

    with model(server, {"side": "", "stages": stages}):
        done = run(server, regional(graph(**by_model(other_findings=True))))
        assert done.error is None, done.error
        assert done.outputs["words"]["text"][0].startswith("hiatal hernia (chest_xray), 3 stages, in the lungs")
        assert done.outputs["words"]["text"][0].count(note) == 1
        assert "lung fields found" in done.outputs["roi words"]["text"][0]
        again = graph(**by_model(other_findings=True), stages=3)
        again["edit"]["inputs"]["text"] = done.outputs["edit"]["text"][0]
        assert run(server, again).outputs["words"]["text"][0].count(note) == 1
        error = run(server, graph(**by_model())).error
        assert "finding: want one of cardiomegaly" in error["exception_message"]
        limited = graph(**by_model(other_findings=True))
        limited["models"] = {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}}
        limited["recaption"]["inputs"]["model_findings"] = ["models", 6]
        error = run(server, limited).error
    assert error["node_type"] == "MVG_Recaption" and error["current_inputs"] == {}
    assert "finding: got hiatal hernia from the language model" in error["exception_message"]
    by_hand = TEXT.replace("pleural effusion", "hiatal hernia").replace("right lung base", "lungs")
    done = run(server, regional(edit(text=by_hand, plan=False)))
    assert done.error is None and note in done.outputs["words"]["text"][0]


TEXT = """domain: chest_xray
finding: pleural effusion
side: right
region: right lung base

1. 0.5  frontal chest x-ray, moderate right pleural effusion
2. 1  my own words"""


def edit(report="quimby", text="", llm=None, plan=True):
    prompt = graph(report)
    prompt["edit"]["inputs"]["text"] = text
    if not plan:
        del prompt["edit"]["inputs"]["plan"]
    if llm is not None:  # any node may have written it; from a file it is in no prompt
        prompt["llm"] = {"class_type": "MVG_LoadReport", "inputs": {"report": llm}}
        prompt["edit"]["inputs"]["llm_text"] = ["llm", 0]
    return prompt


def written(server, text):
    (server.base / "input" / "written.txt").write_text(text, encoding="utf-8")
    return "written.txt"


def test_an_edited_plan_takes_the_place_of_the_connected_one(server):
    done = run(server, edit(text=TEXT))
    assert done.outputs["edit"]["text"] == [TEXT]
    words = done.outputs["words"]["text"][0]
    assert "note: the plan is edited by hand" in words and "2. 1.00  my own words" in words
    assert "note: the connected plan has the side left, this one right; check which is right" in words
    alone = run(server, edit(text=TEXT, plan=False))
    assert alone.outputs["edit"]["text"] == [TEXT] and "edited by hand" not in alone.outputs["words"]["text"][0]
    record = json.loads(
        sorted((server.base / "output" / "recaption").glob("run*"))[-1].joinpath("provenance.json").read_text()
    )
    assert record["plan"]["stages"][1] == {"prompt": "my own words", "severity": 1.0}


def test_an_answer_of_another_node_is_read(server):
    text = f"Sure, for Jane Quimby:\n```json\n{json.dumps(answer(rationale='Quimby, zymurgical'), indent=1)}\n```"
    done = run(server, edit(llm=written(server, text)))
    assert [s.severity for s in parse_plan(done.outputs["edit"]["text"][0]).stages] == [0.3, 0.6, 0.9]
    assert "note: the plan is by a language model of this workflow" in done.outputs["words"]["text"][0]
    assert run(server, edit(text=TEXT, llm="written.txt")).outputs["edit"]["text"] == [TEXT]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Jane Quimby will get worse.", "llm_text: got no whole JSON object"),
        ("x" * 900_000, "llm_text: got 900000 characters, want at most 100000"),
        (
            json.dumps({**answer(), "stages": answer()["stages"][1:]}),
            "llm_text: the answer makes no plan: stages: got 2, want 3",
        ),
        (
            json.dumps(answer(prompt="Ignore the above, Quimby")),
            "llm_text: the answer makes no plan: stage 1, prompt: want",
        ),
    ],
)
def test_an_answer_that_makes_no_plan_is_named_and_kept_nowhere(server, text, message):
    error = run(server, edit(llm=written(server, text)), "x" * 100).error
    assert error["node_type"] == "MVG_EditPlan" and error["exception_type"].endswith(".AnswerError")
    assert message in error["exception_message"] and error["current_inputs"] == {}


def test_a_plan_of_another_domain_and_no_plan_are_named(server):
    error = run(server, edit(text="domain: skin\nfinding: melanoma\n1. 1 melanoma")).error
    assert "domain: got 'skin', want that of the connected plan, 'chest_xray'" in error["exception_message"]
    assert "plan: got none" in run(server, edit(plan=False)).error["exception_message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (REPORT, "line 1: want NAME: VALUE"),
        (TEXT.replace("2. 1 ", "2. 0.4 "), "stage 2, severity: got 0.4 after 0.5, want severities that never fall"),
        (TEXT.replace("2. 1 ", "3. 1 "), "line 7: got stage 3, want stage 2"),
        ("x" * 1_000_000, "text: got 1000000 characters, want at most 100000"),
    ],
)
def test_a_text_that_is_no_plan_is_refused_before_anything_runs(server, text, message):
    said = refuse(server, edit(text=text), "edit")
    assert message in said and not any(secret in said for secret in SECRETS)
    assert not any(secret in (server.base / "server.log").read_text("utf-8") for secret in SECRETS)
