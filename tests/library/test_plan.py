"""plan.py: what a plan may hold, its JSON and its text."""

import json

import pytest
from mvgen.mvg.plan import MAX_PROMPT, NO_FINDING, Plan, PlanError, Stage

FIELDS = "domain, finding, side, stages, negative, notes"


def stages(*severities, finding="edema", region="lungs"):
    return tuple(Stage(f"frontal chest x-ray, {finding} {s}", finding, s, region) for s in severities)


def edema(*severities, **members):
    return Plan(**{"domain": "chest_xray", "finding": "edema", "side": "", "stages": stages(*severities), **members})


def as_dict(plan):
    return json.loads(plan.to_json())


@pytest.mark.parametrize(
    "plan",
    [
        edema(),
        edema(0.5),
        edema(0, 0.25, 0.25, 1, negative="no finding", notes=("one thing.", 'another: größer, 2 × 2 "quoted"')),
        Plan("chest_xray", "pleural effusion", "left", stages(0.1, 0.9, finding="pleural effusion")),
        Plan("chest_xray", NO_FINDING, "", stages(0, 0, finding=NO_FINDING)),
        edema(stages=[Stage("worse", "edema", 0.5, "lungs", source="before", gamma=0.3, guidance=7.5)]),
    ],
)
def test_json_gives_the_plan_back(plan):
    again = Plan.from_json(plan.to_json())
    assert again == plan and hash(again) == hash(plan)
    assert isinstance(again.stages, tuple) and isinstance(again.notes, tuple)
    assert as_dict(plan)["schema"] == "mvg.plan" and as_dict(plan)["version"] == 1


def test_text_of_a_plan():
    plan = Plan(
        "chest_xray",
        "pleural effusion",
        "left",
        (
            Stage("mild left pleural effusion", "pleural effusion", 0.2, "left lung base"),
            Stage("severe left pleural effusion", "pleural effusion", 0.85, "left lung base"),
        ),
        negative="no finding",
        notes=("the report is not sure of it",),
    )
    assert plan.to_text().splitlines() == [
        "left pleural effusion (chest_xray), 2 stages, in the left lung base",
        "1. 0.20  mild left pleural effusion",
        "2. 0.85  severe left pleural effusion",
        "negative: no finding",
        "note: the report is not sure of it",
    ]
    assert plan.region == "left lung base"
    assert edema().to_text() == "edema (chest_xray), 0 stages" and edema().region == ""
    assert edema(0.5).to_text().startswith("edema (chest_xray), 1 stage, in the lungs")
    ten = edema(*[n / 10 for n in range(1, 11)]).to_text().splitlines()
    assert ten[1].startswith(" 1. 0.10") and ten[10].startswith("10. 1.00")


def test_guidance_pulls_away_from_the_source_unless_the_plan_says_otherwise():
    stage = Stage("worse", "edema", 0.5, source="before")
    assert edema(stages=[stage]).unguided(stage) == "before"
    assert edema(stages=[stage], negative="other").unguided(stage) == "other"
    assert edema(0.5).unguided(edema(0.5).stages[0]) == ""


def test_a_list_of_stages_becomes_a_tuple_and_nothing_can_be_changed():
    plan = edema(stages=list(stages(0.5)), notes=["a note"])
    assert plan.stages == stages(0.5) and plan.notes == ("a note",)
    for thing, name in ((plan, "finding"), (plan.stages[0], "prompt")):
        with pytest.raises(AttributeError):
            setattr(thing, name, "other")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"prompt": ""}, "prompt: got an empty text, want at least one word"),
        ({"prompt": " \n"}, "prompt: got an empty text"),
        ({"prompt": None}, "prompt: got None, want text"),
        ({"prompt": "x" * (MAX_PROMPT + 1)}, f"prompt: got {MAX_PROMPT + 1} characters, want at most {MAX_PROMPT}"),
        ({"finding": ""}, "finding: got an empty text"),
        ({"region": 3}, "region: got 3, want text"),
        ({"severity": -0.1}, r"severity: got -0\.1, want at least 0"),
        ({"severity": 1.01}, "severity: got 1.01, want at most 1"),
        ({"severity": float("nan")}, "severity: got nan"),
        ({"severity": float("inf")}, "severity: got inf"),
        ({"severity": 10**400}, "severity: got 1000"),
        ({"severity": True}, "severity: got True"),
        ({"severity": "0.5"}, "severity: got '0.5'"),
        ({"source": None}, "source: got None, want text"),
        ({"gamma": 1.5}, r"gamma: got 1\.5, want at most 1"),
        ({"gamma": True}, "gamma: got True, want a number"),
        ({"guidance": -1}, "guidance: got -1, want at least 0"),
        ({"guidance": float("nan")}, "guidance: got nan"),
    ],
)
def test_a_stage_refuses_by_name(members, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        Stage(**{"prompt": "a prompt", "finding": "edema", "severity": 0.5, **members})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"domain": ""}, "domain: got an empty text"),
        ({"finding": 1}, "finding: got 1, want text"),
        ({"side": "up"}, "side: got 'up', want one of no text, left, right, bilateral"),
        ({"side": None}, "side: got None"),
        ({"negative": None}, "negative: got None"),
        ({"stages": "abc"}, "stages: got str, want a list"),
        ({"stages": ("a prompt",)}, "stage 1: got str, want an object"),
        ({"stages": stages(0.2, finding="gout")}, "stage 1, finding: got 'gout', want the plan's, 'edema'"),
        ({"stages": stages(0.2, 0.5, 0.4)}, r"stage 3, severity: got 0\.4 after 0\.5, want severities that never fall"),
        ({"finding": NO_FINDING, "stages": stages(0, 0.1, finding=NO_FINDING)}, "stage 2, severity: got 0.1, want 0"),
        ({"notes": "a note"}, "notes: got str, want a list"),
        ({"notes": ("",)}, "note 1: got an empty text"),
    ],
)
def test_a_plan_refuses_by_name(members, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        edema(**members)


def changed(**members):
    return json.dumps(as_dict(edema(0.2, 0.8)) | members)


def without(name):
    return json.dumps({key: value for key, value in as_dict(edema(0.2, 0.8)).items() if key != name})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan: not readable as JSON"),
        ("Here is your plan: {}", "plan: not readable as JSON"),
        ("[" * 100_000, "plan: not readable as JSON"),
        ("1" * 5000, "plan: not readable as JSON"),
        (b"\xff", "plan: not readable as JSON"),
        (None, "plan: not readable as JSON"),
        ("[]", 'plan: want a JSON object with "schema": "mvg.plan"'),
        (without("schema"), 'plan: want a JSON object with "schema"'),
        (changed(schema="other"), 'plan: want a JSON object with "schema"'),
        (changed(version=2), "plan, version: got 2, want 1"),
        (without("version"), "plan, version: got None"),
        (without("side"), "side: is missing"),
        (without("stages"), "stages: is missing"),
        (changed(extra=1), f"got an unknown field 'extra', want {FIELDS}"),
        (changed(stages={}), "stages: got dict, want a list"),
        (changed(stages=["a prompt"]), "stage 1: got str, want an object"),
        (changed(stages=[{"prompt": "p", "finding": "edema"}]), "stage 1, severity: is missing"),
        (
            changed(stages=[{"prompt": "p", "finding": "edema", "severity": 0.5, "w": 7}]),
            "stage 1: got an unknown field 'w', want prompt, finding, severity",
        ),
        (changed(stages=[{"prompt": "p", "finding": "edema", "severity": float("nan")}]), "stage 1, severity: got nan"),
        (changed(stages=list(reversed(as_dict(edema(0.2, 0.8))["stages"]))), "stage 2, severity: got 0.2 after 0.8"),
        (changed(notes=[1]), "note 1: got 1, want text"),
    ],
)
def test_json_that_is_no_plan_is_refused(text, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        Plan.from_json(text)


def test_what_may_be_left_out_of_the_json():
    plan = Plan.from_json(
        json.dumps(
            {
                "schema": "mvg.plan",
                "version": 1,
                "domain": "chest_xray",
                "finding": "edema",
                "side": "",
                "stages": [{"prompt": "edema", "finding": "edema", "severity": 1}],
            }
        )
    )
    assert plan == Plan("chest_xray", "edema", "", (Stage("edema", "edema", 1, ""),))
    assert issubclass(PlanError, ValueError)
