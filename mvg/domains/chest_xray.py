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
_OPACITY = (
    rf"{_AIR} and nodular (?:opacit(?:y|ies)|changes)",
    rf"{_NOT_OPACITY}(?<!nodular )(?:ground[- ]?glass )?opacity",
    rf"{_NOT_OPACITY}(?:ground[- ]?glass )?(?:opacities|opacifications?)",
    r"infiltrat(?:es?|ions?|ive)",
    r"ground[- ]?glass",
    r"ggos?",
)
_PNEUMONIA = (r"(?:broncho[- ]?)?pneumoni(?:as?|c)", r"pna", r"pneumonitis")
_RATIO = r"(?:(?:cardio-?thoracic|cardiac[- ](?:to[- ])?thoracic|heart[- ]to[- ]chest) (?:ratio|index)|ctr|c/?t ratio)"
_MEASURES = (
    r"(?: (?:is|of|at|measures?|measuring|was|calculated (?:at|as)|estimated (?:at|as)))?(?: ?[:=])?"
    r" ?(?:(?:about|approximately|around|approx|~|greater than|more than|over|>) ?)?"
)
_HEART_FAILURE = (r"cardiac decompensation", r"(?:congestive )?heart failure", r"chf(?! ?\d)(?!\.f)")

_BODY = (
    r"(?:ankles?|pedal|legs?|limbs?|peripheral|cerebral|brain|(?:soft[- ]?)?tissues?|extremit(?:y|ies)|le|subcutaneous"
    r"|facial|face|feet|foot|pitting|dependent|sacral|scrotal|periorbital|eyelids?|arms?|hands?|laryngeal|laryn?x|epiglottic"
    r"|body[- ]wall|chest[- ]wall|lower|bone marrow|marrow|mucosal|bowel|skin|papill|macular)"
)

CHEST_XRAY = Domain(
    name="chest_xray",
    prefixes=("frontal chest x-ray", "chest x-ray", "chest radiograph", "PA chest x-ray"),
    normal=("no finding", "normal", "clear lungs and normal heart"),
    gray=True,
    rule="lungs",
    findings=by_name(
        [
            Finding(
                "cardiomegaly",
                synonyms=("enlarged heart", "enlarged cardiac silhouette"),
                region="heart",
                rule="heart",
                present=any_of(
                    r"(?:borderline )?cardiomegal\w+",
                    r"megalocardia",
                    r"(?:enlarged|enlarging|large|big|dilated|prominent|globular) "
                    r"(?:cardiac|heart|cardio[- ]?(?:mediastinal|pericardial))"
                    r"(?: (?:silhouette|shadow|size|contour))?",
                    r"(?:cardiac|heart) enlargement",
                    r"prominence of the (?:cardiac|heart) (?:silhouette|shadow|size|contour)",
                    r"enlargement of the (?:cardiac|heart|cardiomediastinal)(?: (?:silhouette|shadow|size|contour))?",
                    r"increased (?:heart size|cardiothoracic ratio)",
                    rf"{_HEART_WORDS}(?::| -)?(?: {_IS})?(?: {_DEGREE}| to be| to){{0,4}} "
                    r"(?:enlarged|increased|large|big|dilated|globular|prominent)"
                    r"(?: in size)?",
                    rf"{_HEART_WORDS}[^.,;]{{1,40}}, (?:but )?(?:remains|(?:is )?still|is again) (?:\w+ly )?enlarged",
                    rf"{_HEART_WORDS}(?: {_IS})? (?:at )?(?:the )?(?:borderline|upper limits? of normal|top[- ]normal)",
                    r"borderline (?:cardiac|heart) (?:size|silhouette|shadow)",
                    rf"borderline (?:size of|enlargement of) (?:the )?{_HEART}(?: (?:silhouette|shadow))?",
                    rf"{_RATIO} (?:is )?(?:mildly |slightly )?(?:increased|enlarged|elevated|above normal)",
                    rf"{_RATIO}{_MEASURES}(?:0?[.,](?:5[1-9]|50[1-9]|[6-9])\d*|(?:5[1-9]|[6-9]\d)(?:\.\d+)? percent)",
                    rf"{_RATIO} (?:is |of )?(?:>|greater than|more than|over|above|exceeds) ?(?:0?[.,]50?|50 percent)",
                ),
                normal=any_of(
                    rf"{_HEART_WORDS}(?::| -)?(?:(?: and| ,|,) (?:[a-z]+ ){{0,3}}"
                    rf"(?:contours?|silhouette|vascularity|vasculature|mediastinum))?(?: {_IS})?"
                    rf"(?: \w+ly)? (?:within (?:the )?normal|normal|unremarkable|not enlarged|not dilated)",
                    rf"normal {_HEART_WORDS}",
                    rf"{_RATIO} (?:is )?(?:normal|not increased|not enlarged|within (?:the )?normal)",
                    rf"{_RATIO}{_MEASURES}(?:0?[.,](?:[34]\d*|50?)|(?:[34]\d|50)(?:\.\d+)? percent)",
                    rf"{_RATIO} (?:is |of )?(?:<|less than|below|under) ?(?:0?[.,]50?|50 percent)",
                ),
            ),
            Finding(
                "edema",
                synonyms=("pulmonary edema",),
                region="lungs",
                rule="lungs",
                present=any_of(
                    r"(?:pulmonary |interstitial |alveolar |lung )?o?edema(?:tous)?",
                    r"(?:pulmonary|vascular|pulmonary (?:venous|vascular)|venous|perihilar|hilar|central) "
                    r"(?:congestion|engorgement)",
                    r"congestion",
                    r"engorged",
                    r"pulmonary venous hypertension",
                    rf"(?:lungs?|vessels|vasculature|hila)(?: {_IS})? congested",
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
                rule="lung base",
                sided=True,
                present=any_of(
                    r"(?:pleural )?effusions?",
                    r"pleural (?:fluid|liquid|collections?)",
                    r"(?:loculated |free |encysted )?fluid (?:(?:with)?in|along|tracking into) (?:the "
                    r"|both ){0,2}(?:left |right )?"
                    r"(?:minor |major |horizontal |oblique |interlobar )?(?:pleural (?:space|cavity|cavities)"
                    r"|fissures?)",
                    r"h(?:ydro|(?:a?e)mo|ydropneumo)thorax",
                    r"empyema",
                    r"(?:blunt\w+|efface\w+|obliterat\w+|loss) of (?:the |both |bilateral |left |right ){0,3}"
                    r"(?:lateral |posterior )?"
                    r"(?:costo[- ]?(?:phrenic|diaphragmatic)|cp) (?:angles?|recess(?:es)?|sulc(?:us|i))",
                    r"(?:costo[- ]?phrenic angles?|cp angles?)(?::? (?:left|right|both))? (?:is |are |appears? )?"
                    r"(?:mildly |slightly |not )?"
                    r"(?:blunted|effaced|obliterated|obscured)",
                    r"blunted (?:left |right |both )?costo[- ]?phrenic angles?",
                ),
                normal=any_of(
                    rf"(?:costo[- ]?phrenic (?:angles?|recess(?:es)?|sulc(?:us|i))|cp angles?|pleural (?:spaces?"
                    r"|surfaces?|cavities)"
                    rf"|pleurae?)(?: {_IS}|:| -)?(?: \w+ly| within| bilaterally){{0,2}} (?:clear|sharp|normal"
                    r"|preserved|unremarkable|free|normal limits)",
                    r"(?:normal|clear|unremarkable|sharp|preserved) (?:pleurae?|pleural (?:spaces?|surfaces?)"
                    r"|costo[- ]?phrenic angles?|cp angles?)",
                ),
            ),
            Finding(
                "consolidation",
                synonyms=("airspace consolidation", "lung opacity"),
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(
                    rf"(?:{_AIR} )?consolidat(?:ions?|ed|ive)(?: (?:opacit(?:y|ies)|changes?))?",
                    *_PNEUMONIA,
                    *_OPACITY,
                    rf"{_AIR} (?:shadow(?:s|ing)?|filling|condensations?)",
                    r"(?:air[- ]?space|alveolar|parenchymal) (?:disease|process)",
                    r"condensations?",
                    r"air[- ]bronchograms?",
                    r"haz(?:e|iness|y)",
                    r"ards",
                    r"acute respiratory distress syndrome",
                ),
                normal=any_of(
                    rf"(?:both |the )?lungs?(?: fields?| bases| volumes are normal and)?(?::| -)?(?: {_IS})?"
                    r"(?:(?: \w+)? \w*(?:expanded|inflated|aerated) (?:and|but))?"
                    r"(?: \w+ly| now| both| all| still| otherwise| again)? clear",
                    rf"lungs?(?: fields?)? and (?:the |both )?(?:pleural spaces?|pleurae?"
                    rf"|costo[- ]?phrenic angles?|cp angles?|heart)(?: {_IS})?(?: \w+ly)? clear",
                    r"clear lungs?",
                ),
            ),
            Finding(
                "atelectasis",
                synonyms=("lung collapse",),
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(
                    r"atelecta(?:sis|ses|tic)(?: (?:changes?|bands?))?",
                    r"(?:lung|lobar|lobe) collapse",
                    r"collapse of the (?:\w+ ){0,3}(?:lung|lobe)",
                ),
            ),
            Finding(
                "pneumothorax",
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(r"(?<!hydro)pneumothora(?:x|ces|xes)", r"ptx"),
            ),
            Finding(
                "pneumonia",
                parent="consolidation",
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(*_PNEUMONIA),
            ),
            Finding(
                "lung opacity",
                synonyms=("opacity", "infiltrate"),
                parent="consolidation",
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(*_OPACITY),
            ),
            Finding(
                "lung lesion",
                synonyms=("lung nodule", "lung mass"),
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(
                    r"(?:(?:lung|pulmonary|spiculated|solitary) )?nodul(?:es?|arity)",
                    r"nodular (?:opacit(?:y|ies)|opacifications?|densit(?:y|ies))",
                    r"(?<!mediastinal )(?<!soft tissue )(?:(?:lung|pulmonary|spiculated|cavitary) )?mass(?:es)?",
                    r"(?:lung|pulmonary|cavitary|coin) lesions?",
                    r"(?:lung|pulmonary) (?:tumou?rs?|neoplasms?|metastas[ei]s)",
                ),
            ),
            Finding(
                "enlarged cardiomediastinum",
                synonyms=("widened mediastinum",),
                region="mediastinum",
                rule="mediastinum",
                present=any_of(
                    r"enlarged cardiomediastinum",
                    r"(?:widen(?:ed|ing of the)|wide|prominent) (?:superior |upper )?(?:cardio)?mediastinum",
                    r"(?:cardio)?mediastinal (?:widening|enlargement)",
                    rf"(?:cardio)?mediastinum(?: {_IS})?(?: {_DEGREE})? (?:widened|wide)",
                ),
                normal=any_of(rf"(?<!cardio)mediastinum(?: {_IS})? (?:normal|unremarkable|not widened)"),
            ),
            Finding(
                "fracture",
                synonyms=("rib fracture",),
                region="chest",
                rule="chest",
                present=any_of(r"(?:(?:rib|clavic(?:le|ular)|vertebral|compression) )?fractur(?:es?|ed)"),
            ),
            Finding(
                "pleural thickening",
                synonyms=("pleural scarring",),
                region="{side} lung",
                rule="lung",
                sided=True,
                zoned=True,
                present=any_of(
                    r"(?:(?:bi)?apical |pleuro[- ])?pleural (?:thickening|scar(?:s|ring)?|plaques?|fibrosis)",
                    r"thickening of the pleura",
                    r"fibrothorax",
                    r"pleuro[- ]?parenchymal scar(?:s|ring)?",
                ),
            ),
            Finding(
                "support devices",
                present=any_of(
                    r"(?:endotracheal|et|nasogastric|ng|enteric|feeding|tracheostomy|chest|pleural) tubes?",
                    r"(?:central venous|venous|swan[- ]ganz|dialysis|picc|port) (?:catheters?|lines?)",
                    r"picc",
                    r"pacemakers?(?: leads?)?",
                    r"defibrillators?",
                    r"sternotomy wires?",
                ),
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
    lookalikes=any_of(
        rf"{_HEART_WORDS}(?: {_IS})? (?:prominent|large) but (?:likely |probably |still )?within normal limits",
        r"(?:pericardial|joint|knee|elbow|hip|middle[- ]ear|subdural|scrotal|ankle) effusions?",
        rf"(?:{_BODY}|{_BODY} and {_BODY}) (?:pitting |swelling and )?o?edema",
        rf"o?edema (?:of|in) (?:the |both |her |his )?(?:left |right |lower |upper |bilateral )*{_BODY}",
        r"(?:nasal|sinus|chest|hepatic|liver|venous hepatic|head) congestion",
        r"(?:corneal|bone marrow|marrow) o?edema",
        r"(?:fracture|bony?|osseous|callus) consolidation",
        r"consolidation (?:of|at|after) (?:the )?(?:\w+ )?fracture",
    ),
    words="airspace alveolar angle apical base bases basal basilar blunted blunting bronchograms air cardiac "
    "central congestion consolidated costophrenic effacement enlarged enlargement fluid globular "
    "ground-glass haziness hazy heart hemidiaphragm interstitial kerley layering lines lobe lobes lower "
    "lung lungs markings meniscus mid middle obscured obscuring opacities opacity perihilar pleural "
    "pulmonary silhouette size space upper vascular zone zones cardiothoracic ratio increased",
)
