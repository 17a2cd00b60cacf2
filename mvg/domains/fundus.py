"""Color photographs of the fundus."""

import re

from .domain import Domain, Finding, by_name
from .patterns import NOTHING, any_of

_SIGNS = (
    r"micro[- ]?an(?:eu|e)rysms?",
    r"(?:(?:dot|blot|flame|flame[- ]shaped|intra[- ]?retinal|pre[- ]?retinal|retinal|vitreous)"
    r"(?:(?: and |[- /])(?:dot|blot|flame))? )?ha?emorrhag(?:es?|ic changes)",
    r"(?:hard )?exudat(?:es?|ions?)",
    r"cotton[- ]?wool (?:spots?|patches)",
    r"venous beading",
    r"irma",
    r"neo[- ]?vasculari[sz]ations?",
    r"nv[de]",
    r"new vessels",
)
# the International Clinical Diabetic Retinopathy scale, 0 to 4 (Wilkinson et al., Ophthalmology 2003)
_SCALE = r"\b(?:icdrs?|dr) ?(?:severity |retinopathy )?(?:grade|level|stage|score|scale)? ?[:=]? ?"
# the grades of the English screening program: R0 to R3 and M0, M1
_RETINOPATHY = r"\b(?:retinopathy:? (?:level |grade )?)?"
_MACULOPATHY = r"\b(?:maculopathy:? (?:level |grade )?)?"
_STAGE = r"(?:(?:non|pre)[- ]?proliferative|proliferative|background|diabetic|apparent|referable|sight[- ]threatening)"
_CAUSE = (
    r"(?:hypertensive|sickle(?:[- ](?:cell|related))?|radiation|solar|hiv|valsalva|leuka?emic|purtscher(?:'s)?|toxic"
    r"|(?:hydroxy)?chloroquine|tamoxifen|interferon|venous stasis|an?aemi[ac]|autoimmune|cancer[- ]associated"
    r"|melanoma[- ]associated|lupus|renal|arteriosclerotic|atherosclerotic|non[- ]?diabetic|eclamp\w+|paraneoplastic"
    r"|pigmentary|altitude|high[- ]altitude|drug[- ]induced|cmv|macrotelangiectatic|exudative|traumatic)"
)
_PERHAPS = r"(?:likely |probably |possibly )?"
# What explains hemorrhages and exudates that are not of diabetes.
_OTHER_DISEASES = {
    "hypertensive retinopathy": (
        r"hypertensive (?:rather than|and not|but not|not) diabetic retinopathy",
        r"hypertensive (?:retinopath(?:y|ies)|changes|fundus)",
        rf"retinopathy,? {_PERHAPS}(?:of|due to) hypertension",
        rf"retinopathy,? {_PERHAPS}hypertensive(?! (?:and |or )?(?:diabetic )?(?:retinopath|changes))",
    ),
    "retinal vein occlusion": (
        r"(?:(?:branch|central|hemi[- ]?)?(?: ?retinal)?|hemi[- ]?retinal) ?(?:vein|venous|artery) occlusions?",
        r"[bch]r[va]o",
    ),
    "retinopathy of another cause": (
        rf"{_CAUSE} (?:(?:and|or) {_CAUSE} )?(?:maculo|vasculo)?retinopath(?:y|ies)",
        r"(?:central serous|birdshot|serous) (?:chorio[- ]?)?retinopathy",
        r"central serous chorioretinopathy",
        r"retinopathy of prematurity",
        r"rop",
        r"cscr?",
        rf"retinopathy,? {_PERHAPS}(?:due to |from |secondary to )?{_CAUSE}(?! (?:and |or )?\w* ?retinopath)",
        r"coats'?s? disease",
        r"retinal vasculitis",
    ),
}

FUNDUS = Domain(
    name="fundus",
    prefixes=("fundus photograph", "color fundus photograph", "retinal photograph"),
    normal=("no finding", "normal", "no diabetic retinopathy"),
    rule="retina",
    findings=by_name(
        [
            Finding(
                "diabetic retinopathy",
                synonyms=("retinopathy",),
                region="retina",
                rule="retina",
                present=any_of(
                    rf"(?:{_STAGE} ){{0,2}}diabetic (?:retinopath(?:y|ies)|retinal disease|eye disease"
                    r"|(?:retinal )?changes)",
                    rf"(?:{_STAGE} ){{0,2}}retinopath(?:y|ies)",
                    rf"diabetic (?:and|or|with) {_CAUSE} retinopathy",
                    r"p?npdr",
                    r"pp?dr",
                    r"dr(?!'s)",
                    *_SIGNS,
                ),
                implied=any_of(*_SIGNS),
            ),
            Finding(
                "macular edema",
                synonyms=("diabetic macular edema",),
                region="macula",
                rule="macula",
                present=any_of(
                    r"(?:(?:cystoid|clinically significant|center[- ]involv(?:ed|ing)) )?(?:diabetic )?macular o?edema",
                    r"(?:diabetic )?maculopathy",
                    r"(?:cs|ci|d|c)me",
                    r"(?:(?<=no )|(?<=mild )|(?<=moderate )|(?<=severe ))me",
                    r"retinal thickening",
                ),
            ),
            Finding(
                "glaucoma",
                synonyms=("optic disc cupping",),
                region="optic disc",
                rule="optic disc",
                present=any_of(r"glaucoma(?:tous)?", r"(?:optic )?(?:disc|nerve) cupping"),
            ),
            Finding(
                "macular degeneration",
                synonyms=("age-related macular degeneration", "drusen"),
                region="macula",
                rule="macula",
                present=any_of(r"(?:age[- ]related )?macular degeneration", r"amd", r"drusen"),
            ),
            *(
                Finding(name, present=any_of(*patterns), explains=("diabetic retinopathy",))
                for name, patterns in _OTHER_DISEASES.items()
            ),
        ]
    ),
    clear=any_of(
        *NOTHING,
        r"no (?:abnormalit(?:y|ies)|findings?)",
        r"(?:retinae?|fundus|fundi|macula|disc|eyes?|photographs?)\b[^.]{0,30}\b(?:normal|clear|unremarkable|healthy)",
        r"(?:normal|unremarkable|healthy) (?:left |right )?(?:retinae?|fundus|fundi|macula|eyes?)",
    ),
    lookalikes=any_of(
        r"(?:sub)?conjunctival ha?emorrhages?",
        r"(?:sub[- ]?retinal|sub[- ]?macular|choroidal|supra[- ]?choroidal|dis[ck]|splinter|drance|brain|cerebral"
        r"|subarachnoid"
        r"|intra[- ]?cranial|retro[- ]?bulbar|eyelid|orbital|anterior chamber|gastrointestinal) ha?emorrhages?",
        r"(?:(?:pre-?|intra-?)?retinal |flame |dot |blot )?ha?emorrhages? (?:due to|from|secondary to|caused by)"
        r"(?= (?!diabet|proliferative|pdr|dr\b|new vessels|neovasc)\w)",
        r"retinopathy (?:screening|check|clinic|service|program(?:me)?|nurse|grading)",
        r"(?:corneal|choroidal|iris|pupillary|sub[- ]?retinal) neo[- ]?vasculari[sz]ations?",
        r"(?:corneal|eyelid|lid|orbital|periorbital|dis[ck]|optic (?:dis[ck]|nerve)) o?edema",
    ),
    short_forms=tuple(
        (re.compile(pattern), words)
        for pattern, words in (
            (r"\b(?:retinopathy|dr) screening(?: results?)?: ?(?:negative|normal|clear)\b", "no retinopathy"),
            (r"\b(?:retinopathy|dr) screening(?: results?)?: ?positive\b", "retinopathy"),
            (rf"{_SCALE}0\b(?![.,]\d)", "no diabetic retinopathy"),
            (rf"{_SCALE}1\b", "mild diabetic retinopathy"),
            (rf"{_SCALE}2\b", "moderate diabetic retinopathy"),
            (rf"{_SCALE}[34]\b", "severe diabetic retinopathy"),
            (r"\betdrs (?:grade |level |stage )?10\b", "no diabetic retinopathy"),
            (r"\betdrs (?:grade |level |stage )?(?:1[45]|20|35)[a-f]?\b", "mild diabetic retinopathy"),
            (r"\betdrs (?:grade |level |stage )?4[37][a-f]?\b", "moderate diabetic retinopathy"),
            (r"\betdrs (?:grade |level |stage )?(?:53|6[0-9]|7[0-9]|8[0-9])[a-f]?\b", "severe diabetic retinopathy"),
            (rf"{_RETINOPATHY}r0(?=m[01]|\b)", "no diabetic retinopathy, "),
            (rf"{_RETINOPATHY}r1(?=m[01]|\b)", "mild diabetic retinopathy, "),
            (rf"{_RETINOPATHY}r2(?=m[01]|\b)", "moderate diabetic retinopathy, "),
            (rf"{_RETINOPATHY}r3[as]?(?=m[01]|\b)", "severe diabetic retinopathy, "),
            (rf"{_MACULOPATHY}m0\b", "no macular edema, "),
            (rf"{_MACULOPATHY}m1[a-c]?\b", "macular edema, "),
            (r"\babsent (?=(?:diabetic )?retinopathy|dr\b)", "no "),
            (
                r"(?<!non)(?<!non[- ])(?<!pre)(?<!pre[- ])\bproliferative (?=diabetic|retinopath|dr\b|changes)",
                "severe proliferative ",
            ),
            (r"\bpdr\b", "severe pdr"),
            (r"\b(?:background (?=(?:diabetic )?retinopath|dr\b)|bdr\b)", "mild background retinopathy, "),
            (r"\bretinopathy, (?=(?:diabetic )?retinopath|dr\b)", ""),
            (r"\bpre[- ]?proliferative (?=diabetic|retinopath|dr\b|changes)", "moderate preproliferative "),
            (r"\bod\b", "right eye"),
            (r"\bos\b", "left eye"),
            (r"\bou\b", "both eyes"),
            (r"(?<!\w)re(?=\s*(?:[:=-]\s|[.,;)]|$))", "right eye"),
            (r"\ble\b", "left eye"),
            (r"(?<!\w)be(?=\s*(?:[:=-]\s|[.,;)]|$))", "both eyes"),
            (r"\br/e\b", "right eye"),
            (r"\bl/e\b", "left eye"),
            (r"\bb/e\b", "both eyes"),
        )
    ),
    paired=True,
    words="beading blot cotton-wool dot dots exudates flame-shaped hard hemorrhages intraretinal macula "
    "microaneurysms neovascularization non-proliferative nonproliferative proliferative retina retinal "
    "spots vascular venous vessels cup cupping disc drusen optic thickening",
)
