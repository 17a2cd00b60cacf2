"""A language model's answer: validated into a plan of the domain's words that never improves, or named problems."""

import json
from dataclasses import replace

import pytest
from llm_answer import answer
from mvgen.mvg.domains import BUILT_IN
from mvgen.mvg.recaption import offline
from mvgen.mvg.recaption.answer import read_answer
from mvgen.mvg.recaption.question import Question, allowed_words, regions, response_format
from mvgen.mvg.regions import rule_of


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"severity": 2}, "stage 1, severity: want at most 1"),
        ({"severity": True}, "stage 1, severity"),
        ({"severity": "0.5"}, "stage 1, severity"),
        ({"severity": float("nan")}, "stage 1, severity"),
        ({"severity": 0.3}, "stage 3, severity: got 0.3, want 0.7 to 1 in the last stage"),
        ({"finding": "gout"}, "stage 1, finding: want one of cardiomegaly"),
        ({"finding": "edema"}, "side: want an empty text for edema"),
        ({"region": "the moon"}, "stage 1, region: want one of left lung base"),
        ({"region": "right lung base"}, "stage 1, region"),
        ({"prompt": ""}, "stage 1, prompt: want it to begin"),
        ({"prompt": "a cat"}, "stage 1, prompt: want it to begin"),
        ({"prompt": "frontal chest x-ray, severe left pleural effusion, nude"}, "uses a word that is not in the list"),
        ({"prompt": "frontal chest x-ray, severe right pleural effusion"}, "want it to name the side, left"),
        ({"prompt": "frontal chest x-ray, left pleural effusion"}, "want a severity word"),
        ({"prompt": "frontal chest x-ray, no left pleural effusion"}, "as present"),
        ({"prompt": "frontal chest x-ray, severe left pleural effusion and edema"}, "names another finding"),
        ({"prompt": "frontal chest x-ray, mild left pleural effusion"}, "want the severity word severe"),
        ({"prompt": "frontal chest x-ray, severe left pleural effusion\n"}, "stage 1, prompt"),
        ({"prompt": "frontal chest x-ray, severe" + " left" * 60}, "want at most 200"),
        ({"prompt": None}, "stage 1, prompt: want text"),
        ({"rationale": 1}, "stage 1, rationale: want text"),
    ],
)
def test_what_is_wrong_is_named(changes, wrong):
    question = Question("chest_xray", 3, "ladder", None, BUILT_IN["chest_xray"].known, "severe")
    plan, problems = read_answer(json.dumps(answer(**changes)), question, "")
    assert plan is None and wrong in "; ".join(problems)


def test_prompts_may_describe_but_not_improve():
    question = Question("chest_xray", 3, "ladder", None, BUILT_IN["chest_xray"].known, "severe")
    rich = "frontal chest x-ray, severe left pleural effusion with blunted costophrenic angle"
    assert read_answer(json.dumps(answer(prompt=rich)), question, "")[0].stages[1].prompt == rich
    better = answer()
    better["stages"][0]["prompt"] = better["stages"][2]["prompt"]
    assert read_answer(json.dumps(better), question, "")[1] == ["stage 2, prompt: its severity word may never fall"]
    two = answer()
    two["stages"].pop()
    assert read_answer(json.dumps(two), question, "")[1] == ["stages: got 2, want 3"]


def other(name="hiatal hernia", side="", **changes):
    """A whole answer about a finding that the chest's domain does not know."""
    stages = answer(finding=name, region="lungs", **changes)["stages"]
    for stage in stages:
        stage["prompt"] = stage["prompt"].replace("left pleural effusion", " ".join(filter(None, (side, name.lower()))))
    return json.dumps({"side": side, "stages": stages})


OTHER = Question("chest_xray", 3, "ladder", None, BUILT_IN["chest_xray"].known, "severe", other=True)


@pytest.mark.parametrize(
    ("name", "side"),
    [("hiatal hernia", ""), ("Rib Notching", "bilateral"), ("left ventricular aneurysm", ""), ("fat-pad sign", "left")],
)
def test_another_finding_is_taken_where_it_is_asked_for(name, side):
    plan, problems = read_answer(other(name, side), OTHER, "")
    finding = " ".join(name.lower().split())
    assert problems == [] and (plan.finding, plan.side, plan.region) == (finding, side, "lungs")
    assert plan.stages[-1].prompt == f"frontal chest x-ray, severe {f'{side} ' if side else ''}{finding}"
    assert read_answer(other(name, side), replace(OTHER, other=False), "")[0] is None
    assert read_answer(json.dumps(answer()), OTHER, "")[0].finding == "pleural effusion"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a b c d e f", "stage 1, finding: want one of cardiomegaly"),
        ("x" * 61, "or another in 1 to 5 words of letters and hyphens, at most 60 characters"),
        ("hernia; DROP", "stage 1, finding: want one of"),
        ("hernia\x1b", "stage 1, finding: want one of"),
        ("", "stage 1, finding: want one of"),
        ("severe hernia", "finding: want the plain name of one finding"),
        ("no hernia", "finding: want the plain name of one finding"),
        ("left hernia", "finding: want the plain name of one finding"),
        ("hernia and scoliosis", "finding: want the plain name of one finding"),
        ("clear lungs", "finding: want the plain name of one finding"),
        ("enlarged heart", "finding: want it as cardiomegaly, one of the domain"),
        ("lobar pneumonia", "finding: want it as pneumonia, one of the domain"),
        ("support devices", "finding: want one that gets worse, which support devices does not"),
    ],
)
def test_a_name_that_is_none_of_another_finding(name, wrong):
    plan, problems = read_answer(other(name), OTHER, "")
    assert plan is None and wrong in "; ".join(problems)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"prompt": "frontal chest x-ray, severe scoliosis"}, "uses a word that is not in the list"),
        ({"prompt": "frontal chest x-ray, no hiatal hernia"}, "as present"),
        ({"prompt": "frontal chest x-ray, severe left hiatal hernia"}, "want it to name no side before hiatal hernia"),
        ({"prompt": "frontal chest x-ray, severe hiatal hernia and edema"}, "names another finding than hiatal hernia"),
    ],
)
def test_a_prompt_of_another_finding_is_of_its_words_and_the_domains(changes, wrong):
    stages = [{**stage, **changes} for stage in json.loads(other())["stages"]]
    assert wrong in "; ".join(read_answer(json.dumps({"side": "", "stages": stages}), OTHER, "")[1])


@pytest.mark.parametrize(("domain", "name", "region"), [("fundus", "cataract", "retina"), ("skin", "wart", "lesion")])
def test_another_finding_lies_in_the_whole_region_of_its_domain(domain, name, region):
    kind = BUILT_IN[domain]
    stage = {"rationale": "", "finding": name, "severity": 0.9, "region": region}
    data = {"side": "", "stages": [{**stage, "prompt": f"{kind.prefix}, severe {name}"}]}
    question = Question(domain, 1, "terminal", None, kind.known, "severe", other=True)
    plan, problems = read_answer(json.dumps(data), question, "")
    assert problems == [] and (plan.region, rule_of(plan, kind)) == (region, region)
    assert "side: want an empty text" in read_answer(json.dumps({**data, "side": "left"}), question, "")[1][0]


@pytest.mark.parametrize("domain", BUILT_IN)
def test_every_caption_is_made_of_allowed_words(domain):
    words = BUILT_IN[domain]
    for finding in words.known:
        for side in ("left", "right", "bilateral") if finding in words.sided else ("",):
            region = regions(words, finding, side)[0]
            prompt = f"{words.prefix}, {words.phrase(finding, 0.9, side)}"
            stage = {"rationale": "", "finding": finding, "severity": 0.9, "region": region, "prompt": prompt}
            question = Question(domain, 1, "terminal", finding, words.known, "severe")
            plan, problems = read_answer(json.dumps({"side": side, "stages": [stage]}), question, "")
            assert problems == [] and plan.stages[0].prompt == prompt
            rules = offline.recaption(f"{side} {finding}", domain, 1, finding=finding)
            assert (plan.side, plan.region, plan.stages[0].prompt) == (rules.side, rules.region, rules.stages[0].prompt)
            assert response_format(question)["json_schema"]["schema"]["required"] == ["side", "stages"]
    assert not {"nude", "cat", "text"} & allowed_words(words)
