"""Color photographs of the fundus."""

from .domain import Domain, Finding, by_name
from .patterns import NOTHING, any_of

FUNDUS = Domain(
    name="fundus",
    prefixes=("fundus photograph", "color fundus photograph", "retinal photograph"),
    normal=("no finding", "normal", "no diabetic retinopathy"),
    gray=False,
    findings=by_name(
        [
            Finding(
                "diabetic retinopathy",
                synonyms=("retinopathy",),
                region="retina",
                present=any_of(
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
            ),
            Finding(
                "macular edema",
                present=any_of(r"(?:diabetic )?macular o?edema", r"d?me", r"retinal thickening"),
            ),
            Finding(
                "glaucoma",
                present=any_of(r"glaucoma(?:tous)?", r"(?:optic )?(?:disc|nerve) cupping"),
            ),
            Finding(
                "macular degeneration",
                present=any_of(r"(?:age[- ]related )?macular degeneration", r"amd", r"drusen"),
            ),
        ]
    ),
    clear=any_of(
        *NOTHING,
        r"no (?:abnormalit(?:y|ies)|findings?)",
        r"(?:retinae?|fundus|fundi|macula|disc|eyes?|photographs?)\b[^.]{0,30}\b(?:normal|clear|unremarkable|healthy)",
        r"(?:normal|unremarkable|healthy) (?:left |right )?(?:retinae?|fundus|fundi|macula|eyes?)",
    ),
    words="beading blot cotton-wool dot dots exudates flame-shaped hard hemorrhages intraretinal macula "
    "microaneurysms neovascularization non-proliferative nonproliferative proliferative retina retinal "
    "spots vascular venous vessels",
)
