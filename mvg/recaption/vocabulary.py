"""The words that reports of a domain use for its findings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .. import captions
from .lexicon import any_of


@dataclass(frozen=True)
class Vocabulary:
    """What the rules know of one domain.

    words: what its captions say, of the findings that its embedded model draws (``known``). present: finding -> pattern
    of the words that name it. regions: finding -> its place, "{side}" where the side belongs. clear: the image is
    normal. normal: finding -> pattern of words that deny it without a negation ("heart size is normal"). diagnoses:
    finding -> pattern, among those of present, of what only implies it ("heart failure"), which counts where the report
    says nothing else of the finding.
    """

    words: captions.Words
    present: Mapping[str, re.Pattern[str]]
    regions: Mapping[str, str]
    clear: re.Pattern[str]
    normal: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    diagnoses: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return self.words.domain

    @property
    def prefix(self) -> str:
        return self.words.prefix

    @property
    def known(self) -> tuple[str, ...]:
        return self.words.findings

    @property
    def sided(self) -> tuple[str, ...]:
        return self.words.sided


_NOTHING = (
    r"no (?:\w+ ){0,3}(?:acute|active|significant|relevant|abnormal)\w*(?: \w+){0,3}",
    r"^(?:normal|unremarkable|within normal limits)(?: (?:study|exam(?:ination)?))?(?=[.!]?$)",
)
_HEART = r"(?:cardio[- ]?(?:mediastinal|pericardial)|cardiac|heart|mediastinal)(?: ?(?:and|/) ?mediastin\w+)?"
_HEART_WORDS = rf"{_HEART}(?: (?:size|silhouette|shadow|contours?|diameter))*"
_DEGREE = (
    r"(?:not|no|stable and|stable but|unchanged and|mildly|slightly|minimally|moderately|markedly|severely|grossly"
    r"|massively|significantly|borderline|stably|again|now|still)"
)
_IS = r"(?:is|are|was|were|appears?|appeared|remains?|looks?|seems?|measures?)"
_AIR = r"(?:air[- ]?space|alveolar|parenchymal|pulmonary|lung|lobar|interstitial|reticular)"
_NOT_OPACITY = "".join(
    f"(?<!{word} )"
    for word in (
        "calcified",
        "metallic",
        "lobulated",
        "mediastinal",
        "linear",
        "rounded",
        "mass-like",
        "bony",
        "osseous",
        "retrosternal",
    )
)

_HEART_FAILURE = (r"cardiac decompensation", r"(?:congestive )?heart failure", r"chf")

CHEST_XRAY = Vocabulary(
    words=captions.CHEST_XRAY,
    present=MappingProxyType(
        {
            "cardiomegaly": any_of(
                r"cardiomegal\w+",
                r"megalocardia",
                r"(?:enlarged|enlarging|large|big|dilated|prominent|globular) "
                r"(?:cardiac|heart|cardio[- ]?(?:mediastinal|pericardial))"
                r"(?: (?:silhouette|shadow|size|contour))?",
                r"(?:cardiac|heart) enlargement",
                r"prominence of the (?:cardiac|heart) (?:silhouette|shadow|size|contour)",
                r"enlargement of the (?:cardiac|heart|cardiomediastinal)(?: (?:silhouette|shadow|size|contour))?",
                r"increased (?:heart size|cardiothoracic ratio)",
                rf"{_HEART_WORDS}:?(?: {_IS})?(?: {_DEGREE}| to be){{0,3}} "
                r"(?:enlarged|increased|large|big|dilated|globular|prominent)"
                r"(?: in size)?",
                rf"{_HEART_WORDS}(?: {_IS})? (?:at the )?(?:borderline|upper limits? of normal|top[- ]normal)",
                r"borderline (?:cardiac|heart) (?:size|silhouette)",
                r"(?:cardiothoracic ratio|ctr) (?:is )?(?:increased|enlarged|elevated)",
                r"(?:cardiothoracic ratio|ctr) (?:is |of )?(?:(?:about|approximately|greater than|more than|over|>) ?)?"
                r"(?:0?\.[5-9]\d*|[5-9]\d ?%)",
            ),
            "edema": any_of(
                r"(?<!ankle )(?<!pedal )(?<!leg )(?<!limb )(?<!peripheral )(?<!cerebral )(?<!brain )(?<!tissue )"
                r"(?<!extremity )(?<!subcutaneous )(?<!facial )o?edema(?:tous)?",
                r"(?:pulmonary|vascular|pulmonary (?:venous|vascular)|venous|perihilar|hilar|central) "
                r"(?:congestion|engorgement)",
                r"(?<!nasal )(?<!sinus )(?<!chest )(?<!hepatic )(?<!liver )congestion",
                r"engorged",
                r"pulmonary venous hypertension",
                r"congested (?:pulmonary )?(?:vessels|vasculature|hila)",
                r"congestive (?:changes|pattern)",
                r"(?:fluid|volume) overload",
                r"(?:vascular |vessel )?cephali[sz]ation",
                r"(?:vascular|upper lobe|blood flow) redistribution",
                r"kerley(?:[- ]b)?(?: lines?)?",
                *_HEART_FAILURE,
            ),
            "pleural effusion": any_of(
                r"(?<!pericardial )(?<!joint )(?<!knee )(?:pleural )?effusions?",
                r"pleural (?:fluid|liquid|collections?)",
                r"fluid (?:with)?in the (?:left |right )?pleural (?:space|cavity)",
                r"h(?:ydro|(?:a?e)mo|ydropneumo)thorax",
                r"empyema",
                r"(?:blunt\w+|efface\w+|obliterat\w+|loss) of (?:the |both |bilateral |left |right ){0,3}"
                r"(?:lateral |posterior )?"
                r"costo[- ]?(?:phrenic|diaphragmatic) (?:angles?|recess(?:es)?|sulc(?:us|i))",
                r"(?:costo[- ]?phrenic angles?|cp angles?) (?:is |are |appears? )?(?:mildly |slightly |not )?"
                r"(?:blunted|effaced|obliterated|obscured)",
                r"blunted (?:left |right |both )?costo[- ]?phrenic angles?",
            ),
            "consolidation": any_of(
                rf"(?:{_AIR} )?consolidat(?:ions?|ed|ive)(?: (?:opacit(?:y|ies)|changes?))?",
                r"(?:broncho[- ]?)?pneumoni(?:as?|c)",
                r"pneumonitis",
                rf"{_NOT_OPACITY}(?<!nodular )(?:ground[- ]?glass )?opacity",
                rf"{_NOT_OPACITY}(?:ground[- ]?glass )?(?:opacities|opacifications?)",
                r"infiltrat(?:es?|ions?|ive)",
                r"ground[- ]?glass",
                r"ggos?",
                rf"{_AIR} (?:shadow(?:s|ing)?|filling|condensations?)",
                r"(?:air[- ]?space|alveolar|parenchymal) (?:disease|process)",
                r"condensations?",
                r"air[- ]bronchograms?",
                r"haz(?:e|iness|y)",
                r"ards",
                r"acute respiratory distress syndrome",
            ),
            "atelectasis": any_of(
                r"atelecta(?:sis|ses|tic)(?: (?:changes?|bands?))?",
                r"(?:lung|lobar|lobe) collapse",
                r"collapse of the (?:\w+ ){0,3}(?:lung|lobe)",
            ),
            "pneumothorax": any_of(r"(?<!hydro)pneumothora(?:x|ces|xes)", r"ptx"),
        }
    ),
    normal=MappingProxyType(
        {
            "cardiomegaly": any_of(
                rf"{_HEART_WORDS}:?(?:(?: and| ,|,) (?:[a-z]+ ){{0,3}}"
                rf"(?:contours?|silhouette|vascularity|vasculature|mediastinum))?(?: {_IS})?"
                rf"(?: \w+ly)? (?:within (?:the )?normal|normal|unremarkable|not enlarged|not dilated)",
                rf"normal {_HEART_WORDS}",
            ),
            "edema": any_of(
                rf"pulmonary (?:vascularity|vasculature)(?: {_IS})?(?: \w+ly)? (?:within normal|normal|unremarkable)",
                r"normal pulmonary (?:vascularity|vasculature)",
            ),
            "pleural effusion": any_of(
                rf"(?:costo[- ]?phrenic angles?|pleural spaces?|pleura)(?: {_IS})? (?:clear|sharp|normal|preserved)"
            ),
            "consolidation": any_of(
                rf"(?:both |the )?lungs?(?: fields?)?:?(?: {_IS})?"
                r"(?:(?: \w+)? \w*(?:expanded|inflated|aerated) (?:and|but))?(?: \w+ly)? clear",
                r"clear lungs?",
            ),
        }
    ),
    diagnoses=MappingProxyType({"edema": any_of(*_HEART_FAILURE)}),
    regions=MappingProxyType(
        {
            "cardiomegaly": "heart",
            "edema": "lungs",
            "pleural effusion": "{side} lung base",
            "consolidation": "{side} lung",
        }
    ),
    clear=any_of(
        *_NOTHING,
        r"no abnormalit(?:y|ies)",
        r"no (?:\w+ )?(?:cardio[- ]?pulmonary|findings?)",
        r"without (?:acute|active) (?:\w+ ){0,2}disease",
        r"negative for acute",
        r"(?:chest|lungs?|heart|cxr|x[- ]?ray|radiograph|film|thorax)\b[^.]{0,30}\b(?:normal|clear|unremarkable)",
        r"(?:normal|clear|unremarkable) (?:frontal |pa |ap )?(?:chest|lungs?|heart|cxr|x[- ]?ray|radiograph|film)",
    ),
)

FUNDUS = Vocabulary(
    words=captions.FUNDUS,
    present=MappingProxyType(
        {
            "diabetic retinopathy": any_of(
                r"(?:(?:non[- ]?proliferative|proliferative|background) )?(?:diabetic )?retinopath(?:y|ies)",
                r"n?pdr",
                r"dr",
                r"micro[- ]?an(?:eu|e)rysms?",
                r"(?:(?:dot|blot|flame|flame[- ]shaped|intra[- ]?retinal|pre[- ]?retinal|retinal)"
                r"(?:(?: and |[- /])(?:dot|blot))? )?ha?emorrhages?",
                r"(?:hard )?exudat(?:es?|ions?)",
                r"cotton[- ]?wool (?:spots?|patches)",
                r"venous beading",
                r"irma",
                r"neo[- ]?vasculari[sz]ations?",
                r"nv[de]",
                r"new vessels",
            ),
            "macular edema": any_of(r"(?:diabetic )?macular o?edema", r"d?me", r"retinal thickening"),
            "glaucoma": any_of(r"glaucoma(?:tous)?", r"(?:optic )?(?:disc|nerve) cupping"),
            "macular degeneration": any_of(r"(?:age[- ]related )?macular degeneration", r"amd", r"drusen"),
        }
    ),
    regions=MappingProxyType({"diabetic retinopathy": "retina"}),
    clear=any_of(
        *_NOTHING,
        r"no (?:abnormalit(?:y|ies)|findings?)",
        r"(?:retinae?|fundus|fundi|macula|disc|eyes?|photographs?)\b[^.]{0,30}\b(?:normal|clear|unremarkable|healthy)",
        r"(?:normal|unremarkable|healthy) (?:left |right )?(?:retinae?|fundus|fundi|macula|eyes?)",
    ),
)
SKIN = Vocabulary(
    words=captions.SKIN,
    present=MappingProxyType(
        {
            "melanoma": any_of(
                r"(?:malignant |superficial spreading |nodular |invasive )?melanomas?(?: in situ)?",
                r"(?:malignant|atypical|suspicious) (?:melanocytic |pigmented |skin )?(?:lesion|naevus|nevus|mole)s?",
                r"malignant (?:change|transformation)",
            ),
            "basal cell carcinoma": any_of(r"basal cell (?:carcinoma|cancer)s?", r"bccs?"),
            "squamous cell carcinoma": any_of(r"squamous cell (?:carcinoma|cancer)s?", r"sccs?"),
            "seborrheic keratosis": any_of(r"seborrho?eic keratos[ei]s"),
        }
    ),
    regions=MappingProxyType({"melanoma": "lesion"}),
    clear=any_of(
        r"no (?:\w+ ){0,3}(?:significant|relevant|abnormal|suspicious|malignan)\w*(?: \w+){0,3}",
        r"^(?:normal|unremarkable|benign)(?: (?:study|exam(?:ination)?))?(?=[.!]?$)",
        r"no (?:abnormalit(?:y|ies)|findings?)",
        r"benign (?:\w+ ){0,2}(?:lesion|naev(?:us|i)|nev(?:us|i)|mole)s?",
        r"(?:skin|lesion|naevus|nevus|mole)\b[^.]{0,30}\b(?:normal|unremarkable|benign)",
    ),
)

VOCABULARIES = MappingProxyType({v.domain: v for v in (CHEST_XRAY, FUNDUS, SKIN)})


def vocabulary(domain: str) -> Vocabulary:
    """The vocabulary of a domain; ValueError names the domains there are."""
    if domain not in VOCABULARIES:
        raise ValueError(f"domain: got {domain!r}, want one of {', '.join(VOCABULARIES)}")
    return VOCABULARIES[domain]
