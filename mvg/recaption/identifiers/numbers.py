"""Numbers of records, devices and accounts, and contacts: telephone, e-mail and web."""

from collections.abc import Iterator

from .spans import EMAIL, NUMBER, PHONE, SSN, WEB, Span, Text, find_all, rule

_UNIT = (
    r"(?![ -]?(?:[cm]m|c?c|ml|mg|kg|f|fr|french|%|x|weeks?|days?|months?|years?|hours?|h|views?|images?|of)(?![a-z]))"
)
# Between "MRN" and its number, and the number: letters, digits and signs with at least so many digits.
_IS = (
    r"\.?(?: ?(?:number|no\b\.?|num\b\.?|nr\b\.?|code|id(?:entifier)?\b|#)){0,2}[ \t]?"
    r"(?:is |was |[:#=.]{1,2}[ \t]?)?(?:\n(?=[a-z]{0,4}\d))?[\"'(]?"
)
_TOKEN = (
    r"(?=(?:[a-z/.-]{{0,8}}\d){{{0}}}|[a-z]{{1,4}} (?:[a-z/.-]{{0,3}}\d){{{0}}})"
    r"(?:[a-z]{{1,4}}[ #](?=\d))?[a-z\d](?:[a-z\d]|[-/._#](?=[a-z\d])){{2,30}}"
    r"(?: \d{{2,5}}(?![\d/]|[:.-]\d|[ -]?(?:[cm]m|year|yr|y\b|%))){{0,3}}\b"
)
_SHORT_CUE = (
    r"\b(?:mrn|m\.r\.n|mr(?= ?(?:#|no\b|number))|medical record|accession|acc(?= ?[#:n])|acct|account|nhs|hicn|chi"
    r"|medicare|medicaid|nric|ic|npi|dea|gmc|serial|s/n|sn|pid|uid|vin|imei"
    r"|(?:patient|pat|pt|hospital|hosp|study|case|exam|member|unit|record|visit|chart|device|implant|order|group|policy"
    r"|insurance|subject|user|employee|image|series|requisition|encounter|admission|episode|claim|plan)"
    r" ?(?:id|no\b|number|nr\b|#))(?![a-z])"
)
_LONG_CUE = (
    r"\b(?:record|case|study|exam|order|hospital|chart|encounter|visit|specimen|policy|insurance|member|passport"
    r"|(?:driver'?s|driving) licen[cs]e|health plan|licen[cs]e(?: plate)?|registration|id|identification|identifier"
    r"|episode|requisition|req|patient|pat|pt|reference|ref|device|implant|pacemaker|prosthesis|lot|model|certificate"
    r"|vehicle|badge|ticket|job|mr|beneficiary|subscriber|unit|file|folder|film)\b"
    r"(?=\.? ?(?:[:#=\t]|n(?:o|r|um(?:ber)?)\b|id\b|code\b))"
)
_TOP = (
    r"(?:com|org|net|edu|gov|mil|info|io|health|hospital|clinic|nhs\.uk|co\.uk|ac\.uk|org\.uk|gov\.uk|eu|de|fr|ch|ca)"
)
_DIGITS = r"\(?\+?\d(?:[ .()/-]{0,2}\d){3,16}"

_RULES = (
    rule(EMAIL, r"(?<![\w.+'-])[\w.+'-]{1,64} ?(?:@|\(at\)|\[at\]) ?[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"),
    rule(EMAIL, r"(?<![\w.+'-])[\w.+'-]{1,64} at [\w-]{1,63} dot (?:com|org|net|edu|gov)\b"),
    rule(WEB, r"\b(?:https?|ftp|sftp|file|dicom)://[^\s<>\"')]{1,500}|\bwww\.[^\s<>\"')]{1,500}"),
    rule(
        WEB,
        rf"(?<![\w.@-])[a-z\d][a-z\d-]{{0,62}}(?:\.[a-z\d-]{{1,63}}){{0,4}}\.{_TOP}(?:/[^\s<>\"')]{{0,300}}|"
        rf"(?![\w.-]*\w))",
    ),
    rule(WEB, r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)|\b(?:[\da-f]{2}:){5}[\da-f]{2}\b"),
    rule(SSN, r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    rule(
        SSN,
        r"(?:\bssn|\bsocial security|\bsin|\bnational insurance|\bnino)(?: (?:number|no\b\.?"
        r"|#))?[ \t]?[:#=]?[ \t]?(?:is )?",
        r"(?P<it>[\dx*]{3}[- ]?[\dx*]{2,3}[- ]?\d{3,4}|[a-z]{2} ?\d\d ?\d\d ?\d\d ?[a-d])\b",
    ),
    rule(SSN, r"(?<![\w-])[a-z]{2} ?\d\d ?\d\d ?\d\d ?[a-d](?![\w-])"),
    rule(NUMBER, r"\b(?:nhs|medicare)\b", _IS, r"(?P<it>\d{3}[ -]?\d{3}[ -]?\d{4})\b"),
    rule(NUMBER, _SHORT_CUE, rf"{_IS}(?P<it>{_TOKEN.format(3)})"),
    rule(NUMBER, _SHORT_CUE, rf"[ \t]{{0,2}}[:=\t][ \t]{{0,2}}(?P<it>{_TOKEN.format(2)})"),
    rule(NUMBER, _LONG_CUE, rf"{_IS}(?P<it>{_TOKEN.format(4)})"),
    rule(PHONE, r"(?<![\w.+-])(?:\+|00)\d(?:[ .()/-]{0,3}\d){7,14}(?!\w)"),
    rule(
        PHONE,
        r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ ./-])\d{3}[ .-]\d{4}(?:,? ?(?:x|ext\.?"
        r"|extension) ?\d{1,6})?(?![\w-])",
    ),
    rule(PHONE, r"(?<![\w.-])\(?0\d{2,4}\)?[ /-]\d{3,4}[ -]?\d{3,6}(?![\w-])"),
    rule(PHONE, r"(?<![\w.,/-])0\d(?:[ .]\d\d){4}(?!\w)"),
    rule(PHONE, r"(?<![\w.])\(0\d{1,4}\) ?\d{2,4}(?:[ -]?\d{2,4}){1,3}(?!\w)"),
    rule(
        PHONE,
        r"\b(?:tel(?:ephone)?|phone|pager|paged?|fax|ext(?:ension)?|cell|mobile|mob|beeper|bleep(?:ed)?|call(?:ed)?"
        r"|contact|dial|ring|text|whatsapp|hotline|landline|direct line)\b",
        rf"\.?(?: (?:number|no\.?|at|on|us at|him at|her at|me at)\b)?[ \t]?[:#=]?[ \t]?#?(?P<it>(?:x ?"
        rf"|ext\.? ?)?{_DIGITS})(?!\w)",
        rf"{_UNIT}(?! ?(?:am|pm|hrs?|hours?|h)\b)(?!:\d)",
    ),
    rule(PHONE, r"(?<![\w.])x ?\d{4,6}(?![\w.])"),
    rule(PHONE, r"\b(?:ext|extension)\b\.? ?#?(?P<it>\d{3,6})\b"),
    rule(NUMBER, r"(?<![\w.])\d+(?:\.\d{1,40}){5,20}(?!\w)".replace(r"\d+", r"\d{1,40}")),
    rule(NUMBER, r"(?<![\w-])\d{6}-\d{2}-\d{4}(?![\w-])"),
    rule(NUMBER, r"(?<![\w.,])\d{7,40}(?!\w|[.,]\d)"),
)
_CAPITAL = (rule(NUMBER, r"(?<![\w.,-])[A-Z]{1,5}[-#]?(?:\d{2,4}-)?\d{5,14}(?!\w)"),)


def find(text: Text) -> Iterator[Span]:
    """Numbers that a label announces or whose form tells what they are.

    Args:
        text: the report.

    Yields:
        Spans with their kinds.
    """
    yield from find_all(_RULES, text.low)
    yield from find_all(_CAPITAL, text.plain)
