"""Domains of a user's own, in TOML files: what they add, and one clear line for each that cannot be used."""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from llm_answer import answer
from mvgen.mvg import regions
from mvgen.mvg.domains import BUILT_IN
from mvgen.mvg.domains.files import DomainError, load_domains
from mvgen.mvg.plan import NO_FINDING
from mvgen.mvg.recaption.offline import read_report, recaption
from mvgen.mvg.recaption.other_models import plan_in, question_text
from mvgen.mvg.recaption.question import Question

ROOT = Path(__file__).parents[2]
HAND = """
prefixes = ["hand x-ray"]
gray = true

[severities]
"grade 1" = 0.2
"grade 2" = 0.5
"grade 4" = 0.9

[findings."joint space narrowing"]
synonyms = ["narrowed joint space"]
normal = ["preserved joint spaces"]
sided = true
region = "{side} hand"

[findings.osteophyte]
patterns = ["bony (?:spur|outgrowth)s?"]
"""


def example():
    """The file in mvg/domains/README.md."""
    text = (ROOT / "mvg" / "domains" / "README.md").read_text(encoding="utf-8")
    return textwrap.dedent(re.search(r"(?ms)^    # models/mvg/domains/hand_xray.toml\n.*?(?=^Words)", text)[0])


def folder(path, text=HAND, name="hand_xray.toml"):
    (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_domains([path])


def hand(path):
    return folder(path).find("hand_xray")


def test_the_example_of_the_readme_is_a_domain(tmp_path):
    found = folder(tmp_path, example())
    assert found.errors == {} and list(found.domains) == [*BUILT_IN, "hand_xray"]
    domain = found.find("hand_xray")
    plan = recaption("Moderate loss of joint-space, left hand. No bony spurs.", domain, 2)
    assert plan.stages[0].prompt == "hand x-ray, severe left joint space narrowing" and plan.region == "left hand"
    assert recaption("Unremarkable hand.", domain, 1).finding == NO_FINDING


def test_reports_prompts_and_grades_of_an_own_domain(tmp_path):
    domain = hand(tmp_path)
    found = read_report("Grade 2 narrowed joint spaces on the right. Bony outgrowths.", domain)
    assert (found["joint space narrowing"].severity, found["joint space narrowing"].side) == ("moderate", "right")
    assert found["osteophyte"].status == "present"
    assert read_report("Preserved joint spaces.", domain)["joint space narrowing"].status == "absent"
    plan = recaption("Joint space narrowing of both hands.", domain, 2, "ladder")
    assert [s.prompt for s in plan.stages] == [
        "hand x-ray, grade 2 bilateral joint space narrowing",
        "hand x-ray, grade 4 bilateral joint space narrowing",
    ]


def test_a_file_adds_findings_to_a_built_in_domain(tmp_path):
    found = folder(tmp_path, '[findings.emphysema]\nregion = "lungs"\nrule = "lungs"\n', "chest_xray.toml")
    domain = found.find("chest_xray")
    assert domain.known[:4] == BUILT_IN["chest_xray"].known[:4] and domain.known[-1] == "emphysema"
    plan = recaption("Severe emphysema. Mild edema.", domain, 1)
    assert plan.stages[0].prompt == "frontal chest x-ray, severe emphysema"
    assert regions.rule_of(plan, domain) == "lungs"
    assert "emphysema" not in BUILT_IN["chest_xray"].findings


def test_a_narrower_finding_of_a_file_counts_as_its_parent(tmp_path):
    domain = folder(tmp_path, '[findings."rib break"]\nparent = "fracture"\n', "chest_xray.toml").find("chest_xray")
    found = read_report("Left rib break.", domain)
    assert found["rib break"].status == found["fracture"].status == "present"


def test_a_language_model_is_asked_in_the_words_of_the_file(tmp_path):
    domains = folder(tmp_path).domains
    question = question_text("Left joint space narrowing.", domains["hand_xray"], 3)
    assert "joint space narrowing, osteophyte, no finding" in question and "left hand" in question
    said = json.loads(json.dumps(answer()).replace("pleural effusion", "joint space narrowing"))
    for stage, severity, word in zip(said["stages"], (0.2, 0.5, 0.9), ("grade 1", "grade 2", "grade 4"), strict=True):
        prompt = f"hand x-ray, {word} left joint space narrowing"
        stage |= {"severity": severity, "region": "left hand", "prompt": prompt}
    said["stages"][-1]["prompt"] = "hand x-ray, grade 4 left joint space narrowing"
    plan = plan_in(json.dumps(said), None, domains)
    assert plan.domain == "hand_xray" and plan.finding == "joint space narrowing"


def test_a_changed_file_is_another_question(tmp_path):
    def data(text):
        return Question(folder(tmp_path, text).find("hand_xray"), 1, "terminal", None, ("osteophyte",), "severe").data()

    assert data(HAND) != data(HAND + 'synonyms = ["spur"]\n') and json.dumps(data(HAND))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HAND + "colour = true\n", "findings, osteophyte: got an unknown field 'colour', want synonyms"),
        ("colour = true\n" + HAND, "got an unknown field 'colour', want prefixes"),
        (HAND.replace("0.9", "1.5"), "severities, grade 4: got 1.5, want at most 1"),
        (HAND.replace("0.2", "-0.2"), "severities, grade 1: got -0.2, want greater than 0"),
        (HAND.replace("0.2", "nan"), "severities, grade 1: got nan"),
        (HAND.replace("0.2", '"low"'), "severities, grade 1: got 'low', want a"),
        (HAND + "[findings.osteophyte]\n", r"is no TOML \(Cannot declare"),
        (HAND + '[findings."Joint-space narrowing"]\n', "got the word 'joint space narrowing', which joint space"),
        (HAND + '[findings.spur]\nsynonyms = ["osteophyte"]\n', "findings, spur: got the word 'osteophyte'"),
        (HAND + 'rule = "knee"\n', "findings, osteophyte, rule: got 'knee', want 'heart'"),
        (HAND + 'parent = "gout"\n', "osteophyte, parent: got 'gout', want one of joint space narrowing"),
        (HAND + 'parent = "osteophyte"\n', "osteophyte, parent: got 'osteophyte'"),
        (HAND.replace("(?:spur|outgrowth)", "(spur"), "osteophyte, pattern 1: got 'bony .spurs.', which is no regular"),
        (HAND.replace("(?:spur|outgrowth)s?", "(a+)+"), "osteophyte, pattern 1: got .* without repetition"),
        (HAND.replace("(?:spur|outgrowth)s?", "a{9}"), "osteophyte, pattern 1: got .* without repetition"),
        (HAND.replace("(?:spur|outgrowth)s?", "(?=spur)"), "osteophyte, pattern 1: got .* without repetition"),
        (HAND.replace("bony (?:spur|outgrowth)s?", "a?" * 9), "osteophyte, pattern 1: got .* at most 8"),
        (HAND.replace("bony (?:spur|outgrowth)s?", "(?:bony)?"), "osteophyte, pattern 1: got .* fits an empty text"),
        (HAND.replace('["hand x-ray"]', "[]"), "prefixes: is missing"),
        (HAND.replace('["hand x-ray"]', '["../x"]'), "prefix 1: got '../x', want letters"),
        (HAND.replace("findings.osteophyte", 'findings."../../etc"'), "got '../../etc', want letters"),
        (HAND.replace("findings.osteophyte", 'findings."no finding"'), "is a word for no finding"),
        (HAND.replace('"{side} hand"', '"{side.__class__}"'), "region: got '{side.__class__}', want letters"),
        (HAND.replace("true", '"yes"'), "gray: got 'yes', want true or false"),
        ('prefixes = ["x"]\n', "findings: is missing"),
        ("# " + "x" * 10_000_000, "got 10000002 bytes, want at most 100000"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        ("[" * 5000, "is no TOML"),
        ("x = " + "[" * 50_000, "is no TOML"),
    ],
)
def test_a_bad_file_is_one_line_and_harms_no_other_domain(tmp_path, text, message):
    folder(tmp_path, name="knee.toml")
    found = folder(tmp_path, text)
    assert list(found.domains) == [*BUILT_IN, "knee"]
    error = found.errors["hand_xray"]
    assert re.match(f"domain file hand_xray.toml(,|:) .*{message}", error), error
    assert "\n" not in error and len(error) < 500
    with pytest.raises(DomainError, match="domain: got 'hand_xray', which cannot be used: domain file hand_xray"):
        found.find("hand_xray")


@pytest.mark.parametrize("name", ["Hand.toml", "a b.toml", "..toml", "x" * 80 + ".toml"])
def test_a_file_of_a_name_that_no_workflow_could_hold(tmp_path, name):
    found = folder(tmp_path, HAND, name)
    assert list(found.domains) == list(BUILT_IN) and "want small letters" in next(iter(found.errors.values()))


def test_a_built_in_domain_takes_findings_only(tmp_path):
    found = folder(tmp_path, 'prefixes = ["x"]\n[findings.emphysema]\n', "fundus.toml")
    assert "domain file fundus.toml, prefixes: fundus is built in, want findings only" in found.errors["fundus"]
    assert found.find("fundus") is BUILT_IN["fundus"]
    again = folder(tmp_path, "[findings.glaucoma]\n", "fundus.toml")
    assert "got the word 'glaucoma', which glaucoma has already" in again.errors["fundus"]


def test_the_first_of_two_folders_counts_and_missing_ones_are_passed_over(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        folder(tmp_path / name, HAND.replace("hand x-ray", f"{name} x-ray"))
    (tmp_path / "b" / "deeper.toml").mkdir()
    found = load_domains([tmp_path / "none", tmp_path / "a", tmp_path / "b"])
    assert found.find("hand_xray").prefix == "a x-ray" and found.errors == {}


def test_an_edited_file_counts_and_one_that_went_is_named(tmp_path):
    assert hand(tmp_path).prefix == "hand x-ray"
    file = tmp_path / "hand_xray.toml"
    file.write_text(HAND.replace("hand x-ray", "wrist x-ray"))
    os.utime(file, (1, 1))
    assert load_domains([tmp_path]).find("hand_xray").prefix == "wrist x-ray"
    file.unlink()
    with pytest.raises(ValueError, match="domain: got 'hand_xray', want one of chest_xray, fundus, skin"):
        load_domains([tmp_path]).find("hand_xray")


def test_the_worst_pattern_that_is_taken_reads_in_a_short_time(tmp_path):
    for pattern in ("a?" * 8 + "b", "(?:a|a)" * 8 + "b"):
        domain = folder(tmp_path, HAND.replace("bony (?:spur|outgrowth)s?", pattern)).find("hand_xray")
        start = time.process_time()
        read_report("a" * 20_000 + " " + "aaaaaaaaa " * 2000, domain)
        assert time.process_time() - start < 10
        (tmp_path / "hand_xray.toml").unlink()


def test_inspect_knows_a_domain_of_the_models_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from mvgen.launch import inspect\n"
        f"inspect.domain_folders = lambda: [Path({str(tmp_path)!r})]\n"
        "from mvgen.launch.arguments import Parser, add_inspect_options\n"
        "parser = Parser(); add_inspect_options(parser); sys.exit(inspect.main(parser.parse_args()))"
    )
    hand(tmp_path)
    report = tmp_path / "report.txt"
    report.write_text("Severe joint space narrowing of the left hand.")
    run = [sys.executable, "-c", code, str(report), "--domain", "hand_xray", "--json"]
    found = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert found["findings"]["joint space narrowing"] == {"status": "present", "severity": "severe", "side": "left"}
