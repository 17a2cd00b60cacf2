"""The words of reports, whatever the domain, as patterns: what `language` reads a sentence by."""

import re

from ..domains.patterns import any_of

SEVERITIES = ("mild", "moderate", "severe")
WORSENING, IMPROVING, STABLE = "worsening", "improving", "stable"


HEADER_NAME = (
    r"(?:clinical |past |brief |medical )*(?:history|indications?|information|presentation|details|question)|"
    r"reason for (?:exam\w*|study)|comparisons?|technique|exam(?:ination)?|procedure|view[s]?|recommendations?|"
    r"findings?|impressions?|conclusions?|results?|report|summary|interpretation|assessment|opinion"
)
HEADER = re.compile(
    rf"(?:^|(?<=[.;:\s*#]))(?P<name>{HEADER_NAME})\s*:|^[ #*]*(?P<line>{HEADER_NAME})[ *]*$",
    re.IGNORECASE | re.MULTILINE,
)
MAX_SENTENCE = 600
ASIDE = re.compile(
    r"histor|indication|information|presentation|details|question|reason|comparison|technique|procedure|view|recommend"
)
SUMMARY = re.compile(r"impression|conclusion|summary|opinion|assessment")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|;\s*|\n\s*(?=[A-Z\d*•-])|\n\s*\n")

TERMINATOR = any_of(
    "but",
    "however",
    "although",
    "though",
    "except(?: for)?",
    "apart from",
    "aside from",
    "other than",
    "yet",
    "whereas",
    "while",
    "nevertheless",
    "despite",
    "secondary to",
    "which",
    "in retrospect",
)
PSEUDO = any_of(
    r"no (?:\w+ ){0,2}(?:change|increase|decrease|improvement|regression|resolution|progression)s?(?: in| of)?",
    "no longer",
    "not only",
    r"no (?:sign|evidence) of (?:regression|resolution|improvement|change)",
    "not (?:significantly |definitely )?changed",
    r"without (?:\w+ )?(?:change|improvement|regression|resolution)s?(?: in| of)?",
    "no doubt",
    "not necessarily",
)
NEGATION = any_of(
    "no",
    "not",
    "nor",
    "neither",
    "none",
    "without",
    "w/o",
    "free (?:of|from)",
    "clear of",
    "negative for",
    "absence of",
    "absent",
    "denie[sd]",
    "denying",
    "lack of",
    "lacks?",
    "never",
    "ruled out for",
    "rules out",
    "exclud(?:es|ing)",
    r"(?:interval |complete |full )?resolution of",
    "resolved",
    "cleared",
    "fails? to (?:show|reveal|demonstrate)",
)
NEGATION_AFTER = re.compile(
    r"^(?:,? now|,? since)?\s*(?:[^.,;]{0,60}?\b(?:is|are|was|were|has|have|had|been|be|now)\s+)?(?:\w+ly\s+)?"
    r"(?:(?:not|no longer)\s+"
    r"(?:\w+ly\s+)?(?:seen|present|identified|visible|visuali[sz]ed|evident|demonstrated|detected|noted|apparent"
    r"|appreciated|found|observed|shown)(?! (?:previously|before|earlier))"
    r"|ruled out|excluded|absent|resolved|cleared|disappeared|gone|unlikely)\b|^\s*:\s*(?:none|no|absent|negative)\b"
)
DOUBT = any_of(
    "possibl[ey]",
    "suspected",
    "suspicious for",
    "suspicion of",
    "questionable",
    "question of",
    "query",
    "concern(?:ing)? for",
    "(?:can ?not|can't|could not|does not|not) (?:entirely |completely |fully |definitely )?"
    "(?:be )?(?:exclude|rule out)d?",
    "(?:may|might|could) (?:also )?(?:represent|reflect|be|indicate|suggest)",
    "differential(?: considerations?| diagnos[ei]s)?",
    "equivocal",
    "versus",
    "vs",
)
DOUBT_AFTER = re.compile(
    r"^[^.;]{0,60}?\b(?:(?:can ?not|can't|could not|not) (?:be )?(?:entirely |completely |fully |definitely )?(?:be )?"
    r"(?:excluded|ruled out)"
    r"|(?:is|are|was|were|be) (?:also )?(?:possible|suspected|questionable|considered))\b"
    r"|^ ?\?|^,? if (?:any|present)\b"
)
HYPOTHESIS = re.compile(
    r"\b(?:(?:to )?(?:rule out|r/o|exclude|evaluate for|assess for|look for|check for|screen for)"
    r"|evaluation (?:of|for)|in case of|risk of|if)"
    r"\s+(?:\S+\s+){0,4}$"
)
WORDS_ON = (
    r"\s+(?!exam|stud|film|radiograph|x-?ray|image|chest)(?:(?!(?:has|have|is|are|now|shows?)\b)[^\s,]+\s+){0,4}$"
)
PAST = re.compile(rf"\b(?:history of|h/o|hx of|remote|former){WORDS_ON}")
EARLIER = re.compile(
    rf"\b(?:previous(?:ly)?(?: treated| known)?|prior|past|old|status post|s/p|after treatment of){WORDS_ON}"
)
LATEST = re.compile(r"\b(?:now|which (?:is|are))\s+(?P<how>.{0,30})")
STILL = re.compile(r"\b(?:remains?|still|again|now)\b")

GRADES = (
    (
        "mild",
        any_of(
            "minimal(?:ly)?",
            "trace",
            "tiny",
            "small",
            "mild(?:ly)?",
            "slight(?:ly)?",
            "minor",
            "subtle",
            "faint(?:ly)?",
            "early",
            "borderline",
            "discrete",
            "low[- ]grade",
            "upper limits? of normal",
            "top[- ]normal",
        ),
    ),
    ("moderate", any_of("moderate(?:ly)?", "medium(?:[- ]sized)?")),
    (
        "severe",
        any_of(
            "large",
            "marked(?:ly)?",
            "severe(?:ly)?",
            "massive(?:ly)?",
            "extensive(?:ly)?",
            "diffuse(?:ly)?",
            "gross(?:ly)?",
            "huge",
            "wide ?spread",
            "considerabl[ey]",
            "panlobar",
            "complete",
            "dense",
            "big",
            "significant(?:ly)?",
            "substantial(?:ly)?",
        ),
    ),
)
CHANGE_WORD = re.compile(
    r"\s+(?:\w+\s+)?(?:improve\w*|regress\w*|increase\w*|decrease\w*|change\w*|resol\w+|progress\w*|recover\w*"
    r"|worsen\w*|aeration)"
)
OTHER_ORGAN = r"(?! (?:heart|ventric|atri|internal|subclav|arm|shoulder|chest tube))"
CHEST_WORD = r"(?=[- ](?:sided|lung|pleural|upper|mid|lower|bas|hemithorax)|\s*$)"  # or the finding itself
LEFT = any_of(rf"left(?:[- ]sided)?{OTHER_ORGAN}", rf"lt?{CHEST_WORD}", "lul", "lll", "lingular?")
RIGHT = any_of(rf"right(?:[- ]sided)?{OTHER_ORGAN}", rf"rt?{CHEST_WORD}", "rul", "rml", "rll")
BOTH = any_of(
    "bilat(?:eral(?:ly)?)?",
    "both",
    "biapical",
    "bibasal",
    "bibasilar",
    "bi[- ]?basilar",
    "either side",
    "all lung",
    "throughout the lungs",
    "diffuse lungs?",
    "multilobar",
    "panlobar",
)
ZONES = (
    ("upper", any_of("upper", "apical", "apex", "apices", "biapical", "rul", "lul")),
    ("middle", any_of("mid(?:dle)?(?:[- ]?zones?)?", "lingular?", "rml", "perihilar")),
    ("lower", any_of("lower", "basal", "basilar", "bases?", "bibasal", "bibasilar", "retrocardiac", "rll", "lll")),
)
TRENDS = (
    (
        WORSENING,
        any_of(
            "wors\\w+",
            "progress(?:ive|ed|ing|ion)",
            "increas(?:ed|ing|e)",
            "enlarging",
            "deteriorat\\w+",
            "new",
            "developed",
            "spread(?:ing)?",
        ),
    ),
    (
        IMPROVING,
        any_of(
            "improv\\w+",
            "decreas(?:ed|ing|e)",
            "regress\\w+",
            "resolving",
            "declin\\w+",
            "smaller",
            "reced\\w+",
            "clearing",
        ),
    ),
    (STABLE, any_of("stable", "stability", "unchanged", "no (?:\\w+ )?change", "persist\\w*")),
)
UNCHANGED = re.compile(
    r"\b(?:no|not|without)(?: \w+)? (?:change|increase|decrease|improve|regress|progress|worsen|resol)\w*|\bunchanged\b"
)
VERB = any_of(
    "is",
    "are",
    "was",
    "were",
    "has",
    "have",
    "there",
    "shows?",
    "remains?",
    "appears?",
    "persists?",
    "noted",
    "seen",
    "demonstrates?",
    "with",
)
LIST_END = any_of("or", "nor", "and/or")
TOGETHER = re.compile(
    r"\s*(?:and|with|and/or|/|,)\s*|.*\b(?:associated|adjacent|accompanying|underlying|ipsilateral)\b.*"
)
