"""The domains: what each knows of its findings, and that any of them is read in a report and progressed in a plan."""

import re

import pytest
import torch
from mvgen.mvg import regions
from mvgen.mvg.domains import BUILT_IN, find_domain
from mvgen.mvg.domains.domain import REGION_RULES
from mvgen.mvg.domains.patterns import any_of, plain
from mvgen.mvg.plan import NO_FINDING, Plan
from mvgen.mvg.recaption.offline import read_report, recaption
from mvgen.research.bench.anatomy import as_image
from mvgen.research.phantom import captions, chest_xray, fundus

# Irvin et al. 2019, table 1, without "no finding"; "pleural other" is pleural thickening here
CHEXPERT = {
    *("enlarged cardiomediastinum", "cardiomegaly", "lung opacity", "lung lesion", "edema", "consolidation"),
    *("pneumonia", "atelectasis", "pneumothorax", "pleural effusion", "pleural thickening", "fracture"),
    "support devices",
}
# ISIC 2019's classes
ISIC = {
    *("melanoma", "nevus", "basal cell carcinoma", "actinic keratosis", "seborrheic keratosis", "dermatofibroma"),
    *("vascular lesion", "squamous cell carcinoma"),
}
KNOWN = [(name, finding) for name, domain in BUILT_IN.items() for finding in domain.known]


def read(report, domain):
    return {name: o.status for name, o in read_report(report, domain).items()}


def test_the_findings_of_public_data_sets_are_known():
    assert set(BUILT_IN["chest_xray"].findings) == CHEXPERT
    assert set(BUILT_IN["skin"].findings) == ISIC
    assert BUILT_IN["fundus"].known == ("diabetic retinopathy", "macular edema", "glaucoma", "macular degeneration")


@pytest.mark.parametrize("domain", BUILT_IN)
def test_what_phantoms_show_comes_first(domain):
    drawn = captions.FINDINGS[domain]
    assert BUILT_IN[domain].known[: len(drawn)] == drawn


@pytest.mark.parametrize(("domain", "finding"), KNOWN)
def test_any_finding_is_read_and_progressed(domain, finding):
    known = BUILT_IN[domain]
    for name in (finding, *known.findings[finding].synonyms):
        assert read(f"There is a moderate {name}.", domain)[finding] == "present", name
        assert read(f"No {name}.", domain).get(finding) == "absent", name
    plan = recaption(f"Mild {finding}.", domain, 3, finding=finding)
    assert plan.finding == finding and len(plan.stages) == 3 and plan.region
    side = "bilateral " if known.findings[finding].sided else ""
    assert plan.stages[-1].prompt == f"{known.prefix}, severe {side}{finding}"
    assert [s.severity for s in plan.stages] == pytest.approx([0.45, 0.65, 0.85])


@pytest.mark.parametrize(
    ("report", "finding", "side"),
    [
        ("Left lower lobe pneumonia.", "pneumonia", "left"),
        ("Patchy right basal opacity.", "lung opacity", "right"),
    ],
)
def test_a_mention_of_a_narrower_finding_is_one_of_the_wider(report, finding, side):
    found = read_report(report, "chest_xray")
    assert found[finding].side == found["consolidation"].side == side
    assert found[finding].status == found["consolidation"].status == "present"
    assert recaption(report, "chest_xray", 1).finding == "consolidation"


def test_what_a_model_does_not_draw_is_drawn_as_its_parent():
    drawn = captions.FINDINGS["chest_xray"]
    plan = recaption("Left pneumonia.", "chest_xray", 1, finding="pneumonia", known=drawn)
    assert plan.stages[0].prompt == "frontal chest x-ray, severe left consolidation"
    assert "pneumonia is drawn as consolidation" in " ".join(plan.notes)
    assert recaption("Left pneumonia.", "chest_xray", 1, known=drawn).stages == plan.stages
    own = recaption("Left pneumonia.", "chest_xray", 1, finding="pneumonia")
    assert own.stages[0].prompt == "frontal chest x-ray, severe left pneumonia"
    with pytest.raises(ValueError, match="finding: got 'atelectasis', want one of cardiomegaly, edema"):
        recaption("Atelectasis.", "chest_xray", 1, finding="atelectasis", known=drawn)


def test_a_denied_narrower_finding():
    assert read("No pneumonia.", "chest_xray") == {"consolidation": "absent", "pneumonia": "absent"}


def test_a_nevus_is_progressed_only_where_it_is_asked_for():
    assert read("Compound nevus.", "skin") == {"nevus": "present"}
    assert recaption("Compound nevus.", "skin", 1).finding == NO_FINDING
    assert recaption("Compound nevus.", "skin", 1, finding="nevus").finding == "nevus"


def test_devices_are_read_and_never_progressed():
    assert read("Endotracheal tube in place.", "chest_xray") == {"support devices": "present"}
    with pytest.raises(ValueError, match="names only support devices"):
        recaption("Endotracheal tube in place.", "chest_xray", 1)


@pytest.mark.parametrize(
    ("report", "severity"),
    [
        ("Diabetic retinopathy, grade 1.", "mild"),
        ("Grade 2 diabetic retinopathy.", "moderate"),
        ("DR level 3.", "severe"),
        ("Proliferative diabetic retinopathy.", "severe"),
        ("PDR.", "severe"),
        ("Mild non-proliferative diabetic retinopathy.", "mild"),
        ("NPDR.", ""),
    ],
)
def test_grades_of_retinopathy(report, severity):
    assert read_report(report, "fundus")["diabetic retinopathy"].severity == severity


def test_grade_0_denies_retinopathy():
    assert read("Diabetic retinopathy grade 0.", "fundus") == {"diabetic retinopathy": "absent"}


def test_every_finding_has_a_region_of_an_image():
    chest = as_image(chest_xray.render(chest_xray.sample_patient(200)))
    eye = torch.from_numpy(fundus.render(fundus.sample_patient(6000)))[None]
    lungs = regions.region_mask(chest, "lungs")[0] > 0.5
    shares = {}
    for rule in (r for r in REGION_RULES if r != "lesion"):
        mask, words = regions.region_mask(eye if rule in regions.FUNDUS_RULES else chest, rule)
        assert mask.shape == (128, 128) and mask.min() >= 0 and 0.9 < mask.max() <= 1 and words
        shares[rule] = float((mask > 0.5).float().mean())
    assert shares["optic disc"] < shares["macula"] < shares["retina"]
    assert shares["upper lung zone"] < shares["lung"] < shares["chest"] < shares["whole image"] == 1
    assert shares["mediastinum"] < shares["chest"]
    left = regions.region_mask(chest, "lower lung zone", "left")[0] > 0.5
    assert not left[:, :40].any() and bool((left & lungs).sum() > 0.9 * left.sum())
    with pytest.raises(ValueError, match="rule: got 'knee', want one of heart"):
        regions.region_mask(chest, "knee")


def test_a_chest_that_is_not_found_is_an_error_where_strict():
    plan = Plan("chest_xray", "edema", "", ())
    nothing = torch.zeros(1, 128, 128, 3)
    assert "does not look like a frontal chest X-ray" in regions.roi_mask(nothing, plan)[1]
    with pytest.raises(ValueError, match="image: this does not look like a frontal chest X-ray"):
        regions.roi_mask(nothing, plan, strict=True)


def test_an_unknown_domain_is_named():
    with pytest.raises(ValueError, match="domain: got 'brain', want one of chest_xray, fundus, skin"):
        find_domain("brain")


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("joint space narrowing", "mild joint-space narrowing of the knee", True),
        ("joint space narrowing", "joint spaces normal", False),
        ("a+b (c)", "an a+b (c) sign", True),
        ("osteophyte", "large osteophytes", True),
        ("proliferative", "non-proliferative", False),
    ],
)
def test_plain_words(words, text, found):
    assert bool(re.search(plain(words), text)) == found
    if words[-1].isalpha():
        assert bool(any_of(plain(words)).search(text)) == found
