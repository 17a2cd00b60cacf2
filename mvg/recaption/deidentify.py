"""Identifiers out of a report, by rules: what a person could be told by is replaced by its kind in brackets.

The kinds are those of the HIPAA safe harbour that turn up in reports: names, dates, numbers, contacts, addresses and
ages over 89. A name is known by what stands before or after it (a title, "Patient:", "dictated by", "MD"), and then
wherever it comes again; a name that nothing announces stays. So do years alone, places and hospitals.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

NAME, DATE, NUMBER, PHONE = "name", "date", "record number", "phone number"
EMAIL, WEB, ADDRESS, AGE, SSN = "e-mail address", "web address", "address", "age over 89", "social security number"
KINDS = (NAME, DATE, NUMBER, PHONE, EMAIL, WEB, ADDRESS, AGE, SSN)

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NUMBER = r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:19|20)\d\d"
_TH = r"(?:st|nd|rd|th)?"
_DAY_MONTH = rf"(?<![\d.,/-])(?:{_MONTH_NUMBER}(?P<s>[-/.]){_DAY}(?P=s)|{_DAY}(?P<t>[-/.]){_MONTH_NUMBER}(?P=t))"
_UNIT = r"(?![ -]?(?:[cm]m|c?c|ml|mg|kg|f|fr|french|%|x|weeks?|days?|months?|years?|hours?|h|views?|images?|of)\b)"
# What stands between "MRN" and the like and its number, and the number: at least so many digits, letters among them.
_CUE = r"\.?(?: ?(?:number|no\b\.?|num\b\.?|nr\b\.?|id(?:entifier)?\b|#)){0,2}\s?(?:is |[:#=.]{1,2}\s?)?"
_TOKEN = r"(?=(?:[A-Z/.-]{{0,8}}\d){{{}}})[A-Z\d](?:[A-Z\d]|[-/.](?=[A-Z\d])){{2,24}}\b"
_TIME = r"(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?)?"

_OVER_89 = r"(?P<it>\b(?:9\d|1[0-2]\d))"
_ZIP = r"(?:[A-Z]{2},? \d{5}(?:-\d{4})?\b|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b)"
_CITY = r"[A-Z][A-Za-z.'-]{1,24}"


def _of(kind: str, *parts: str, case: bool = False) -> tuple[str, re.Pattern[str]]:
    return kind, re.compile("".join(parts), 0 if case else re.IGNORECASE)


# In the order they are looked for. Of a pattern with a group "it" only that group is taken out.
_PLAIN = (
    _of(EMAIL, r"\b[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"),
    _of(WEB, r"\b(?:https?://|www\.)[^\s<>\"')]{1,500}"),
    _of(SSN, r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    _of(
        SSN,
        r"(?:\bssn|social security(?: (?:number|no\.?|#))?)\s?[:#]?\s?",
        r"(?P<it>[\dX]{3}[- ]?[\dX]{2}[- ]?\d{4})\b",
    ),
    _of(DATE, rf"(?<![\d.,/-]){_YEAR}(?P<s>[-/.]){_MONTH_NUMBER}(?P=s){_DAY}{_TIME}(?![\d/-]|\.\d)"),
    _of(DATE, rf"{_DAY_MONTH}{_YEAR}{_TIME}(?![\d/-]|\.\d)"),
    _of(DATE, rf"{_DAY_MONTH}\d\d(?![\d/-]|\.\d){_UNIT}"),
    _of(DATE, rf"\b{_DAY}{_TH}[ -]?(?:of )?{_MONTH},?[ -]?(?:{_YEAR}|'?\d\d(?!\d))\b"),
    _of(DATE, rf"\b{_MONTH} ?{_DAY}{_TH}(?:,? ?{_YEAR}|, ?'?\d\d)\b"),
    _of(DATE, rf"\b(?!may\b){_MONTH} ?{_DAY}{_TH}\b(?!\.\d|/){_UNIT}"),
    _of(DATE, rf"\b{_DAY}{_TH}[ -](?:of )?(?!may\b){_MONTH}"),
    _of(DATE, rf"\b(?!may\b){_MONTH},? ?{_YEAR}\b"),
    # "may" in small letters is a verb where no year follows a day
    _of(DATE, rf"\b(?:May|MAY) {_DAY}{_TH}\b(?!\.\d|/){_UNIT}", case=True),
    _of(DATE, rf"\b{_DAY}{_TH}[ -](?:of )?May\b", case=True),
    _of(DATE, rf"\b(?:May|MAY),? {_YEAR}\b", case=True),
    _of(DATE, rf"\b{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b"),
    _of(
        DATE,
        r"\b(?:on|dated?|since|dob|born|until|compared (?:with|to)|comparison|prior|study|exam|film|cxr):? ?",
        rf"(?P<it>{_MONTH_NUMBER}/{_DAY}|{_DAY}/{_MONTH_NUMBER})(?![\d/]|\.\d)",
        rf"(?! ?(?:of|the|murmur|strength|motor|th)\b){_UNIT}",
    ),
    _of(NUMBER, r"\bnhs\b", _CUE, r"(?P<it>\d{3} \d{3} \d{4})\b"),
    _of(
        NUMBER,
        r"\b(?:mrn|mr(?= ?(?:#|no\b|number))|medical record|accession|acc(?= ?[#:])|acct|account|nhs|hicn",
        r"|(?:patient|pat|pt|hospital|study|case|exam|member|unit|record|visit|chart) ?(?:id|no\b|number|#))\b",
        rf"{_CUE}(?P<it>{_TOKEN.format(3)})",
    ),
    _of(
        NUMBER,
        r"\b(?:record|case|study|exam|order|hospital|chart|encounter|visit|specimen|policy|insurance|member",
        r"|health plan|licen[cs]e|registration|id|identification|identifier|episode|requisition|req|patient|pat|pt)\b",
        rf"(?=\.? ?(?:[:#=]|n(?:o|r|um(?:ber)?)\b|id)){_CUE}(?P<it>{_TOKEN.format(4)})",
    ),
    _of(PHONE, r"(?<![\w.+-])\+\d(?:[ .()/-]{0,2}\d){7,14}(?!\w)"),
    _of(
        PHONE,
        r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?(?![\w-])",
    ),
    _of(PHONE, r"(?<![\w.-])0\d{2,4}[ -]\d{3,4}[ -]\d{3,4}(?![\w-])"),
    _of(
        PHONE,
        r"\b(?:tel(?:ephone)?|phone|pager|paged?|fax|ext(?:ension)?|cell|mobile|beeper|bleep|call(?:ed)?|contact)\b",
        r"\.?(?: (?:number|no\.?|at|on))?\s?[:#]?\s?(?P<it>\(?\d(?:[ .()-]{0,2}\d){3,14})(?!\w)",
        rf"{_UNIT}(?! ?(?:am|pm)\b)(?!:\d)",
    ),
    _of(NUMBER, r"(?<![\w.])\d+(?:\.\d+){5,20}(?!\w)"),
    _of(NUMBER, r"(?<![\w.,-])[A-Z]{1,5}-?(?:\d{2,4}-)?\d{5,14}(?!\w)", case=True),
    _of(NUMBER, r"(?<![\w.,])\d{7,20}(?!\w|[.,]\d)"),
    _of(
        ADDRESS,
        r"\b(?:home |postal |mailing )?address(?:es)?[:=][ \t]*",
        r"(?P<it>[^\s;\[][^\n;]{3,120}?)(?=\.?\s*(?:$|\n|;|\.\s))",
    ),
    _of(
        ADDRESS,
        r"(?<![\w.,-])\d{1,5}[A-Za-z]?,? (?:[NSEW]\.? |North |South |East |West )?(?:[A-Z\d][\w.'’-]{0,24} ){1,3}",
        r"(?:Street|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Terrace|Circle|Highway|Hwy|Parkway|Pkwy",
        r"|Square|Place(?=,)|Way(?=,)|Ct(?=[.,])|St|STREET|AVENUE|AVE|ROAD|RD|BOULEVARD|BLVD|LANE|LN|DRIVE|ST",
        r"|TERRACE)\b\.?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|No|APT|SUITE)\.? ?#?[\w-]{1,6})?",
        rf"(?:(?:,? {_CITY}){{0,3}},? {_ZIP})?",
        case=True,
    ),
    _of(ADDRESS, r"(?<![\w.,-])\d{1,5} (?:[a-z]+ ){1,2}(?:street|avenue|boulevard|road)\b"),
    _of(ADDRESS, r"\bP\.? ?O\.? Box \d{1,7}\b"),
    _of(ADDRESS, rf"\b{_CITY}(?: {_CITY}){{0,2}}, [A-Z]{{2}},? \d{{5}}(?:-\d{{4}})?\b", case=True),
    _of(ADDRESS, r"\b(?:zip|postal|post)[ -]?code:? ?(?P<it>[A-Z\d]{2,5}[ -]?[A-Z\d]{3,5})\b"),
    # the words around the number stay
    _of(AGE, _OVER_89, r"(?=[ -]?(?:years?|yrs?)\.?[ -](?:old|of age)\b|[ -]?y[./]?[ ]?o\b)"),
    _of(AGE, r"\b(?:aged?|age of)[: ]{1,2}", _OVER_89, r"\b(?!\.\d|[ -]?(?:days?|weeks?|months?))"),
    _of(
        AGE,
        r"(?<!temperature )(?<!temp )(?<!of )(?<!is )",
        _OVER_89,
        r" ?[MFy]\b(?=,? (?:with|who|presents|presenting|c/o|s/p|h/o|admitted)\b)",
    ),
    _of(AGE, _OVER_89, r" ?(?:years?|yrs?|y)?[ -](?:male|female|man|woman|gentleman|lady)\b"),
    _of(
        AGE,
        r"\b(?P<it>ninety(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?",
        r"|(?:a |one )?hundred(?:[ -]and[ -]\w+)?)(?=[ -]years?[ -]old\b|[ -]years? of age\b)",
    ),
)

# Words that follow a title or a name and are none: verbs, words of reports, abbreviations that look like titles.
_NOT_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        a abnormal about above accession acute address admission admitted advised after age aged agreed
        agrees alive all also an and angiogram angiography angle appears approved are as ascending ask
        asked assessment asthma at attending base be because been before being below bilateral biopsy
        birth born both brain breast but by call called came can cancer cardiac care case changes chest
        clear clinic clinical comments common communicated comparison complaining complains complaint
        condition confirmed consistent consultant contrast cough could date dated day days deceased
        demonstrated demonstrates denied denies department dept details developed diabetes diabetic
        diagnosed diagnosis did died discharged discussed disease dob doctor does doing dr due during
        echo edema effusion elevated emergency enlarged enterography evaluation exam examination
        examined fall fax features fell female fever final finding findings follow followed for from
        frontal fundus gave general given grade had has have he head healthy heart her here high him his
        history hospital hours identified image images imaging impression in indicates indication
        indications initial interpretation interval into intubated inverted is it its large lateral left
        lesion likely lives living location lumbar lung lungs lying macular made male man marked may
        medical mild miss moderate moved movement mr mri mrn mrs ms mx name neck negative new nil no non
        none normal not notable note noted notes notified now nurse obtained of old on or order ordered
        other out outpatient over pain patient patients performed phone physician position positioned
        positioning positive possible post pre present presented presenting presents previous prior
        procedure prof professor progressive proliferative pt pulmonary radiograph radiologist radiology
        read recall received recently recommendation recommended recommends record reference referral
        referred referring regarding related remains report reported reports request requested requests
        resident result results retinopathy returned reviewed right rotated rotation said saw says scan
        scans screening seen semi sent sequence sequences service severe sex she should showed shows
        signed since slightly smoker spectroscopy spine stable staging stated states status stenosis
        still stroke studies study suffered supine suspected symptoms taken team technique tel telephone
        that the their then there these they this thoracic thorax time to today tolerated tomorrow
        transferred treated treatment ultrasound unable unchanged under underwent unit unknown until
        upper upright urogram venogram verbal via view views visit ward was we wears well were when
        where which while who will with without woman women worsening would xxxx year years yes
        yesterday yo your
        """,
    )
)
_MEDICAL = re.compile(r"(?:ology|itis|osis|a?emia|pathy|ectomy|surgery|medicine|thorax|edema|tension)$", re.IGNORECASE)
_PARTICLE = r"(?:van|von|de|del|der|den|di|da|la|le|el|al|bin|ibn|ben|dos|du|ter|st)"
_WORD = r"[^\W\d_](?:[^\W\d_]|['’-](?=[^\W\d_]))*"
_CAPITAL = r"[^\W\d_a-z](?:[^\W\d_]|['’-](?=[^\W\d_]))*"
_GAP = r"(?:\.?[ \t]{1,2}|\.(?=\w))"
_RUN = re.compile(rf"{_WORD}(?:(?:{_GAP}|,[ \t]?){_WORD}){{0,5}}")
_TITLE = r"(?:Mr|Mrs|Ms|Mx|Miss|Dr|Doctor|Prof|Professor|Sir|Herr|Frau|Nurse|Mister|Madam|Rev|Capt|Sgt)"
_TITLED = re.compile(
    rf"\b(?P<title>{_TITLE}|{_TITLE.upper()}|(?:mr|mrs|ms|dr|prof|doctor)(?=\.|\s))"
    r"(?:\.|\b)(?:[ \t]?(?:Dr|Prof|med|DR|PROF)\.)*"
    rf"[ \t]{{0,2}}(?=[^\W\d_])"
)
_LABEL = re.compile(
    r"\b(?:(?P<person>(?:patient(?:'s)?|pt\.?|subject)(?:[ _]name)?|(?:(?:full|first|last|middle|family|given)[ _])?"
    r"(?:sur)?name)|attending|radiologist|(?:(?:referring|requesting|ordering|attending|primary|reading|family) ?)?"
    r"(?:physician|provider|doctor|clinician|md|surgeon)|resident|fellow|technologist|technician|consultant|gp"
    r"|next of kin|nok|emergency contact|mother|father|wife|husband|spouse|son|daughter|guardian|author|cc)"
    r"(?:[ \t]?[:=][ \t]*(?:\n[ \t]*(?=[^\W\d_]+,? [^\W\d_]+[ \t]*(?:\n|$)))?|[ \t]-[ \t])(?=[^\W\d_])",
    re.IGNORECASE,
)
_BY = re.compile(
    r"\b(?:dictated|signed|reported|reviewed|verified|approved|transcribed|interpreted|read|referred|ordered|requested"
    r"|authori[sz]ed|finali[sz]ed|authenticated|performed|seen|examined|assessed|electronically|validated|prepared)"
    r"(?: and \w{4,14})? by:?[ \t]*(?=[^\W\d_])"
    r"|\b(?:discussed|reviewed|communicated|spoke|conveyed|reported|relayed|shared|called|telephoned)"
    r"(?: (?:with|to|directly|by|phone|telephone|results|these|the|findings|were|was|verbally)){1,5}[ \t]+(?=[^\W\d_])"
    r"|\b(?:[Pp]atient|[Nn]amed|[Nn]ame is|[Kk]nown as)[ \t]+(?=[^\W\d_])",
    re.I,
)
_DEGREE = re.compile(
    rf"(?P<it>\b(?:[A-Z][^\W\d_]*[.'’-]?[^\W\d_]*\.?[ \t]){{1,3}}(?:{_PARTICLE}[ \t]){{0,2}}{_CAPITAL}),?[ \t]?"
    r"(?=(?:M\.?D\.?|D\.?O\.?|Ph\.?D\.?|R\.?N\.?|FRCR|MBBS|MBChB|FACR|DNP|PA-C|CRNP|RT\(R\))(?![\w]))"
)


def deidentify(text: str) -> tuple[str, list[tuple[str, int]]]:
    """Replaces the identifiers of a text by "[kind]".

    Measurements, spans of time, levels of the spine, stages and ages to 89 stay as they are. Rules miss what nothing
    announces: see the module.

    Args:
        text: a report.

    Returns:
        The text without identifiers, and (kind, count) of those there were, in the order of KINDS.

    Raises:
        ValueError: it is no text.
    """
    if not isinstance(text, str):
        raise ValueError(f"text: got {type(text).__name__}, want text")
    counts: Counter[str] = Counter()
    text = _each(text, _names(text), NAME, counts)
    for kind, pattern in _PLAIN:
        text = _each(text, _spans(pattern, text), kind, counts)
    return text, [(kind, counts[kind]) for kind in KINDS if counts[kind]]


def describe(removed: list[tuple[str, int]]) -> str:
    """What was removed in words, kinds and counts alone.

    Args:
        removed: of `deidentify`.

    Returns:
        A phrase such as "2 names, 1 date".
    """
    return ", ".join(f"{n} {_plural(kind) if n > 1 else kind}" for kind, n in removed)


def _plural(kind: str) -> str:
    if kind == AGE:
        return "ages over 89"
    return kind + ("es" if kind.endswith("s") else "s")


def _each(text: str, spans: list[tuple[int, int]], kind: str, counts: Counter[str]) -> str:
    out, at = [], 0
    for start, end in spans:
        out += [text[at:start], f"[{kind}]"]
        at = end
        counts[kind] += 1
    return "".join([*out, text[at:]])


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    group: int | str = "it" if "it" in pattern.groupindex else 0
    return [m.span(group) for m in pattern.finditer(text)]


def _names(text: str) -> list[tuple[int, int]]:
    """Where names stand, in order, none over another: the announced ones, then each of their words that comes again."""
    found = list(_announced(text))
    known = {word for start, end in found for word in re.findall(_WORD, text[start:end])}
    again = {w for w in known if len(w) > 3 and w[0].isupper() and w.lower() not in _NOT_NAMES}
    again |= {w.upper() for w in again} | {w.capitalize() for w in again}
    found += [m.span() for m in re.finditer(_WORD, text) if re.sub(r"['’]s$", "", m[0]) in again]
    out: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda s: (s[0], -s[1])):
        if not out or start >= out[-1][1]:
            out.append((start, end))
    return out


def _announced(text: str) -> Iterator[tuple[int, int]]:
    takes: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], int]], ...] = (
        (_TITLED, lambda m: _name_after(text, m.end(), title=m["title"], stop=m[0].rstrip().endswith("."), small=True)),
        (_LABEL, lambda m: _name_after(text, m.end(), small=bool(m["person"]), comma=True)),
        (_BY, lambda m: _name_after(text, m.end(), comma=m[0].lower().startswith("patient"))),
    )
    for pattern, end_of in takes:
        for match in pattern.finditer(text):
            if (end := end_of(match)) > match.end():
                yield match.end(), end
    for match in _DEGREE.finditer(text):
        if not any(_is_no_name(w) and w not in ("Will", "May") for w in re.findall(_WORD, match["it"])):
            yield match.span("it")


def _is_no_name(word: str) -> bool:
    return word.lower() in _NOT_NAMES or _MEDICAL.search(word) is not None


def _name_after(
    text: str, start: int, *, title: str = "", stop: bool = False, small: bool = False, comma: bool = False
) -> int:
    """Where the name that begins at ``start`` ends; ``start`` where none does.

    stop: a full stop ends the title. small: it may be in small letters. comma: it may be "Smith, John".
    """
    run = _RUN.match(text, start)
    if not run:
        return start
    # "MR" and "DR" without a stop are also magnetic resonance and diabetic retinopathy
    unsure = title in ("MR", "DR", "MS") and not stop
    end, taken, lower = start, 0, 0
    for word in re.finditer(_WORD, run[0]):
        said, before = word[0], run[0][: word.start()].rstrip()
        given = (
            said in ("Will", "May") or (small and said in ("WILL", "MAY")) or text[start + word.start() :][1:2] == "."
        )
        if (_is_no_name(said) and not given) or taken == 5:
            break
        if before.endswith(",") and (taken > 2 or not comma or not said[0].isupper()):
            break  # "Smith, John" only where a label says that it is a name
        if before.endswith(".") and len(re.findall(_WORD, before)[-1]) > 2:
            break  # a sentence ends, and not an initial
        if re.fullmatch(_PARTICLE, said, re.I) and not unsure:
            continue  # of the name where more of it follows
        if said[0].isupper():
            if lower:
                break
        else:
            # in small letters only where a title or a label announces it, and two words at most
            if unsure or not small or lower == 2 or taken > lower:
                break
            if taken and title and re.search(r"(?:ed|ing|tion|went|es)$", said):
                break
            lower += 1
        taken += 1
        end = start + word.end()
    return end
