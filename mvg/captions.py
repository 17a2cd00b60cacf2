"""Words of the phantom world: findings, severity bands and the caption grammar the embedded models are trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SIDES = ("left", "right", "bilateral")
SEVERITY_BANDS = {"mild": (0.10, 0.40), "moderate": (0.40, 0.70), "severe": (0.70, 1.00)}
# The finer scale of reports: word -> the severity it stands for, one even step apart.
GRADES = {
    "minimal": 0.10,
    "mild": 0.25,
    "mild to moderate": 0.40,
    "moderate": 0.55,
    "moderate to severe": 0.70,
    "severe": 0.85,
}


@dataclass(frozen=True)
class Words:
    """What the captions of a domain say.

    prefix: the modality, first in every caption; prefixes: it and other words for it. findings: in the order of the
    classifiers' outputs. sided: those with a side. synonyms: finding -> words for it. normal: words for none of them.
    What is not the canonical word (the first) is mixed into a share of the training captions.
    """

    domain: str
    prefixes: tuple[str, ...]
    findings: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    normal: tuple[str, ...]
    sided: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        return self.prefixes[0]


CHEST_XRAY = Words(
    domain="chest_xray",
    prefixes=("frontal chest x-ray", "chest x-ray", "chest radiograph", "PA chest x-ray"),
    findings=("cardiomegaly", "edema", "pleural effusion", "consolidation"),
    synonyms={
        "cardiomegaly": ("cardiomegaly", "enlarged heart", "enlarged cardiac silhouette"),
        "edema": ("edema", "pulmonary edema"),
        "pleural effusion": ("pleural effusion", "effusion"),
        "consolidation": ("consolidation", "airspace consolidation", "lung opacity"),
    },
    normal=("no finding", "normal", "clear lungs and normal heart"),
    sided=("pleural effusion", "consolidation"),
)
FUNDUS = Words(
    domain="fundus",
    prefixes=("fundus photograph", "color fundus photograph", "retinal photograph"),
    findings=("diabetic retinopathy",),
    synonyms={"diabetic retinopathy": ("diabetic retinopathy", "retinopathy")},
    normal=("no finding", "normal", "no diabetic retinopathy"),
)
SKIN = Words(
    domain="skin",
    prefixes=("dermoscopic image", "dermoscopy", "skin lesion image"),
    findings=("melanoma",),
    synonyms={"melanoma": ("melanoma", "malignant melanoma")},
    normal=("no finding", "benign nevus", "normal"),
)
WORDS = {words.domain: words for words in (CHEST_XRAY, FUNDUS, SKIN)}
FINDINGS, SIDED = CHEST_XRAY.findings, CHEST_XRAY.sided
"""Those of the chest X-ray."""


def severity_word(severity: float) -> str:
    """Word of the band that ``severity`` in [0.1, 1] lies in."""
    for word, (low, high) in SEVERITY_BANDS.items():
        if low <= severity < high or severity == high == 1.0:
            return word
    raise ValueError(f"severity: got {severity}, want a value in [0.1, 1]")


def band_centre(word: str) -> float:
    """Middle of a severity band: the severity that a prompt with this word asks for."""
    if word not in SEVERITY_BANDS:
        raise ValueError(f"severity word: got {word!r}, want one of {', '.join(SEVERITY_BANDS)}")
    low, high = SEVERITY_BANDS[word]
    return (low + high) / 2


def grade(severity: float) -> str:
    """Word of the finer scale that lies nearest to ``severity`` in [0, 1]; halfway the milder one."""
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
    return min(GRADES, key=lambda word: round(abs(GRADES[word] - severity), 9))


def phrase(finding: str, severity: float, side: str, name: str | None = None, *, fine: bool = False) -> str:
    """'severe left pleural effusion' and the like; ``side`` is the patient's and only used where it matters.

    fine: the word of the finer scale, `grade`, in place of the band's.
    """
    words = [grade(severity) if fine else severity_word(severity)]
    if finding in SIDED:
        words.append(side)
    return " ".join([*words, name or finding])


def caption(
    severities: Mapping[str, float],
    sides: Mapping[str, str],
    rng: np.random.Generator | None = None,
    words: Words = CHEST_XRAY,
) -> str:
    """Caption of a phantom: canonical words, or with ``rng`` sometimes synonyms, a shuffled order, finer grades.

    severities: finding -> [0, 1]; values under 0.1 count as absent.
    """
    present = [f for f in words.findings if severities.get(f, 0.0) >= SEVERITY_BANDS["mild"][0]]
    vary = rng is not None and rng.random() < 0.3
    fine = rng is not None and rng.random() < 0.5
    if rng is not None and vary:
        rng.shuffle(present)
        prefix = str(rng.choice(words.prefixes))
        names = {f: str(rng.choice(words.synonyms[f])) for f in present}
        normal = str(rng.choice(words.normal))
    else:
        prefix, names, normal = words.prefix, {}, words.normal[0]
    if not present:
        return f"{prefix}, {normal}"
    said = [phrase(f, severities[f], sides.get(f, ""), names.get(f), fine=fine) for f in present]
    return ", ".join([prefix, *said])
