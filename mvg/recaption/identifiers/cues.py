"""What announces a name: titles, labels, "dictated by" and the like, and degrees after it."""

import re

TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "mx",
        "miss",
        "dr",
        "drs",
        "doctor",
        "prof",
        "professor",
        "mister",
        "madam",
        "herr",
        "frau",
        "mme",
        "mlle",
    ]
)
CAPITAL_TITLES = frozenset(
    [
        "sir",
        "dame",
        "rev",
        "reverend",
        "nurse",
        "sister",
        "captain",
        "capt",
        "sgt",
        "judge",
        "rabbi",
        "madame",
        "monsieur",
    ]
)
SURE_DEGREES = frozenset(
    [
        "md",
        "phd",
        "rn",
        "bsn",
        "msn",
        "frcr",
        "mbbs",
        "mbchb",
        "mbbch",
        "mbbchir",
        "facr",
        "frcp",
        "frcs",
        "dnp",
        "crnp",
        "aprn",
        "arnp",
        "cnp",
        "lpn",
        "pharmd",
        "dds",
        "dmd",
        "dpm",
        "mrcp",
        "frcpc",
        "frcsc",
        "franzcr",
        "rdms",
        "crna",
        "mph",
        "faap",
        "facs",
        "facc",
        "mrcs",
        "frcophth",
        "dnb",
    ]
)
DEGREES = frozenset(["do", "np", "pa", "pa-c", "od", "rt", "ms", "bs", "ma", "dc", "ba", "jr", "sr"])
DOTTED = frozenset((("m", "d"), ("d", "o"), ("r", "n"), ("ph", "d"), ("n", "p"), ("p", "a")))
PARTICLES = frozenset(
    [
        "van",
        "von",
        "de",
        "del",
        "der",
        "den",
        "di",
        "da",
        "la",
        "le",
        "el",
        "al",
        "bin",
        "ibn",
        "ben",
        "bint",
        "dos",
        "das",
        "du",
        "ter",
        "ten",
        "st",
        "mc",
        "mac",
        "o",
        "af",
        "av",
        "zu",
        "zur",
        "y",
        "e",
        "san",
        "abu",
    ]
)
SHORTENED = frozenset(["st", "jr", "sr", "mc", "dr", "prof", "wm", "chas", "geo", "jos", "thos", "mac", "med"])
# What follows a name that is no person's: "Seldinger technique".
EPONYMS = frozenset(
    [
        "technique",
        "method",
        "criteria",
        "classification",
        "protocol",
        "score",
        "view",
        "projection",
        "maneuver",
        "manoeuvre",
        "sign",
        "line",
        "lines",
        "catheter",
        "tube",
        "disease",
        "syndrome",
        "lymphoma",
        "hernia",
        "fracture",
        "scale",
        "grading",
        "index",
        "ratio",
        "stage",
        "grade",
        "ring",
        "node",
        "nodule",
        "test",
        "drain",
    ]
)
AFTER_DOCTOR = frozenset(
    [
        "was",
        "is",
        "has",
        "will",
        "agrees",
        "agreed",
        "reviewed",
        "notified",
        "informed",
        "called",
        "recommends",
        "recommended",
        "requested",
        "and",
        "at",
        "from",
        "who",
        "saw",
        "read",
        "dictated",
        "signed",
        "interpreted",
        "reported",
        "confirmed",
        "aware",
        "about",
        "regarding",
        "by",
        "on",
    ]
)
GRADES = frozenset(
    [
        "mild",
        "early",
        "late",
        "moderate",
        "severe",
        "clear",
        "stable",
        "new",
        "old",
        "small",
        "large",
        "left",
        "right",
        "still",
        "much",
        "low",
        "high",
        "worse",
        "better",
        "pain",
        "mass",
        "focal",
        "diffuse",
        "long",
        "short-term",
        "bilateral",
        "trace",
    ]
)

_STAFF = (
    r"(?:(?:referring|requesting|ordering|attending|primary|reading|family|performing|admitting|treating|supervising"
    r"|consulting|reporting|responsible|interpreting|senior|named|operating|lead|general|your|signing|second)[ _]?)?"
    r"(?:primary care |care )?(?:physicians?|providers?|doctors?|clinicians?|md|surgeons?|practitioners?|radiologists?"
    r"|consultants?|nurses?|staff|technologists?|readers?)"
)
_PERSON = (
    r"(?:name of (?:the )?)?(?:patient|pt|pat|client)(?:'?s)?[ _.]?(?:full |legal |last |first |family )?(?:sur)?names?"
    r"|(?:(?:full|first|last|middle|family|given|maiden|legal|preferred|previous|other|birth|christian|mother'?s"
    r"|father'?s|contact)[ _]?(?:maiden )?)?(?:sur|fore|nick)?names?(?: ?\(s\))?(?: \((?:last|first"
    r"|family)[^)\n]{0,20}\))?"
    r"|alias|aka"
    r"|[a-z]{0,24}(?:physicians?|operators?|person|reader)'?s?[ _]?name"
)
_SIGNED = (
    r"(?:electronically |digitally |e-?|co-?|counter)?signed(?: off)?|signature|dictated|transcribed|verified"
    r"|authenticated"
    r"|dictating (?:physician|radiologist)|signatory|signing (?:physician|provider)"
)
_FREE = (
    r"cc|copy(?: to)?|copies(?: to)?|copied to|distribution|to|from|attn|attention|re"
    r"|regarding|contact|witness|mother|father|wife|husband|spouse|partner|son|daughter|brother|sister|guardian|carer"
    r"|caregiver|relative|parents?|informant|dear|with"
)
_ROLE = (
    rf"{_STAFF}|attending|resident|fellow|intern|registrar|house officer|technician|radiographer|sonographer|operator"
    r"|midwife|gp|pcp|pharmacist|optometrist|[a-z]{4,14}ologist|hospitalist|specialist|interpreter|transcriptionist"
    r"|transcriber|reporter|author|editor|typist|secretary|performed|reviewed|reported|approved|read|interpreted"
    r"|performedby|requested|ordered|seen|examined"
)
_WHO = r"(?: (?:on|at) [\d/:. -]{1,20})?"
LABEL = re.compile(
    rf"(?<![a-z'-])(?=[a-z])(?:(?P<person>{_PERSON}|patient(?:'s)?|pt|subject|client|next of kin|nok"
    rf"|emergency contact)|"
    rf"(?P<signed>{_SIGNED})|(?P<free>{_FREE})|(?P<role>{_ROLE}))"
    r"(?: (?:name|by|md|radiologist|physician|consultant|of record|on call|1|2)){0,2}"
    r"(?:\.?[ \t]{0,2}(?P<sign>[:=]|\t|;)[ \t]{0,2}|(?P<dash>[ \t]-{1,2}[ \t])|[ _](?P<line>\n))"
    r"(?P<wrap>\n{0,2})[\"'(*\[_]{0,2}"
    r"(?=[^\W\d_])"
)
_DONE = (
    r"dictated|signed|reported|reviewed|verified|approved|transcribed|interpreted|read|referred|ordered|requested"
    r"|authori[sz]ed|finali[sz]ed|authenticated|performed|seen|examined|assessed|electronically|validated"
    r"|prepared|typed"
    r"|edited|witnessed|accompanied|attended|consented|supervised|acquired|scanned|countersigned|cosigned"
    r"|co-signed|called"
    r"|treated|managed|obtained|completed|entered|checked|confirmed|completed|written|created|generated|submitted"
    r"|drafted"
    r"|released|acknowledged|received|scribed|evaluated|operated|inserted|placed|recommended|admitted"
)
BY = re.compile(
    rf"\b(?=[a-z])(?:(?:electronically |digitally )?(?:{_DONE})(?:(?: and|,|/) ?(?:{_DONE})| electronically"
    rf"| on [\d/. -]{{4,12}}| at [\d:]{{4,8}}){{0,3}} by(?P<colon>:?)"
    r"|(?P<esigned>(?:electronically|digitally) signed(?: off)?(?: by)?)"
    r"|(?:discussed|reviewed|communicated|spoke|spoken|conveyed|reported|relayed|shared|called|telephoned|phoned"
    r"|given|told|paged"
    r"|notified|informed|d/w|conferred|consulted)(?: (?:with|to|directly|by|phone|telephone|results|these|the"
    r"|findings|were|was|verbally"
    r"|via|case|and|in person|over)){1,5}"
    r"|d/w|patient|named|name is|known as|dear|on behalf of|under the care of|care of|referral from|referred from"
    r"|letter"
    r" (?:to|from)|cop(?:y|ied) to|attention|attn|per|notified|informed|paged"
    r"|(?:his|her|their|the) (?:wife|husband|mother|father|son|daughter|sister|brother|partner|carer|friend|gp"
    r"|surgeon|physician),?)"
    r"[ \t]{1,2}(?=[^\W\d_])"
)
CARET = re.compile(
    r"(?<![\w^])[^\W\d_][^\W\d_]{0,40}(?:[' -][^\W\d_]{1,30}){0,2}\^(?:[^\W\d_]|['.-]){0,40}"
    r"(?:[ -][A-Z][^\W\d_]{0,20})?"
    r"(?:\^(?:[^\W\d_]|['.-]){0,20}){0,4}"
)
