"""mvg/severity.py: places on a scale and even stages; a plan of mode severity, as data and as text."""

from itertools import pairwise

import pytest
import torch
from mvgen.mvg.plan import Grade, Plan, PlanError, Stage
from mvgen.mvg.plan_text import parse_plan, plan_text
from mvgen.mvg.recaption.offline import recaption
from mvgen.mvg.severity import between, changes, equal_change, equal_reading

SCALE = (0.0, 0.1, 0.25, 0.85)


@pytest.mark.parametrize(
    "severity, lower, upper, share",
    [(0.0, 0, 0, 0.0), (0.05, 0, 1, 0.5), (0.1, 1, 1, 0.0), (0.55, 2, 3, 0.5), (0.85, 3, 3, 0.0), (1.0, 2, 3, 1.25)],
)
def test_a_severity_lies_between_its_neighbors(severity, lower, upper, share):
    place = between(SCALE, severity)
    assert (place.lower, place.upper) == (lower, upper) and place.share == pytest.approx(share)


@pytest.mark.parametrize(
    "scale, severity",
    [((), 0.5), ((0.1, 0.1), 0.5), ((0.2, 0.1), 0.5), (SCALE, 1.5), ((0.3, 0.6), 0.1), ((0.5,), 0.6)],
)
def test_a_scale_rises_and_a_severity_is_a_share(scale, severity):
    with pytest.raises(ValueError, match=r"^(scale|severity): got"):
        between(scale, severity)


def test_changes_count_where_the_mask_is():
    black, half = torch.zeros(4, 4, 3), torch.zeros(4, 4, 3)
    half[:, :2] = 0.5
    mask = torch.zeros(4, 4)
    mask[:, :2] = 1
    assert changes([black, half, half], mask) == pytest.approx([0.5, 0.0])
    assert changes([black, half]) == pytest.approx([0.25])


def test_equal_change_inverts_the_arc_length():
    # the picture changes nine times as fast in the second half
    probed = [0.0, 0.5, 1.0]
    asked = equal_change(probed, [0.1, 0.9], 4)
    assert asked == pytest.approx(
        [0.5 + 0.5 * (0.25 - 0.1) / 0.9, 0.5 + 0.5 * 0.4 / 0.9, 0.5 + 0.5 * 0.65 / 0.9, 1.0], abs=1e-4
    )


def test_equal_change_rises_over_a_standstill():
    asked = equal_change([0.0, 0.2, 0.4, 0.6], [0.5, 0.0, 0.5], 6)
    assert all(b > a for a, b in pairwise(asked)) and asked[-1] == pytest.approx(0.6)


@pytest.mark.parametrize("probed, steps", [([0.0, 1.0], [0.0]), ([0.0, 1.0], [0.1, 0.2]), ([0.0, 0.0], [0.1])])
def test_equal_change_wants_a_model_that_answers(probed, steps):
    with pytest.raises(ValueError, match=r"^(steps|probed): got"):
        equal_change(probed, steps, 3)


def test_equal_reading_finds_what_is_read_as_planned():
    def reads(severity):  # a model that overshoots
        return severity**0.5

    probed = [n / 10 for n in range(11)]
    looks = []

    def look(severity):
        looks.append(severity)
        return reads(severity)

    wanted = [0.2, 0.4, 0.6, 0.8]
    asked = equal_reading(wanted, probed, [reads(p) for p in probed], look)
    assert [reads(a) for a in asked] == pytest.approx(wanted, abs=0.04)
    assert len(looks) <= 4 * len(wanted)


def test_equal_reading_stops_at_what_the_model_reaches():
    asked = equal_reading([0.5, 0.9], [0.0, 1.0], [0.0, 0.6], lambda severity: 0.6 * severity)
    assert asked[1] == 1.0 and asked[0] == pytest.approx(0.5 / 0.6, abs=0.05)


def test_a_report_becomes_a_plan_of_severities():
    plan = recaption("Mild left pleural effusion.", "chest_xray", 4, "severity")
    assert [stage.severity for stage in plan.stages] == pytest.approx([0.4, 0.55, 0.7, 0.85])
    assert plan.scale[0] == Grade(0.0, "frontal chest x-ray, no finding")
    assert plan.scale[-1] == Grade(0.85, "frontal chest x-ray, severe left pleural effusion")
    assert {stage.source for stage in plan.stages} == {"frontal chest x-ray, no finding"}
    assert recaption("Mild edema.", "chest_xray", 4, "ladder").scale == ()


def test_a_plan_of_severities_survives_text_and_json():
    plan = recaption("Moderate edema.", "chest_xray", 3, "severity")
    text = plan_text(plan)
    assert "grade: 0.25  frontal chest x-ray, mild edema" in text
    assert parse_plan(text).scale == plan.scale and parse_plan(text).stages == plan.stages
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    "line, message",
    [
        ("grade: 0.9", "want a severity and a prompt"),
        ("grade: much  a prompt", "want a number"),
        ("grade: 2  a prompt", "severity: got 2.0, want at most 1"),
        ("grade: 0.05  a prompt", "want severities that rise"),
    ],
)
def test_a_wrong_grade_is_named(line, message):
    text = f"domain: skin\nfinding: melanoma\ngrade: 0.1  a\n{line}\n1. 0.5  b"
    with pytest.raises(PlanError, match=message):
        parse_plan(text)


def graded(*severities):
    stages = tuple(Stage("a", "melanoma", severity) for severity in severities)
    return Plan("skin", "melanoma", "", stages, scale=(Grade(0.2, "a"), Grade(0.6, "b")))


@pytest.mark.parametrize(
    "severities, message",
    [
        ((0.4, 0.3), "stage 2, severity: got 0.3 after 0.4, want severities that never fall"),
        ((0.4, 0.4), "stage 2, severity: got 0.4 again, want one above"),
        ((0.1, 0.4), "stage 1, severity: got 0.1, for which the scale has no words, want 0.2 or more"),
    ],
)
def test_a_plan_whose_stages_no_scale_can_draw_is_refused(severities, message):
    assert len(graded(0.2, 0.6, 0.9).stages) == 3
    with pytest.raises(PlanError, match=message):
        graded(*severities)


@pytest.mark.parametrize("stages", [1, 60])
def test_few_and_many_stages_are_planned_and_spaced(stages):
    plan = recaption("Severe edema.", "chest_xray", stages, "severity")
    assert parse_plan(plan_text(plan)).scale == plan.scale and len(plan.stages) == stages
    asked = equal_change([0.0, 0.4, 0.8], [0.3, 0.1], stages)
    assert len(asked) == stages and asked[-1] == pytest.approx(0.8) and all(b > a for a, b in pairwise(asked))


def test_a_scale_of_one_prompt_is_for_stages_at_its_severity_alone():
    stage, worse = Stage("a", "melanoma", 0.5), Stage("a", "melanoma", 0.7)
    assert Plan("skin", "melanoma", "", (stage, stage), scale=(Grade(0.5, "a"),)).stages == (stage, stage)
    with pytest.raises(PlanError, match=r"scale: got one prompt for stages up to 0\.7"):
        Plan("skin", "melanoma", "", (stage, worse), scale=(Grade(0.5, "a"),))


def test_a_report_of_no_finding_is_drawn_from_one_inversion():
    plan = recaption("The lungs are clear. No pleural effusion.", "chest_xray", 3, "severity")
    assert [grade.severity for grade in plan.scale] == [0.0] and len(set(plan.stages)) == 1
    assert recaption("The lungs are clear. No pleural effusion.", "chest_xray", 3, "ladder").scale == ()
