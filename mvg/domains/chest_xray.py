"""Frontal chest X-rays."""

from .domain import Domain, Finding, by_name
from .patterns import NOTHING, any_of

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

CHEST_XRAY = Domain(
    name="chest_xray",
    prefixes=("frontal chest x-ray", "chest x-ray", "chest radiograph", "PA chest x-ray"),
    normal=("no finding", "normal", "clear lungs and normal heart"),
    gray=True,
    findings=by_name(
        [
            Finding(
                "cardiomegaly",
                synonyms=("enlarged heart", "enlarged cardiac silhouette"),
                region="heart",
                present=any_of(
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
                    r"(?:cardiothoracic ratio|ctr) "
                    r"(?:is |of )?(?:(?:about|approximately|greater than|more than|over|>) ?)?"
                    r"(?:0?\.[5-9]\d*|[5-9]\d ?%)",
                ),
                normal=any_of(
                    rf"{_HEART_WORDS}:?(?:(?: and| ,|,) (?:[a-z]+ ){{0,3}}"
                    rf"(?:contours?|silhouette|vascularity|vasculature|mediastinum))?(?: {_IS})?"
                    rf"(?: \w+ly)? (?:within (?:the )?normal|normal|unremarkable|not enlarged|not dilated)",
                    rf"normal {_HEART_WORDS}",
                ),
            ),
            Finding(
                "edema",
                synonyms=("pulmonary edema",),
                region="lungs",
                present=any_of(
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
                normal=any_of(
                    rf"pulmonary (?:vascularity|vasculature)(?: {_IS})?(?: \w+ly)? "
                    r"(?:within normal|normal|unremarkable)",
                    r"normal pulmonary (?:vascularity|vasculature)",
                ),
                implied=any_of(*_HEART_FAILURE),
            ),
            Finding(
                "pleural effusion",
                synonyms=("effusion",),
                region="{side} lung base",
                sided=True,
                present=any_of(
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
                normal=any_of(
                    rf"(?:costo[- ]?phrenic angles?|pleural spaces?|pleura)(?: {_IS})? (?:clear|sharp|normal|preserved)"
                ),
            ),
            Finding(
                "consolidation",
                synonyms=("airspace consolidation", "lung opacity"),
                region="{side} lung",
                sided=True,
                zoned=True,
                present=any_of(
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
                normal=any_of(
                    rf"(?:both |the )?lungs?(?: fields?)?:?(?: {_IS})?"
                    r"(?:(?: \w+)? \w*(?:expanded|inflated|aerated) (?:and|but))?(?: \w+ly)? clear",
                    r"clear lungs?",
                ),
            ),
            Finding(
                "atelectasis",
                present=any_of(
                    r"atelecta(?:sis|ses|tic)(?: (?:changes?|bands?))?",
                    r"(?:lung|lobar|lobe) collapse",
                    r"collapse of the (?:\w+ ){0,3}(?:lung|lobe)",
                ),
            ),
            Finding(
                "pneumothorax",
                present=any_of(r"(?<!hydro)pneumothora(?:x|ces|xes)", r"ptx"),
            ),
        ]
    ),
    clear=any_of(
        *NOTHING,
        r"no abnormalit(?:y|ies)",
        r"no (?:\w+ )?(?:cardio[- ]?pulmonary|findings?)",
        r"without (?:acute|active) (?:\w+ ){0,2}disease",
        r"negative for acute",
        r"(?:chest|lungs?|heart|cxr|x[- ]?ray|radiograph|film|thorax)\b[^.]{0,30}\b(?:normal|clear|unremarkable)",
        r"(?:normal|clear|unremarkable) (?:frontal |pa |ap )?(?:chest|lungs?|heart|cxr|x[- ]?ray|radiograph|film)",
    ),
    words="airspace alveolar angle apical base bases basal basilar blunted blunting bronchograms air cardiac "
    "central congestion consolidated costophrenic effacement enlarged enlargement fluid globular "
    "ground-glass haziness hazy heart hemidiaphragm interstitial kerley layering lines lobe lobes lower "
    "lung lungs markings meniscus mid middle obscured obscuring opacities opacity perihilar pleural "
    "pulmonary silhouette size space upper vascular zone zones cardiothoracic ratio increased",
)
