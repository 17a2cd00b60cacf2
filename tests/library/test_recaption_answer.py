"""A language model's answer: validated into a plan of the domain's words that never improves, or named problems."""

import json

import pytest
from llm_answer import answer
from mvgen.mvg.domains import BUILT_IN
from mvgen.mvg.recaption import offline
from mvgen.mvg.recaption.answer import read_answer
from mvgen.mvg.recaption.question import Question, allowed_words, regions, response_format


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
