"""Dates, in all elements but the year alone, and ages over 89."""

from collections.abc import Iterator

from .spans import AGE, DATE, Span, Text, find_all, rule

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
_NOT_MAY = r"(?!may)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_NUMBER = r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:19|20)\d\d"
_SHORT = r"(?:'?\d\d(?!\d))"
_TH = r"(?:st|nd|rd|th)?"
_SEPARATOR = r" ?(?P<s>[-/.]) ?"
_AGAIN = r" ?(?P=s) ?"
_BEFORE = r"(?<![\d.,/-])"
_AFTER = r"(?![\d/]|-\d|\.\d)"
_UNIT = (
    r"(?![ -]?(?:[cm]m|c?c|ml|mg|kg|f|fr|french|%|x|weeks?|days?|months?|years?|hours?|h|views?|images?|of|lobes?|ribs?"
    r"|lungs?|quadrants?|vessels?)(?![a-z]))"
)
_CLOCK = (
    r"(?:[01]?\d|2[0-3])[:.][0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?: ?[ap]\.?m\b\.?)?(?: ?(?:hrs?|hours"
    r"|h)\b)?(?: ?z\b| ?[+-]\d\d:?\d\d\b)?"
)
_TIME = rf"(?:(?:t|[,;]? (?:at |@ ?)?|[,;]){_CLOCK}(?!\d| ?[cm]m\b))?"
_WEEKDAY = r"(?:\b(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? (?:the )?)?"
_WORD_DAY = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth"
    r"|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|thirty[ -]first"
    r"|twenty[ -](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))"
)
_CUE = (
    r"\b(?:on|dated?|since|d\.?o\.?b\.?|born|until|till|compared (?:with|to)|comparison|prior|study|exam|film|cxr|ct"
    r"|mri|x-?ray|radiograph|admitted|discharged|from|seen|previous)(?: (?:on|of|from|dated))?[:=]?[ \t]?"
)
_NINE = r"(?:one|two|three|four|five|six|seven|eight|nine)"
_WORD_AGE = rf"(?:ninety(?:[ -]?{_NINE})?|(?:a |one )?hundred(?:(?:[ -]and)?[ -]{_NINE})?)"
_OLD = r"(?P<it>(?<![\w.,/-])0?(?:9\d|1[0-2]\d)(?!\d|/\d|\.\d))"

_DATES = (
    rule(DATE, _WEEKDAY, _BEFORE, rf"{_YEAR}{_SEPARATOR}{_NUMBER}{_AGAIN}{_DAY}{_TIME}(?![\d/]|-\d|\.\d)"),
    rule(
        DATE,
        _WEEKDAY,
        _BEFORE,
        rf"(?:{_NUMBER}{_SEPARATOR}{_DAY}|{_DAY} ?(?P<t>[-/.]) ?{_NUMBER}) ?(?:(?P=s)|(?P=t)) ?",
        rf"(?:{_YEAR}|(?<! )'?\d\d(?!\d){_UNIT}){_TIME}{_AFTER}",
    ),
    rule(DATE, _BEFORE, rf"{_DAY} (?P<s>[-/]) {_DAY} (?P=s) \d\d(?!\d){_UNIT}{_TIME}{_AFTER}"),
    rule(DATE, _BEFORE, rf"(?:{_DAY} {_NUMBER}|{_NUMBER} {_DAY}) {_YEAR}{_TIME}{_AFTER}{_UNIT}"),
    rule(DATE, _BEFORE, rf"{_YEAR} {_NUMBER} {_DAY}{_TIME}{_AFTER}{_UNIT}"),
    # 20210312, 20210312T1045, 20210312104530.123+0100
    rule(
        DATE,
        rf"(?<![\w.]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])",
        r"(?:[t_ -]?(?:[01]\d|2[0-3]):?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?)?(?:z|[+-]\d\d:?\d\d)?(?![\w]|-\d)",
    ),
    rule(
        DATE,
        _WEEKDAY,
        rf"(?<![\w.]){_DAY}{_TH}[ /.-]{{0,2}}(?:of )?{MONTH},?[ /.-]{{0,2}}(?:of )?(?:{_YEAR}|{_SHORT})(?!\d){_TIME}",
    ),
    rule(
        DATE, _WEEKDAY, rf"\b{MONTH}[ /-]?(?:the )?{_DAY}{_TH}(?:,? ?{_YEAR}|,? ?'\d\d|, ?\d\d|[/-]\d\d)(?!\d){_TIME}"
    ),
    rule(DATE, _WEEKDAY, rf"\b{_NOT_MAY}{MONTH}[ -]?(?:the )?{_DAY}{_TH}(?![\w]|\.\d|/|-\d){_UNIT}{_TIME}"),
    rule(DATE, _WEEKDAY, rf"(?<![\w.,/-]){_DAY}{_TH}[ -](?:of )?{_NOT_MAY}{MONTH}(?! fracture){_TIME}"),
    rule(DATE, rf"\b{_DAY}(?:st|nd|rd|th) (?:of )?may\b"),
    rule(DATE, rf"\b{MONTH},?[ /-]{{0,2}}(?:of )?{_YEAR}(?!\d)"),
    rule(DATE, rf"\b{_NOT_MAY}{MONTH}[ -]?'\d\d(?!\d)|\b{MONTH}-\d\d(?![\d-])"),
    rule(DATE, rf"\b{_YEAR}[ ,/-]{{1,2}}{MONTH}(?:[ /-]{_DAY}(?!\d))?"),
    rule(
        DATE, rf"\b{_WORD_DAY} (?:day )?(?:of )?{MONTH}(?:,? {_YEAR})?|\b{MONTH} (?:the )?{_WORD_DAY}\b(?:,? {_YEAR})?"
    ),
    rule(DATE, rf"\b(?:q[1-4]|spring|summer|autumn|fall|winter)(?: of|,)? {_YEAR}(?:/\d\d)?(?!\d)"),
    rule(DATE, _BEFORE, rf"(?:{_NUMBER} ?[/-] ?|0[1-9]\.|1[0-2]\.){_YEAR}(?![\d/]|[.-]\d){_UNIT}"),
    rule(DATE, _BEFORE, rf"{_YEAR}[/.-](?:0[1-9]|1[0-2])(?![\d/]|[.-]\d)"),
    rule(
        DATE,
        _CUE,
        rf"(?P<it>{_NUMBER}[/-]{_DAY}|{_DAY}[/-]{_NUMBER}|{_NUMBER}/\d\d)(?![\d/-]|\.\d)",
        rf"(?! ?(?:of|the|murmur|strength|motor|th)\b){_UNIT}",
    ),
    rule(
        DATE,
        r"\b(?:d\.?o\.?b\.?|date of birth|birth ?date|birthday|born(?: on)?|date)\s?[:=\t ]\s?",
        r"(?P<it>\d{1,4}(?: ?[ /.,-] ?\d{1,4}){1,2}|\d{6,8})(?!\d| ?[cm]m)",
    ),
    rule(DATE, r"\btime[:=]? ?(?:of [a-z]{1,12}[:=]? ?)?(?P<it>", _CLOCK, r"|[0-2]\d[0-5]\d(?!\d))"),
    rule(DATE, r"(?<![\d.:/])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d\b| ?[ap]\.?m\b\.?| ?(?:hrs?|hours)\b)"),
    rule(DATE, rf"(?<![\d.:/])(?P<it>{_CLOCK})(?:,| on)? (?=\d{{1,2}}/\d{{1,2}}/\d|{_YEAR}-\d)"),
)
# Where "May" and "March" have a capital they are months behind these words; small they are a verb and a walk.
_MONTH_ALONE = (
    rule(
        DATE,
        r"\b(?:[Ii]n|[Ss]ince|[Ll]ast|[Dd]uring|[Uu]ntil|[Ee]arly|[Mm]id|[Ll]ate|IN|SINCE)[ -](?P<it>(?!MAR |MAR$)"
        r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
        r"|Nov(?:ember)?|Dec(?:ember)?|JANUARY|FEBRUARY|MARCH|APRIL|MAY|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|NOVEMBER"
        r"|DECEMBER)\b)(?! fracture)",
    ),
    rule(DATE, rf"\b(?:May|MAY) {_DAY}{_TH}\b(?!\.\d|/){_UNIT}"),
    rule(DATE, rf"\b{_DAY}{_TH}[ -](?:of )?May\b"),
)
# Of an age the words round it stay.
_AGES = (
    rule(AGE, _OLD, r"(?=[ -]?(?:years?|yrs?)\.?[ -]?(?:old|of age)\b|[ -]?y[./]{0,2}[ ]?o\b|y(?:rs?)?\b)"),
    rule(
        AGE, r"\bage(?:d|s)?(?: of| is|/sex|\(years\))?[:= \t]{1,3}", _OLD, r"(?![ -]?(?:days?|weeks?|months?|mm|cm))"
    ),
    rule(
        AGE,
        r"(?<!temperature )(?<!temp )(?<!of )(?<!is )",
        _OLD,
        r" ?(?:[mfy]\b|/ ?[mf]\b)",
        r"(?=,? (?:with|who|presents|presenting|c/o|s/p|h/o|admitted)\b|[,.;]|$|\n)",
    ),
    rule(AGE, _OLD, r" ?(?:years?|yrs?|y)?[ -](?:male|female|man|woman|gentleman|lady)\b"),
    rule(
        AGE,
        r"\b(?:patient|pt|he|she|age|woman|man|lady|gentleman) (?:is|was|turned|turns)(?: now| currently)? ",
        _OLD,
        r"(?=[.,;]|$|\n| (?:and|with|years?|who|today|now)\b)",
    ),
    rule(AGE, r"\bturn(?:ed|s|ing) ", _OLD, r"(?=[.,;]|$|\n| (?:and|in|last|this)\b)"),
    rule(AGE, r"\b(?:over|above) (?P<it>9\d) years (?:old|of age)\b"),
    rule(AGE, rf"\b(?P<it>{_WORD_AGE})(?=[ -](?:years?|yrs?)[ -]?(?:old\b|of age\b))"),
    rule(AGE, rf"\b(?:aged?(?: of)?|turned)[: ] ?(?P<it>{_WORD_AGE})\b"),
    rule(AGE, r"\b(?:in )?(?:her|his|their) (?:early |mid |late |mid-)?(?P<it>nineties|(?:90|100)'?s)\b"),
    rule(AGE, r"\b(?P<it>nonagenarian|centenarian)\b"),
)


def find(text: Text) -> Iterator[Span]:
    """Dates with times that stand beside them, and ages over 89.

    Args:
        text: the report.

    Yields:
        Spans with their kinds.
    """
    yield from find_all(_DATES, text.low)
    yield from find_all(_MONTH_ALONE, text.plain)
    yield from find_all(_AGES, text.low)
