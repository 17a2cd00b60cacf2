"""What denies a finding in a sentence, and how far a negation reaches.

It follows the idea of NegEx (Chapman et al., J Biomed Inform 2001): a trigger word denies the findings after it up to
a word or a clause that ends its scope.
"""

import re

from ..domains.patterns import any_of
from .grading import GRADES, TRENDS
from .sides import BOTH, LEFT, RIGHT

TERMINATOR = any_of(
    r"but(?! (?:was |were |has been |is |are |now )?(?:excluded|ruled out|resolved|cleared|absent|gone)\b)",
    "however",
    "although",
    "though",
    "except(?: for)?",
    "apart from",
    "aside from",
    "other than",
    "yet(?= )",
    "whereas",
    "while",
    "nevertheless",
    "nonetheless",
    "despite",
    "in spite of",
    "secondary to",
    r"(?<!not )(?:due|owing) to",
    r"(?<!not )because(?: of)?",
    "which",
    "in retrospect",
    "(?<!is )(?<!are )(?<!now )(?<!remains )only(?= (?!if|when))",
    "plus",
    "positive for",
    "instead",
    "otherwise",
)
_CHANGE = (
    r"(?:change|alteration|difference|increase|decrease|reduction|improvement|regression|resolution|progression|growth"
    r"|accumulation|worsening|enlargement|clearing|evolution|deterioration|extension|spread)s?"
)
_ADVERB = r"(?:\w+ly|yet|quite|been|have|has|much|further|any|at all)"
_PARTLY = (
    r"(?:part(?:ly|ially)?|(?:very )?near(?:ly)?(?:[- ]complete(?:ly)?| total(?:ly)?)?|almost(?: complete(?:ly)?| fully"
    r"| entirely| total(?:ly)?)?|largely|mostly|mainly|for the most part|incomplete(?:ly)?|substantial(?:ly)?|somewhat"
    r"|slight(?:ly)?|considerabl[ey]|marked(?:ly)?|significant(?:ly)?|slow(?:ly)?|gradual(?:ly)?|virtually|subtotal(?:ly)?"
    r"|some|moderate(?:ly)?|mild(?:ly)?|minimal(?:ly)?|in part|beginning|partial|delayed"
    r"|ongoing|continu(?:ed|ing)|progressive|early|expected)"
)
_GONE = r"(?:resol(?:ved|ution)|clear(?:ed|ance|ing)|disappear(?:ed|ance)|gone|absent|excluded|normali[sz](?:ed|ation))"
# Words with a "no" that denies no finding. Also improvement that is not complete.
PSEUDO = any_of(
    rf"(?:no|not|without|nor)(?: (?:a|an|any|much|\w+ly|evidence of|signs? of|interval|significant|relevant"
    r"|definite|other"
    rf"|major|substantial|appreciable|further|clear|sufficient|complete|full)){{0,4}} {_CHANGE}(?: (?:in|of|to"
    r"|from)\b)?",
    rf"no (?!or\b|and\b)\w+ {_CHANGE} (?:in|of|from|since)\b",
    r"no longer (?:increas|progress|worsen|grow|enlarg)\w*",
    r"no (?:doubt|question|less|different|more than|fewer"
    r"|(?:smaller|better|worse|larger|bigger)(?= than| now|[.,;]|$))",
    r"(?:ensur(?:e|ing)|document|confirm|demonstrate|assess|monitor|verify|evaluate|await|until|to|for|pending|towards?)"
    r" (?:complete |full |interval |the ){0,2}(?:resolution|clearing|clearance) of",
    r"without (?:a |any )?(?:doubt|question)",
    r"not (?:only|just|merely|simply|necessarily|surprisingly|unexpected(?:ly)?|insignificant|inconsiderable|until"
    r"|all)",
    rf"(?:not|never|hasn't|haven't)(?: {_ADVERB}){{0,3}} (?:improv|chang|worsen|progress|increas|decreas|regress|resolv"
    rf"|clear|disappear|gone|normali[sz]|alter)\w*",
    rf"{_PARTLY}(?: interval)?[- ]{_GONE}(?: of)?",
    r"no (?:prior|previous|old|comparison|earlier)(?: \w+){0,2}",
    r"no (?=known )",
)
NEGATION = any_of(
    "no",
    "not",
    "nor",
    "neither",
    "none(?= of)",
    r"(?:absent|(?:pertinent )?negatives?|not present|not seen|excluded|none)(?=:)",
    "without",
    "nil",
    "zero",
    "(?<![.,:=/-] )(?<![.,:=/-])0(?= )",
    "free (?:of|from)",
    "clear of",
    "devoid of",
    "negative for",
    "absence of",
    "denie[sd]",
    "denying",
    "lack(?:s|ing)? (?:of )?",
    "never",
    r"(?:was |been |is )?ruled out for",
    "rules? out for",
    "rules out",
    r"(?:unable|not able|impossible) to (?:identify|see|detect|demonstrate|find)",
    r"(?:cannot|can't) (?:identify|see|detect|find)",
    "(?:inconsistent|incompatible) with",
    r"can (?:now |safely |confidently |therefore |reliably ){0,2}(?:exclude|rule out)",
    "exclud(?:es|ed|ing)(?=:? )",
    r"(?:interval |complete |full |total )?(?:resolution|clearance|disappearance) of",
    "fail(?:s|ed|ing)? to (?:show|reveal|demonstrate|identify)",
    "nothing (?:to|that) (?:suggest|indicate|support)s?",
    r"nothing (?:suggesting|suggestive of|like)",
    r"(?:argues?|speaks?|militates?|evidence) against",
    r"(?:unlikely|improbable|doubtful|dubious)(?: to (?:be|represent|reflect|indicate))?",
    r"(?:less|not) likely(?: to (?:be|represent|reflect|indicate))?",
    r"rather than(?: an?)?",
    "as opposed to",
    "instead of",
    r"more (?:likely|~+) [^.,;]{1,40}? than",
    r"(?:insufficient|little|scant|poor|weak) evidence (?:of|for)",
    "(?:hardly|scarcely|barely) any",
    "(?:complete|full|total) clearing of",
)
# "~": words of doubt are hidden
_OVER = re.compile(
    r"(?:(?:favou?r\w*|~{5,}) (?:[^.,;]{1,40}? )?over"
    r"|\b(?:low|little|minimal|poor) (?:clinical |index of ){0,2}(?:likelihood|probability|chance|~{8,})(?: of| for)?)"
    r"\s+(?:[\w-]+\s+){0,3}$"
)
_COURSE = re.compile(
    r"^\s*(?:(?:nor|or) \w+ )?(?:has|have|is|are) (?:\w+ly )?(?:changed|improved|worsened|progressed|resolved|increased"
    r"|decreased|cleared|larger|smaller|worse|better)\b"
)
# Denies only the words right after it: "resolved left effusion".
_ADJACENT = re.compile(
    r"(?<!be )(?<!is )(?<!has )(?<!are )\b(?:absent|resolved|cleared|vanished|negative|excluded)"
    r"\s+(?:(?!(?:and|or|with|now|by|for|in|on)\b)[\w/-]+\s+){0,3}$"
)
_SEEN = (
    r"(?:seen|present|identified|visible|visuali[sz]ed|evident|demonstrated|detected|noted|apparent|appreciated|found"
    r"|observed|shown|a feature|there|suspected|confirmed|suggested|evidenced|recogni[sz]ed|discernible|in evidence"
    r"|supported|likely|diagnosed|favou?red|considered|recorded|reported|documented|expected|depicted|delineated)"
)
_LINK = r"(?:is|are|was|were|has|have|had|been|be|now|could|can|appears?|remains?|seems?)"
_AFTER = re.compile(
    rf"^(?:,? now|,? since)?\s*(?:\((?:right|left|both"
    rf"|bilateral)\)\s*)?(?P<way>[^.,;]{{0,60}}?\b{_LINK}\s+)?(?:to be )?"
    r"(?:(?:considered|suspected|questioned|possible),? (?:but|and) (?:is |was |has been |now |then )?)?"
    r"(?:\w+ly\s+|now\s+|since\s+|again\s+|all\s+){0,2}"
    rf"(?:(?:not|no longer|never|nowhere|cannot|can't|could not)\s+(?:(?:be|been|to be)\s+)?(?:\w+ly\s+)?{_SEEN}"
    r"(?! (?:previously|before|earlier))"
    r"|ruled[- ]out|excluded|absent|resolved|cleared|disappeared|vanished|gone(?! (?:from|to|up|down)\b)"
    r"|(?:(?:thought|considered|felt|deemed|very|highly|most|rather|quite) (?:to be )?)?"
    r"(?:unlikely|improbable|doubtful|dubious|less likely)"
    r"|(?:completely|fully|totally) regressed|regressed (?:completely|fully|totally)|no more"
    r"|nil|none|negative(?! for)|argued against|(?:seen|present|found|noted) in neither)\b"
)
_SINCE = re.compile(  # "was severe, now resolved"
    r"^(?:(?!\b(?:left|right)\b)[^.;]){0,60}?,? (?:now|since|has|have|which has|which have)(?: since| now| \w+ly)?"
    r" (?:resolved|cleared|gone|absent|disappeared)\b(?! (?:from|to|up|down|on|at|in)\b)"
)
_NEITHER = re.compile(r"^[^.,;]{0,40}?\b(?:seen|present|found|noted|in) (?:in |on )?neither\b")
# What stands after a finding as the value of a label: "Effusion: none", "Effusion - N".
_MARK = r"^\s*(?:[:=|?;]|-{1,2}|\.{2,}|\(|>)[\s|]*"
_END = r"(?=\s*(?:$|[.,;|)\]/]|\bon\b|\bin\b|\bat\b|\btoday\b))"
_VALUE_NO = re.compile(
    rf"(?:{_MARK}(?:is |are )?(?:(?:no|none)(?: (?:evidence|signs?|seen|identified|noted|present|detected|visible"
    rf"|abnormalit\w+|significant))?|nil|n\b|not (?:\w+ )?{_SEEN}|not enlarged|nothing|negative|absent|0\b|false"
    r"|normal|clear|unremarkable|resolved|cleared|ruled out|excluded|-+|nad|not significant"
    r"|within normal limits|unlikely|less likely|improbable|doubtful)"
    rf"|^\s*(?:negative|nil|none|0|no|n|not {_SEEN})){_END}|^ -(?=\s*(?:$|[,;|]))"
    r"|^\s*(?:present|seen|identified|noted)\s*\?\s*(?:no|none)\b"
)
_VALUE_YES = re.compile(
    rf"{_MARK}(?:yes|y\b|present|positive|1\b|true|\+|confirmed|seen|noted)|^\s*(?:positive\b|\+|(?:yes|y)(?=\s*(?:$|[,;.|])))"
    r"|^\s*(?:present|seen|identified|noted)\s*\?\s*yes\b"
)
_VALUE_NONE = re.compile(
    rf"{_MARK}(?:not (?:assessed|evaluated|assessable|evaluable|examined|tested|done|documented|recorded|stated|known)"
    r"|unknown|unable to assess|cannot be (?:assessed|evaluated))\b"
)
_OPEN = re.compile(  # says that nobody could tell
    r"^[^.,;]{0,40}?\bnot (?:well|fully|adequately|optimally|completely|sufficiently)"
    r" (?:seen|visuali|demonstrat|assess)"
    r"|^[^.,;]{0,40}?\b(?:not|cannot|could not|can't|difficult to|unable to|hard to) (?:be )?(?:\w+ly )?(?:be )?"
    r"(?:assess|evaluat|examin|judg|measur|grad)\w*"
)
_LIST_END = any_of("or", "nor", "and/or")
_VERB = any_of(
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
    "consistent",
    "compatible",
    "suggest(?:s|ing|ive)?",
    "possibl[ey]",
    "probabl[ey]",
    "likely",
    "suspected",
    "suspicious for",
    "questionable",
    "known",
)
_WITH = re.compile(r"(?<!consistent)(?<!compatible) with (?=\w)(?!or\b)")
_PIECE = re.compile(rf",| and (?=(?:there|the|a|an|with)\b)|{_WITH.pattern}")
_STARTS = re.compile(r"(?:also|again|an?|the|some|interval|now|rather|mainly|merely|just) ")
_AFFIRMS = re.compile(
    r"^ (?:on|in|at) (?:the |both )?(?:left|right|both)\b"
    r"|^[^.,;]{0,40}?\b(?:(?:has|have) (?:\w+ly )?(?:worsened|increased|progressed|developed|decreased|improved"
    r"|enlarged|"
    r"persisted|grown|appeared|spread)|(?:is|are) (?:again |still |now |also )?(?:seen|noted|present|unchanged|stable"
    r"|visible|evident|demonstrated|identified|worse|larger|increased|increasing|persistent)|again|persists?|remains?"
    r"|unchanged|stable|worsen\w*|increas\w*|increased)\b"
)


def hidden(text: str, *patterns: re.Pattern[str]) -> str:
    """Hides words from the search for negations, so that they deny nothing.

    Args:
        text: of a sentence.
        *patterns: what to hide, besides pseudo-negations.

    Returns:
        A text of the same length.
    """
    for pattern in (PSEUDO, *patterns):
        text = pattern.sub(lambda m: "~" * len(m[0]), text)
    return text


def value_after(after: str) -> bool | None:
    """What a label's value says, as in "Effusion: none".

    Args:
        after: the words after a finding.

    Returns:
        True or False; None where there is no value.
    """
    if _VALUE_NO.search(after) and not re.match(
        r"[^,.;]{0,30}\bon (?:the )?(?:right|left)\b.{1,40}\b(?:right|left)\b", after
    ):
        return False
    return True if _VALUE_YES.search(after) else None


def row_ends(after: str) -> bool:
    """Whether nothing but a denial stands after a finding, as in a row of a table: "effusion,no".

    Args:
        after: the words after it.

    Returns:
        True for such a row.
    """
    return bool(re.fullmatch(r",\s?(?:no|none|nil|absent)\s*", after))


def left_open(after: str) -> bool:
    """Whether a finding was not assessed.

    Args:
        after: the words after it.

    Returns:
        True where they say so.
    """
    return bool(_VALUE_NONE.search(after) or _OPEN.search(after))


def denied_after(after: str, joined: bool) -> bool:
    """Whether the words after a finding deny it.

    Args:
        after: the words up to the next finding, or beyond those it is joined with.
        joined: whether another finding stands among them; a verb in the singular then speaks of the last alone.

    Returns:
        True where they do.
    """
    shown = hidden(after)
    match = _AFTER.search(shown) or _NEITHER.search(after) or _SINCE.search(shown)
    if match is None:
        return False
    return not (joined and re.search(r"\band\b.*\b(?:is|was|has)\b", match[0]))


def denied_before(before: str, own: str, after: str, repeated: bool) -> tuple[bool, bool]:
    """Whether a negation before a finding reaches it.

    Args:
        before: the words of its clause before it, with what denies nothing hidden.
        own: its own words.
        after: the words of its clause after it.
        repeated: whether it stands between, too, on another side or in another grade.

    Returns:
        (denied, unclear): unclear where only a comma tells that the denial goes on.
    """
    if _ADJACENT.search(before) or _OVER.search(before):
        return True, False
    if _COURSE.search(after):
        return False, False  # "neither has changed"
    triggers = [m for m in NEGATION.finditer(before) if not _is_value(before, m)]
    if not triggers:
        return False, False
    last = triggers[-1]
    return _in_scope(before[last.end() :], own, after, repeated, narrow=last[0] in ("not", "never"))


def reaches(between: str, own: str, after: str) -> bool:
    """Whether a word of doubt holds for a finding.

    Args:
        between: the words from the doubt to the finding.
        own: those of the finding.
        after: those after it.

    Returns:
        True where nothing between ends the scope.
    """
    return _in_scope(between, own, after, repeated=False, narrow=False)[0]


def _is_value(before: str, match: re.Match[str]) -> bool:
    """Whether a negation is the value of an earlier label: "Effusion: no, edema: yes"."""
    return bool(re.search(r"[:=|-]\s*$", before[: match.start()]) and re.match(r"\s*[,;|.]", before[match.end() :]))


def _in_scope(between: str, own: str, after: str, repeated: bool, narrow: bool) -> tuple[bool, bool]:
    pieces = re.split(
        r",| and (?=(?:there|the|a|an|with)\b)|(?<!consistent)(?<!compatible) with (?=\w)(?!or\b)", between
    )
    if len(pieces) == 1 and not re.search(r"\band\b", between):
        verb = re.search(r"\b(?:is|are|was|were|has|have|there)\b", between)
        return not verb or bool(re.match(r"\s*(?:is|are|was|were|there|has|have)\b", between)), False
    if _VERB.search(own):
        return False, False
    ahead = re.split(r"\b(?:is|are|was|there|has|have)\b", pieces[-1] + after)[0]
    listed = bool(_LIST_END.search(ahead))
    if (narrow and not listed) or (repeated and not listed):
        return False, False
    if any(_VERB.search(piece) for piece in pieces[1:]) or re.search(
        r"(?<!consistent)(?<!compatible) with (?=\w)(?!or\b)", between
    ):
        return False, False
    last = re.split(r"\band\b", pieces[-1])[-1].strip() + " "
    while start := _STARTS.match(last):
        last = last[start.end() :]
    described = any(p.match(last) for _, p in (*GRADES, *TRENDS)) or any(p.match(last) for p in (LEFT, RIGHT, BOTH))
    if listed:
        return True, False
    if described or _AFFIRMS.search(after) or any(p.match(after.lstrip(" ,:(")) for _, p in GRADES):
        return False, False
    return True, "," in between
