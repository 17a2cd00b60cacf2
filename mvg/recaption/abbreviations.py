"""Short forms of reports and the words that they stand for."""

import re
from collections.abc import Iterable

# "DR" before one of these is diabetic retinopathy; before another word it is the title of a name.
_AFTER_A_FINDING = re.compile(
    r"(?:"
    r"a|above|absent|again|agreed|also|although|and|are|as|at|bilateral|bilaterally|both|but|by|"
    r"can|cannot|cataract|change|changes|classification|clear|confirmed|could|detected|developed|disc|"
    r"discs|due|early|either|exam|excluded|eye|eyes|follow|for|found|from|fully|fundus|grade|"
    r"graded|grading|had|has|have|identified|improved|in|including|is|laser|le|left|lens|level|"
    r"likely|lt|macula|macular|maculopathy|may|media|mild|minimal|moderate|nil|no|none|nor|normal|"
    r"not|noted|npdr|od|of|on|optic|or|os|ou|out|over|pdr|persists|plus|positive|possible|"
    r"present|progressed|progression|r|rather|re|remains|resolved|right|rt|ruled|screening|seen|"
    r"severe|should|shows|since|small|stable|stage|staging|status|still|suspected|than|that|the|"
    r"then|there|this|to|today|treated|unchanged|unlikely|up|versus|vessels|vitreous|vs|was|were|"
    r"when|which|while|with|without|worse|worsened|yes"
    r")"
)
_BEFORE_A_FINDING = re.compile(
    r"(?:"
    r"active|advanced|any|background|bilateral|both|diabetic|early|has|have|known|left|likely|mild|"
    r"minimal|moderate|no|possible|probable|right|severe|show|shows|stable|without"
    r")"
)
_BEFORE_A_NAME = re.compile(
    r"(?:"
    r"attending|by|cc|consultant|from|per|physician|radiologist|signed|to|with"
    r")"
)
_TITLE = re.compile(
    r"(?:\b(?P<before>[A-Za-z]{1,30})[ :]{1,3})?\b(?P<title>D[Rr]s?|DRS|drs?)\b(?P<stop>\.?)"
    r"(?= {0,3}(?P<after>[A-Za-z]{0,30}))"
)
_STOPPED = re.compile(r"\b(?P<word>mrs?|ms|prof|st|vs|approx|ca|e\.g|i\.e|cf|resp|incl|esp)\.(?=\s)", re.IGNORECASE)
_STOPPED_INSIDE = re.compile(  # ends a sentence only where a capital follows
    r"\b(?P<word>rt|lt|bilat|bil|mod|min|sev|sl|poss|prob|susp|inf|sup|ant|post|lat|med|neg|pos|r"
    r"|l)\.(?= (?-i:[a-z\d&+]))"
    r"|(?:^|(?<=[.;:\n] )|(?<=\n))(?P<first>rt|lt|bilat|bil|mod|min|sev|sl|poss|prob|susp|neg|pos|r|l)\.(?= \w)",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"\b(?P<word>RT|LT|BILAT|BIL|MOD|MIN|SEV|POSS|PROB|NEG|POS)\.(?= [A-Z]{2})")

_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\bcan'?t\b", "cannot"),
        (r"(?<=[a-z])n't\b", " not"),
        (r"(?<!\w)[ø∅](?= )", "no"),
        (r"\bw/o\b", "without"),
        (r"\bw/(?=\s?[a-z])", "with "),
        (r"\be/o\b", "evidence of"),
        (r"\bh/o\b", "history of"),
        (r"\bs/p\b", "status post"),
        (r"\br/o\b", "rule out"),
        (r"\b[rl] ?/ ?[rl](?=\s|$|[.,])", "right and left"),
        (
            r"\b(?:r|rt|right) ?(?:>|>>|<|<<|=) ?(?:l|lt|left)\b|\b(?:l|lt|left) ?(?:>|>>|<|<<|=) ?(?:r|rt|right)\b",
            "on both sides",
        ),
        (r"\b(?:b/l|bl|bilat|bil)\b\.?(?!\w)", "bilateral"),
        (r"\brt\b(?!-)", "right"),
        (r"\blt\b(?!-)", "left"),
        (r"(?<![\w'./-])r(?![\w'/-]|\. ?\w)(?! wave)", "right"),
        (r"(?<![\w'./-])(?<!\d )l(?![\w'/-]|\. ?\w)", "left"),
        (r"\br(?=-sided)", "right"),
        (r"\bl(?=-sided)", "left"),
        (r"\bmod\b", "moderate"),
        (r"\bsev\b", "severe"),
        (r"\bposs\b", "possible"),
        (r"\bprob\b", "probable"),
        (r"\bsusp\b", "suspected"),
        (r"\bneg\b|(?<!\w)-ve\b", "negative"),
        (r"\(-\)(?=[a-z])", ", no "),
        (r"\(\+\)(?=[a-z])", ", positive for "),
        (r"\(-(?:ve)?\)", " negative "),
        (r"\(\+{1,3}(?:ve)?\)", " positive "),
        (r"\bpos\b|(?<!\w)\+ve\b", "positive"),
        (r"(?<=\d) ?%", " percent"),
        (r",? ?\bif (?:any|present)\b,?", " if any"),
        (r"\(?\b(?:y/n|yes/no)\b\)?", ""),
        (
            r"\b(?P<no>right|left) ?[:=] ?(?:no|none|absent|nil|negative)\b(?=\s*(?:$|[.,;)]|left|right))",
            r", none on the \g<no>,",
        ),
        (
            r"\b(?P<yes>right|left) ?[:=] ?(?:yes|present|positive)\b(?=\s*(?:$|[.,;)]|left|right))",
            r", present on the \g<yes>,",
        ),
        (r"\bwnl\b", "within normal limits"),
        (r"\bn/a\b|\bnot applicable\b", "not assessed"),
        (r"\b(?:grade|stage|level|class):? (?:0|zero)\b(?! ?(?:/|of))", "absent"),
        (r"\b(?:grade|stage|level):? 1(?: ?/ ?| out of | of )[34]\b", "mild"),
        (r"\b(?:grade|stage|level):? 2(?: ?/ ?| out of | of )[34]\b", "moderate"),
        (r"\b(?:grade|stage|level):? [34](?: ?/ ?| out of | of )[34]\b", "severe"),
        (r"\b(?:grade|stage|class) (?:1|i)\b", "mild"),
        (r"\b(?:grade|stage|class) (?:2|ii)\b", "moderate"),
        (r"\b(?:grade|stage|class) (?:[34]|iii|iv)\b", "severe"),
        (r"(?<![\w.])1\+(?!\w)", "mild"),
        (r"(?<![\w.])2\+(?!\w)", "moderate"),
        (r"(?<![\w.])[34]\+(?!\w)", "severe"),
        (r"\bnot only\b(?P<first>[^.;]{0,100}?)(?:,\s*)?\bbut\b(?: also)?", r"\g<first> and also"),
        (r"\bnot only (?=is|are|there|was|were)", ""),
    )
)
_BOX = re.compile(r"\[ ?(?P<tick>[x✓✔+]?) ?\]|\( ?(?P<round>x?) ?\)(?=\s|$)|(?P<full>[☑☒✓✔✅])|(?P<empty>[☐□✗✘❌])")


def without_titles(text: str) -> str:
    """A text in which the title of a doctor is spelt out and the stop of a short form ends no sentence.

    Args:
        text: in its own case: "Dr" is a title, "DR" is one where a name follows.

    Returns:
        The text with "doctor" for the title.
    """

    mixed = sum(map(str.islower, text)) > sum(map(str.isupper, text))

    def spell(match: re.Match[str]) -> str:
        before, after = (match["before"] or "").lower(), match["after"].lower()
        title, stop = match["title"], match["stop"]
        if title in ("Dr", "Drs", "DRS", "drs"):
            named = True
        elif title == "DR" and match["after"].islower():
            named = False  # a name has a capital
        elif _BEFORE_A_NAME.fullmatch(before):
            named = len(after) == 1 or (bool(after) and _AFTER_A_FINDING.fullmatch(after) is None)
        elif _BEFORE_A_FINDING.fullmatch(before) or not after or (mixed and before and stop):
            named = False
        else:
            named = _AFTER_A_FINDING.fullmatch(after) is None
        if not named:
            return match[0]
        return match[0][: len(match[0]) - len(title) - len(stop)] + "doctor"

    text = _TITLE.sub(spell, text)
    text = re.sub(r"\bIrma\b", "patient", text)  # the name, not the vessels
    text = _STOPPED.sub(lambda m: m["word"], text)
    text = _CAPITALS.sub(lambda m: m["word"], text)
    return _STOPPED_INSIDE.sub(lambda m: m["word"] or m["first"], text)


def spelt_out(sentence: str, more: Iterable[tuple[re.Pattern[str], str]] = ()) -> str:
    """A sentence with short forms of side, negation and grade in words.

    Args:
        sentence: in lower case, one line.
        more: (pattern, words) of the domain.

    Returns:
        The sentence, spaces single.
    """
    for pattern, words in (*more, *_WORDS):
        sentence = pattern.sub(words, sentence)
    return " ".join(sentence.split())


def without_boxes(sentence: str, finding: re.Pattern[str]) -> str:
    """A sentence with its tick boxes in words.

    Args:
        sentence: in lower case, one line.
        finding: what the boxes may stand beside.

    Returns:
        "effusion: no, edema: yes" for "[ ] effusion [x] edema", "effusion: left" for "effusion: [x] left [ ] right".
    """
    boxes = list(_BOX.finditer(sentence))
    if not boxes:
        return sentence
    head = sentence[: boxes[0].start()]
    ticked = [bool(b["tick"] or b["round"] or b["full"]) for b in boxes]
    bounds = [b.start() for b in boxes] + [len(sentence)]
    after = [sentence[b.end() : bounds[i + 1]].strip(" ,|.;") for i, b in enumerate(boxes)]
    if not head and after[0].endswith(":") and finding.search(after[0]):  # a finding, then its options
        chosen = " ".join(item for item, tick in zip(after[1:], ticked[1:], strict=True) if tick)
        return f"{after[0]} {chosen if ticked[0] else 'no'}"
    if not finding.search(head):  # each box stands before what it is of
        items = [
            f"{item.strip(' .')}: {'yes' if tick else 'no'}" for item, tick in zip(after, ticked, strict=True) if item
        ]
    elif after[-1]:  # the options of one finding
        chosen = " ".join(item for item, tick in zip(after, ticked, strict=True) if tick)
        return f"{head.strip()} {chosen or 'not assessed'}"
    else:  # each box stands after what it is of
        before = [head, *after[:-1]]
        items = [f"{item.strip(' :,|')}: {'yes' if tick else 'no'}" for item, tick in zip(before, ticked, strict=True)]
        head = ""
    return f"{head} {', '.join(items)}".strip()
