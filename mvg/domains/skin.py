"""Dermoscopic images of a skin lesion."""

from .domain import Domain, Finding, by_name
from .patterns import any_of

SKIN = Domain(
    name="skin",
    prefixes=("dermoscopic image", "dermoscopy", "skin lesion image"),
    normal=("no finding", "benign nevus", "normal"),
    gray=False,
    findings=by_name(
        [
            Finding(
                "melanoma",
                synonyms=("malignant melanoma",),
                region="lesion",
                present=any_of(
                    r"(?:malignant |superficial spreading |nodular |invasive )?melanomas?(?: in situ)?",
                    r"(?:malignant|atypical|suspicious) (?:melanocytic |pigmented |skin )?"
                    r"(?:lesion|naevus|nevus|mole)s?",
                    r"malignant (?:change|transformation)",
                ),
            ),
            Finding(
                "basal cell carcinoma",
                present=any_of(r"basal cell (?:carcinoma|cancer)s?", r"bccs?"),
            ),
            Finding(
                "squamous cell carcinoma",
                present=any_of(r"squamous cell (?:carcinoma|cancer)s?", r"sccs?"),
            ),
            Finding(
                "seborrheic keratosis",
                present=any_of(r"seborrho?eic keratos[ei]s"),
            ),
        ]
    ),
    clear=any_of(
        r"no (?:\w+ ){0,3}(?:significant|relevant|abnormal|suspicious|malignan)\w*(?: \w+){0,3}",
        r"^(?:normal|unremarkable|benign)(?: (?:study|exam(?:ination)?))?(?=[.!]?$)",
        r"no (?:abnormalit(?:y|ies)|findings?)",
        r"benign (?:\w+ ){0,2}(?:lesion|naev(?:us|i)|nev(?:us|i)|mole)s?",
        r"(?:skin|lesion|naevus|nevus|mole)\b[^.]{0,30}\b(?:normal|unremarkable|benign)",
    ),
    words="asymmetric asymmetry black blue blue-white border borders brown color colors dark dots globules "
    "irregular lesion malignant network pigment pigmented regression streaks structures variegated veil "
    "white",
)
