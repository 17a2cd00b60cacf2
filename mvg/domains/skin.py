"""Dermoscopic images of a skin lesion."""

from .domain import Domain, Finding, by_name
from .patterns import any_of

SKIN = Domain(
    name="skin",
    prefixes=("dermoscopic image", "dermoscopy", "skin lesion image"),
    normal=("no finding", "benign nevus", "normal"),
    rule="lesion",
    findings=by_name(
        [
            Finding(
                "melanoma",
                synonyms=("malignant melanoma",),
                region="lesion",
                rule="lesion",
                present=any_of(
                    r"(?:(?:malignant|superficial spreading|nodular|invasive|amelanotic|acral(?: lentiginous)?"
                    r"|desmoplastic"
                    r"|lentigo maligna|cutaneous|metastatic) ){0,3}melanomas?(?: in[- ]situ)?",
                    r"lentigo maligna",
                    r"(?:malignant|suspicious) (?:melanocytic |pigmented |skin ){0,2}(?:lesion|naevus|nevus|mole)s?",
                    r"malignant (?:change|transformation)",
                ),
                implied=any_of(
                    r"(?:malignant|suspicious) (?:melanocytic |pigmented |skin ){0,2}(?:lesion|naevus|nevus|mole)s?",
                    r"malignant (?:change|transformation)",
                ),
            ),
            Finding(
                "basal cell carcinoma",
                synonyms=("basal cell cancer",),
                region="lesion",
                rule="lesion",
                present=any_of(r"basal cell (?:carcinoma|cancer)s?", r"(?<!cc: )bccs?(?!: [^.]*@)"),
            ),
            Finding(
                "squamous cell carcinoma",
                synonyms=("squamous cell cancer",),
                region="lesion",
                rule="lesion",
                present=any_of(r"squamous cell (?:carcinoma|cancer)s?", r"sccs?"),
            ),
            Finding(
                "seborrheic keratosis",
                region="lesion",
                rule="lesion",
                present=any_of(r"seborrh(?:o?e|o)ic keratos[ei]s"),
            ),
            Finding(
                "actinic keratosis",
                synonyms=("solar keratosis",),
                region="lesion",
                rule="lesion",
                present=any_of(r"(?:actinic|solar) keratos[ei]s", r"bowen'?s? disease"),
            ),
            Finding(
                "dermatofibroma",
                region="lesion",
                rule="lesion",
                present=any_of(r"dermatofibromas?", r"(?:benign )?fibrous histiocytomas?"),
            ),
            Finding(
                "vascular lesion",
                synonyms=("hemangioma", "angioma"),
                region="lesion",
                rule="lesion",
                present=any_of(
                    r"(?:vascular|ha?emorrhagic) lesions?",
                    r"(?:cherry )?(?:ha?em)?angiomas?",
                    r"angiokeratomas?",
                    r"pyogenic granulomas?",
                ),
            ),
            Finding(
                "nevus",
                synonyms=("melanocytic nevus", "mole"),
                benign=True,
                region="lesion",
                rule="lesion",
                present=any_of(
                    r"(?:benign |melanocytic |dysplastic |"
                    r"compound |junctional |intra[- ]?dermal |congenital |blue ){0,3}"
                    r"(?:na?ev(?:us|i)|moles?)",
                ),
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
    lookalikes=any_of(
        r"non[- ]?melanoma(?:tous)?(?: skin)? (?:cancer|lesion|tumou?r)s?",
        r"(?:uveal|ocular|choroidal|conjunctival|mucosal|iris) melanomas?",
    ),
    words="asymmetric asymmetry black blue blue-white border borders brown color colors dark dots globules "
    "irregular lesion malignant network pigment pigmented regression streaks structures variegated veil "
    "white",
)
