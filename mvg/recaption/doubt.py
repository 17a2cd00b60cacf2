"""Words that leave a finding open, and words that name it without finding it: questions, the past, others' illness."""

import re

from ..domains.patterns import any_of

_ENTIRELY = r"(?:(?:yet|entirely|completely|fully|definitely|totally|definitively|reliably|confidently|\w+ly) )?"
_CANNOT = (
    r"(?:can ?not|can't|could ?n[o']t|does not|do not|did not|doesn't|not|unable to|impossible to|not possible to"
    r"|difficult to|hard to"
    r"|inability to)"
)
DOUBT = any_of(
    "possibl[ey]",
    "possibility of",
    "probabl[ey]",
    "(?<!less )(?<!not )likely",
    "presum(?:ed|abl[ey])",
    "perhaps",
    "maybe",
    "apparent(?=ly)",
    "suspect(?:ed)?",
    "favou?r(?:s|ed|ing)?",
    r"suspicious (?:\w+ ){0,2}(?:for|of)",
    "suspicion (?:of|for)",
    "questionabl[ey]",
    "question of",
    "query",
    "concern(?:s|ing)? (?:for|of)",
    "worrisome for",
    "worrying for",
    "indeterminate",
    "uncertain",
    "unclear",
    r"(?:not|cannot|can't) (?:be )?(?:certain|sure|confident)(?: about| of| that)?(?: there (?:is|are))?(?: no)?",
    r"(?:thought|felt|believed|presumed|considered) to (?:represent|reflect|be)",
    "without (?:excluding|ruling out)",
    r"no (?:\w+ )?(?:evidence|reason) to (?:exclude|rule out)",
    rf"{_CANNOT} {_ENTIRELY}(?:be )?{_ENTIRELY}(?:exclude|rule out|ruled out|discount)d?(?: or confirmed?)?",
    r"(?:may|might|could|would) (?:also |well |possibly |just |then )*(?:represent|reflect|be|indicate|suggest|have)"
    r"(?: due to| related to| secondary to)?",
    "differential(?: considerations?| diagnos[ei]s)?",
    "considerations? (?:includes?|of)",
    "consider(?:ing)?",
    "(?:looks?|looking|appears?) like",
    "equivocal",
    "versus",
    "vs",
    "either",
    "if (?:any|present)",
    "neither confirm nor exclude",
)
# "likely" and "possible" speak of the finding before them only where nothing follows that they may speak of.
_ALONE = (
    r"(?=\s*(?:[.,;)]|$)|\s+(?:on|in|at|and|but(?! (?:excluded|ruled|not|unlikely))|given|here|too|with|left|right|both"
    r"|bilateral(?:ly)?|clinically|radiologically)\b)"
)
_DOUBTED = (
    rf"(?:(?:possible|probable|likely|suspected|suspect|equivocal|questionable|considered){_ALONE}"
    r"|(?:probably|possibly|likely|perhaps|presumably) (?:present|seen|there)|possibility"
    r"|in the differential|not certain|uncertain"
    r"|indeterminate|differential|favou?red|concern"
    r"|consideration)"
)
DOUBT_AFTER = re.compile(
    # "cannot be excluded"
    rf"^[^.;,]{{0,60}}?\b{_CANNOT} (?:been )?(?:be )?{_ENTIRELY}(?:be )?(?:been )?(?:excluded?|ruled? out|discounted)\b"
    r"|^[^.;,]{0,60}?\bneither \w+ nor (?:excluded|ruled out|refuted|confirmed)\b"
    # "is suspected"
    r"|^[^.;,]{0,60}?\b(?:is|are|was|were|be|remains?|being|as) (?:also |still |highly |strongly |a |the |very ){0,2}"
    rf"{_DOUBTED}\b"
    r"|^[^.;,]{0,60}?\b(?:should|could|must|may|might|needs? to) (?:also )?be"
    r" (?:considered|suspected|present|there|possible)\b"
    # "?", ", if any", ": possible", "(likely)"
    r"|^ ?\(?\?|^,? if (?:any|present)\b"
    r"|^ ?[:=-] ?(?:possibl[ey]|probabl[ey]|likely|suspected|questionable|equivocal|borderline|\?|maybe"
    r"|suspect|cannot be excluded"
    r"|not excluded|indeterminate|uncertain)"
    rf"|^,? ?(?:(?:possible|probable|likely|suspected|suspect|questionable|considered|equivocal){_ALONE}"
    r"|not excluded\b|uncertain\b|unclear\b|to be considered\b|favou?red\b)"
    r"|^ ?\((?:possible|probable|likely|suspected|equivocal|questionable)\)"
)
_OTHER_ONE = r"(?!less\b|more\b|so\b|two\b|without\b|not\b|greater\b|if\b)"
OR_AFTER = re.compile(rf"^(?: (?:in|at|of|on) [\w ]{{1,30}}?)?,? (?:or|versus|vs\.?|and/or) {_OTHER_ONE}")
LIST_OR = re.compile(r"^,? or \w")
OR_BEFORE = re.compile(
    r"\b(?<!with )(?<!whether )(?<!small )(?<!mild )(?<!moderate )(?<!large )(?<!severe )(?<!left )(?<!right )(?<!one )"
    r"(?:or|versus|vs\.?|and/or) (?:\w+ ){0,3}$"
)
HYPOTHESIS = re.compile(
    r"\b(?:(?:to )?(?:rule out|exclude|evaluate for|assess(?:ment)? for|look(?:ing)? for|check(?:ing)? for"
    r"|screen(?:ing|ed)?"
    r" for|monitor(?:ing)? for|search for|exclusion of|test(?:ed|ing)? for|watch for|protect(?:ion)? (?:from|against)"
    r"|prophyla\w+ (?:for|against)|treat(?:ed|ment)? for|prevent(?:ion of)?)"
    r"|evaluat(?:ion|e) (?:of|for)|in case of|(?:at )?(?:low |high |increased )?risk (?:of|for|factors? for)"
    r"|predisposed to|(?:advice|information|leaflet|education|counsel+ing) (?:on|about)|contact with|expos(?:ed|ure) to"
    r"|clinical(?:ly)? (?:suspicion|concern|question|suspected|questioned)(?: of| for)?"
    r"|(?:worried|concerned|anxious|asks?|asking|fear|afraid) (?:about|of)"
    r"|refer(?:red|ral) (?:with|for|as)|mimic(?:s|king)?|mimick(?:s|ed|ing)|simulat(?:es?|ed|ing)|resembl(?:es?|ing)"
    r"|imitat(?:es?|ed|ing)"
    r"|masquerad(?:es?|ing) as|(?:mistaken|confused) (?:for|with)|pretend(?:s|ing) to be|unlike|in contrast to"
    r"|not to be confused with|distinguish(?:ed)? from|differentiat\w+|distinguish\w*"
    r"|should|if(?! any\b| present\b)|unless|before)"
    r"\s+(?:(?!(?:but|and)\b)\S+\s+){0,4}\??$"
)
_WORDS_ON = (
    r"\s+(?!exam|stud|film|radiograph|x-?ray|image|chest)"
    r"(?:(?!(?:has|have|is|are|now|shows?|today|no)\b)[^\s,]+\s+){0,4}$"
)
_WORDS_ON_TO_TODAY = _WORDS_ON.replace("no)", r"no|with|decreas\w+|increas\w+|improv\w+|residual|persist\w*)")
"""As _WORDS_ON, up to what is found today: "status post thoracentesis with decreased effusion"."""
PAST = re.compile(rf"\b(?:history of|hx of|hx|remote|former|history):?{_WORDS_ON}|^history: ")
EARLIER = re.compile(
    rf"\b(?:previous(?:ly)?(?: treated| known)?|prior|past|old|status post|after (?:treatment|drainage|excision) of"
    rf"|excis(?:ion|ed)(?: of)?|treatment of|(?:drainage|thoracentesis|aspiration|tapping|excision) of)"
    rf"{_WORDS_ON_TO_TODAY}"
)
_FILM = (
    r"(?:previous|prior|last|old|earlier|preceding|comparison|outside|initial|first)(?: (?:chest|fundus|skin))?"
    r" (?:stud(?:y|ies)|exam\w*|films?|radiographs?|x-?rays?|images?|imaging|cxr|report|visit|photographs?|one|scan|ct"
    r"|admission)"
)
EARLIER_FILM = re.compile(
    rf"\b{_FILM}(?:,| of [\w ]{{1,20}})? (?:had |has )?(?:\w+ly )?(?:show(?:ed|n)|demonstrated|revealed|had|with"
    r"|described|noted|reported)\b"
    rf"|\b(?:in|on|at) (?:the |his |her |an? )?{_FILM},? [^.;]{{0,40}}?\b(?:was|were)\b"
    r"|\b(?:in|on|from|of) (?:\w+ )?(?:19|20)\d\d,? [^.;]{0,40}\b(?:was|were|showed|had)\b"
)
ON_EARLIER_FILM = re.compile(rf"\b(?:in|on|at) (?:the |his |her |an? )?{_FILM},? [^.;]{{0,40}}$")
EARLIER_AFTER = re.compile(
    rf"^[^.;]{{0,40}}?\b(?:on|in|at) (?:the |an? |his |her )?{_FILM}|^[^.;,]{{0,30}}?\b(?:then|at (?:that"
    r"|the) time)\s*[.,]?$"
    r"|^ (?:was|were) (?:seen|present|noted|described) (?:previously|before|earlier|then)"
    r"|^[^.;,]{0,30}? (?:in|on|from) (?:\w+ )?(?:19|20)\d\d\b"
    r"|^[^.;,]{0,30}? (?:(?:\d+|two|three|four|five|six|several|some|a few|a|one) (?:years?|months?|weeks?|days?) ago"
    r"|last (?:year|month|week|spring|summer|autumn|winter|time)|in the past|in childhood|as a child|years ago)\b"
)
COMPARED = re.compile(r"\b(?:than|compar\w+|since|from|as|unlike)\s+(?:[\w']+\s+){0,6}$")
STILL = re.compile(r"\b(?:remains?|still|again|now|persist\w*|today|currently)\b")
_PERSON = (
    r"(?:mother|father|sister|brother|parents?|grand(?:mother|father|parents?)|aunt|uncle|cousin|son|daughter|siblings?"
    r"|family (?:history|members?|hx)|familial|relatives?|wife|husband|spouse|maternal|paternal|twin|fhx?|mum|mom|dad"
    r"|partner|kin)"
)
ANOTHER_BEFORE = re.compile(
    rf"\b{_PERSON}\b(?:'s)?(?! of (?:two|three|four|five|\d|an?)\b)"
    r"(?![^.;]*\b(?:patient|now|today|shows?|lesion|reports?|states?|says|informed|noticed)\b)[^.;]{0,50}$"
)
ANOTHER_AFTER = re.compile(
    rf"^\s*(?:[^.;,]{{0,30}} )?(?:in|of|by) (?:\w+ )?(?:his|her|the|a|their|patient's|first[- ]degree"
    rf"|close)? ?(?:\w+ )?(?:{_PERSON}|family)\b"
    rf"|^ ?\([^)]{{0,20}}{_PERSON}"
)
NOT_THE_THING = re.compile(
    r"^(?:'s)?[ -](?:like\b|mimic\b|mimicker|simulator|risk|screening|surveillance|clinic\b|vaccin|check\b"
    r"|prevention|awareness"
    r"|protocol|unit\b|team|specialist|centre|center|pathway|scor(?:e|ing)|program|trial|service|questionnaire|support"
    r"|prophyla|drops|medication|free\b|self-exam|guideline|education|leaflet|history\b|register|registry|nurse)"
)
NOT_QUITE = re.compile(
    r"(?:\bnon|\bpseudo|\banti|\bpost|\bpre|\bnot? typical (?:of|for)|\batypical for|\bmimic of)[- ]?\s?$"
)
UNCERTAIN_NAME = re.compile(r"\b(?:borderline|top[- ]normal|upper limit|suspicious|malignant (?:skin )?lesion)")
