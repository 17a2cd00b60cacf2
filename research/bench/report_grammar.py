"""A grammar of reports whose truth is known.

It writes reports from templates of affirmation, denial, doubt, partial improvement and history, with findings, sides
and grades, alone, joined in one sentence, in tables and under section headings. What each template means is written
beside it, so that every report comes with its right values.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ABSENT, POSSIBLE, PRESENT, UNSAID = "absent", "possible", "present", "not present"
GRADES = {
    "mild": ("mild", "small", "minimal", "trace", "slight", "tiny"),
    "moderate": ("moderate", "moderate-sized"),
    "severe": ("large", "severe", "extensive", "massive", "marked"),
}
AMOUNTS = ("small", "trace", "tiny", "moderate-sized", "large", "massive")  # that only fit a fluid
SIDES = {
    "left": ("left", "left-sided", "lt.", "Lt", "L"),
    "right": ("right", "right-sided", "rt.", "Rt", "R"),
    "bilateral": ("bilateral", "b/l", "bilat.", "bil."),
}


@dataclass(frozen=True)
class Value:
    """The right value of a finding; None where any will do."""

    status: str
    severity: str | None = None
    side: str | None = None


@dataclass(frozen=True)
class Example:
    """A report, its domain, the kind of template that wrote it, and finding -> right value."""

    domain: str
    kind: str
    text: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Name:
    """A finding, a word for it, and whether it takes a side and words of amount."""

    finding: str
    word: str
    sided: bool = False
    fluid: bool = False


NAMES = {
    "chest_xray": (
        *(Name("pleural effusion", word, True, True) for word in ("effusion", "pleural effusion", "pleural fluid")),
        *(Name("consolidation", word, True) for word in ("consolidation", "pneumonia", "airspace opacity")),
        *(Name("edema", word) for word in ("edema", "pulmonary edema", "pulmonary oedema", "vascular congestion")),
        *(Name("cardiomegaly", word) for word in ("cardiomegaly", "cardiac enlargement")),
    ),
    "fundus": (
        *(Name("diabetic retinopathy", word) for word in ("diabetic retinopathy", "NPDR", "DR")),
        *(Name("macular edema", word) for word in ("macular edema", "DME", "macular oedema")),
    ),
    "skin": (
        *(Name("melanoma", word) for word in ("melanoma", "malignant melanoma")),
        Name("basal cell carcinoma", "basal cell carcinoma"),
        Name("squamous cell carcinoma", "squamous cell carcinoma"),
    ),
}

# {f}: the finding. {g}, {s}: a grade and a side with a space after each, or nothing. {on}: " on the left" or nothing.
AFFIRMED = (
    "There is {a} {g}{s}{f}.",
    "{g}{s}{f}.",
    "{g}{f}{on}.",
    "{g}{s}{f} is seen.",
    "{g}{s}{f} is present.",
    "{g}{s}{f}, unchanged.",
    "Again noted is {a} {g}{s}{f}.",
    "{g}{s}{f} persists.",
    "Stable {g}{s}{f}.",
    "Findings are consistent with {g}{s}{f}.",
    "Appearances are compatible with {g}{s}{f}.",
    "No change in the {g}{s}{f}.",
    "No significant interval change in {g}{s}{f}.",
    "Without change in the {g}{s}{f}.",
    "No improvement of the {g}{s}{f}.",
    "No doubt about the {g}{s}{f}.",
    "Previously described {g}{s}{f} is unchanged.",
    "{s}{f}: {g0}.",
    "{f}: present.",
    "{f} - {g0}.",
    "{f}: yes.",
    "{f} (+).",
    "[x] {f}",
    "{f} [x]",
    "Positive for {g}{s}{f}.",
    "The {s}{f} has not resolved.",
    "The {s}{f} has worsened.",
    "The {g}{s}{f} has not changed.",
    "Known {g}{s}{f}.",
    "The {s}{f} is {g0}.",
    "{s}{f}, {g0}.",
    "{s}{f} ({g0}).",
    "{g}{s}{f} remains.",
    "Persistent {g}{s}{f}.",
    "Suggestive of {g}{s}{f}.",
    "In keeping with {g}{s}{f}.",
    "Impression: {g}{s}{f}.",
    "Compared to the previous study, the {s}{f} is unchanged.",
    "As compared to the prior exam, there is {a} new {g}{s}{f}.",
    "{g}{s}{f}, previously noted, is again seen.",
    "No appreciable change in {g}{s}{f}.",
    "The {s}{f} shows no improvement.",
    "There has been no change in the {g}{s}{f}.",
    "{f}: {s}{g0}.",
    "{f} = 1",
    "{f} present{on}.",
    "There is evidence of {g}{s}{f}.",
    "{g}{s}{f} identified.",
    "The {s}{f} has increased and is now {g0}.",
    "{s}{f} increased from mild to {g0}.",
    "{g}{f} seen{on}.",
    "Dr Adams notes {g}{s}{f}.",
    "New {g}{s}{f}.",
    "Not only {g}{s}{f} is present.",
)
DENIED = (
    "No {f}.",
    "There is no {f}.",
    "No evidence of {f}.",
    "No e/o {f}.",
    "No definite {f} is seen.",
    "No radiographic signs of {f}.",
    "Negative for {f}.",
    "Neg for {f}.",
    "Without {f}.",
    "W/o {f}.",
    "Nil {f}.",
    "0 {f}",
    "Zero {f}.",
    "Free of {f}.",
    "Absence of {f}.",
    "Lack of {f}.",
    "{f} is absent.",
    "{f} is not seen.",
    "{f} not seen today.",
    "{f} is not present.",
    "{f} not demonstrated.",
    "{f} was ruled out.",
    "{f} has been excluded.",
    "{f} can be excluded.",
    "{f} has resolved.",
    "{f} has completely resolved.",
    "{f} has cleared.",
    "{f} is no longer seen.",
    "{f} is no longer present.",
    "Complete resolution of {f}.",
    "Interval resolution of {f}.",
    "Resolved {f}.",
    "{f}: none.",
    "{f}: no.",
    "{f}: absent.",
    "{f}: negative.",
    "{f}: nil",
    "{f}: N",
    "{f}: not present.",
    "{f}: not seen.",
    "{f} - none",
    "{f} - absent.",
    "{f} (-).",
    "{f} = 0",
    "{f}: 0",
    "{f} -ve.",
    "[ ] {f}",
    "{f} [ ]",
    "| {f} | none |",
    "Nothing to suggest {f}.",
    "No features to suggest {f}.",
    "Fails to show {f}.",
    "I see no {f}.",
    "No {s}{f} is identified.",
    "Never any {f}.",
    "{f} is unlikely.",
    "No sign of any {f}.",
    "No residual {f}.",
    "No obvious {f}.",
    "No significant {f}.",
    "No new {f}.",
    "No recurrent {f}.",
    "There are no signs of {f}.",
    "{f} is not evident.",
    "{f} is not identified{on}.",
    "{f} not appreciated.",
    "{f}: not identified",
    "{f}: resolved.",
    "{f} (absent).",
    "{f} (none)",
    "{f}: false",
    "{f} - no",
    "{f} is not a feature.",
    "Previously seen {f} is no longer seen.",
    "Previously noted {s}{f} has resolved.",
    "The {f} seen on the prior study has resolved.",
    "Unlikely {f}.",
    "{f} is improbable.",
    "Findings do not suggest {f}.",
    "Findings are not consistent with {f}.",
    "No convincing evidence of {f}.",
    "Devoid of {f}.",
    "{f} has disappeared.",
    "Inconsistent with {f}.",
    "Argues against {f}.",
    "Low suspicion for {f}.",
    "{f}: [ ] yes [x] no",
    "{f} - not seen",
    "{f}? No.",
)
DOUBTED = (
    "Possible {g}{s}{f}.",
    "Probable {g}{s}{f}.",
    "Likely {g}{s}{f}.",
    "Questionable {g}{s}{f}.",
    "Suspected {g}{s}{f}.",
    "?{s}{f}",
    "{s}{f}?",
    "Cannot exclude {g}{s}{f}.",
    "Cannot rule out {a} {g}{s}{f}.",
    "We can't exclude {g}{s}{f}.",
    "Difficult to exclude {g}{s}{f}.",
    "{g}{s}{f} cannot be excluded.",
    "{g}{s}{f} cannot be ruled out.",
    "{g}{s}{f} is not excluded.",
    "{g}{s}{f} has not been ruled out.",
    "{g}{s}{f} is suspected.",
    "{g}{s}{f} is possible.",
    "This may represent {g}{s}{f}.",
    "This could be {g}{s}{f}.",
    "Could represent {g}{s}{f}.",
    "Suspicious for {g}{s}{f}.",
    "Concerning for {g}{s}{f}.",
    "There may be {g}{s}{f}.",
    "Differential includes {s}{f}.",
    "{s}{f} versus artefact.",
    "{s}{f} vs. artefact.",
    "Equivocal {s}{f}.",
    "Perhaps {g}{s}{f}.",
    "{s}{f} is neither confirmed nor excluded.",
    "{s}{f} should be considered.",
    "Not excluded: {g}{s}{f}.",
    "{f}: possible.",
    "{f}: cannot be excluded.",
    "{g}{s}{f}, if any.",
    "Unable to exclude {g}{s}{f}.",
    "Impossible to exclude {s}{f}.",
    "Raises the possibility of {s}{f}.",
    "Thought to represent {g}{s}{f}.",
    "Presumably {g}{s}{f}.",
    "There might be {a} {g}{s}{f}.",
    "{s}{f} cannot be entirely excluded.",
    "Consider {s}{f}.",
    "Question of {s}{f}.",
    "{s}{f} is in the differential.",
    "Findings favor {g}{s}{f}.",
    "{s}{f} is likely.",
    "{f} (?)",
    "Suspicion of {g}{s}{f}.",
    "{s}{f} or artefact.",
    "Either {f} or artefact.",
    "{s}{f} suspected.",
    "Does not exclude {s}{f}.",
    "Not certain about {s}{f}.",
)
IMPROVED = (
    "The {s}{f} has partially resolved.",
    "The {s}{f} has nearly resolved.",
    "The {s}{f} has largely resolved.",
    "Partly resolved {s}{f}.",
    "Partial resolution of the {s}{f}.",
    "Incomplete resolution of the {s}{f}.",
    "Near-complete resolution of the {s}{f}.",
    "Not fully resolved {s}{f}.",
    "Improving but persistent {g}{s}{f}.",
    "Residual {g}{s}{f}.",
    "Decreasing {s}{f}.",
    "The {s}{f} is smaller than before.",
    "The {s}{f} has improved and is now {g0}.",
    "{s}{f} has decreased from severe to {g0}.",
    "No further growth of the {s}{f}.",
    "No further progression of the {s}{f}.",
    "{g}{s}{f}, improved.",
    "The {s}{f} is clearing.",
    "The {s}{f} is resolving.",
    "The {s}{f} has not fully cleared.",
    "The {s}{f} has almost gone.",
    "Slow resolution of the {s}{f}.",
    "There is residual {g}{s}{f}.",
    "The {s}{f} has improved but persists.",
    "The {s}{f} has improved but not resolved.",
    "No further increase in {s}{f}.",
    "Interval improvement in {s}{f}.",
    "Substantially resolved {s}{f}.",
    "{s}{f}, previously severe, is now {g0}.",
)
UNCOUNTED = (
    "Rule out {f}.",
    "R/o {f}.",
    "Evaluate for {f}.",
    "History of {f}.",
    "Family history of {f}.",
    "Mother had {f}.",
    "His brother has {f}.",
    "Risk of {f}.",
    "Screening for {f}.",
    "Status post treatment of {f}.",
    "Prior {f}.",
    "There was {f} on the previous study.",
    "{f}: N/A.",
    "{f}: not assessed.",
    "Changes mimicking {f}.",
    "If {f} develops, repeat the study.",
    "Father with {f}.",
    "{f} in his sister.",
    "Referred for {f}.",
    "To exclude {f}.",
    "A change simulating {f}.",
    "{f}-like change.",
    "On the prior study there was {f}.",
    "The previous study showed {f}.",
    "{f} two years ago.",
    "Low risk of {f}.",
    "{f} screening.",
    "Worried about {f}.",
    "{f}: not evaluated.",
)
BESIDE = (  # a denied and an affirmed finding in one sentence
    "No {n} but {g}{s}{f}.",
    "No {n}, but there is {a} {g}{s}{f}.",
    "No {n}. {g}{s}{f}.",
    "No {n}; {g}{s}{f}.",
    "No {n}, only {g}{s}{f}.",
    "No {n}, {f} has worsened.",
    "No {n}, {f} again noted.",
    "No {n}, however {g}{s}{f}.",
    "Negative for {n}, positive for {g}{s}{f}.",
    "No {n} plus {g}{s}{f}.",
    "{n} is absent, {f} is present.",
    "{g}{s}{f} without {n}.",
    "{g}{s}{f}, no {n}.",
    "{g}{s}{f} and no {n}.",
    "{g}{s}{f} with no evidence of {n}.",
    "There is {g}{s}{f}, and {n} is not seen.",
    "{n}: no. {f}: {g0}.",
    "{n} - none. {f} - {g0}.",
    "{n} (-), {f} (+).",
    "[ ] {n} [x] {f}",
    "1. No {n}. 2. {g}{s}{f}.",
    "1.No {n}.2.{g}{s}{f}.",
    "Although there is no {n}, {g}{s}{f} is seen.",
    "No {n} is seen while {f} persists.",
    "{g}{s}{f} rather than {n}.",
    "No {n}, interval increase in the {s}{f}.",
    "{n} has resolved, {f} remains.",
    "No {n} and there is {g}{s}{f}.",
)
TWO_DENIED = (
    "No {n} or {f}.",
    "No {n}, fracture or {f}.",
    "No {n}, {f} or fracture.",
    "Neither {n} nor {f}.",
    "Without {n} or {f}.",
    "No evidence of {n} or {f} is seen.",
    "No {n}, no {f}.",
    "No {n} and no {f}.",
    "Negative for {n} and {f}.",
    "No {n} and/or {f}.",
    "{n} and {f} are absent.",
    "{n} or {f} is not seen.",
    "{n}: none. {f}: none.",
    "No {n}/{f}.",
)
TWO_SIDES = (  # {p} and {q}: the grades of the right and the left
    ("{p} right and {q} left {f}s.", True),
    ("{f}s are {p} on the right and {q} on the left.", True),
    ("The right {f} is {p} and the left is {q}.", True),
    ("{p} right {f}, {q} left {f}.", True),
    ("{p} {f} on the right and {q} on the left.", True),
    ("No right {f}, {q} left {f}.", False),
    ("No {f} on the right, {q} on the left.", False),
    ("{f} absent on the right, {q} on the left.", False),
    ("No right {f}. A {q} one is present on the left.", False),
    ("Right {f} has resolved, {q} left {f} remains.", False),
)
ASIDE = (
    "INDICATION: {n}.\nFINDINGS: ",
    "Indication: {n}. Findings: ",
    "REASON FOR EXAM: {n}\nFINDINGS: ",
    "Reason: r/o {n}. Findings: ",
    "CLINICAL HISTORY: {n}.\nREPORT: ",
    "Clinical information: {n}.\nImpression: ",
    "CLINICAL DATA: {n}.\nFINDINGS: ",
    "Hx: {n}\nFindings: ",
    "PMH: {n}.\nFINDINGS: ",
    "COMPARISON: 2019, {n}.\nFINDINGS: ",
    "Previous report: {n}.\nFindings: ",
    "PRIOR: Large {n}.\nFINDINGS: ",
    "Clinical question: {n}?\nFindings: ",
    "Clinical indication - {n}.\nFindings - ",
    "INDICATION\n{n}\nFINDINGS\n",
    "Admitting diagnosis: {n}.\nFindings: ",
    "REFERRAL DIAGNOSIS: {n}.\nCONCLUSION: ",
)


_JOINED = ("beside", "two denied", "two sides", "aside", "report")


def generate(count: int, seed: int) -> Iterator[Example]:
    """Reports with their right values.

    Args:
        count: how many.
        seed: of the choice of templates and words.

    Yields:
        ``count`` examples.
    """
    rng = random.Random(seed)
    statements = {
        "affirmed": (AFFIRMED, PRESENT),
        "denied": (DENIED, ABSENT),
        "doubted": (DOUBTED, POSSIBLE),
        "improved": (IMPROVED, PRESENT),
        "uncounted": (UNCOUNTED, UNSAID),
    }
    for _ in range(count):
        domain = rng.choices(tuple(NAMES), (6, 2, 2))[0]
        kind = rng.choices((*statements, *_JOINED), (3, 4, 3, 2, 1, 4, 1, 1, 2, 4))[0]
        name = rng.choice(NAMES[domain])
        other = rng.choice([n for n in NAMES[domain] if n.finding != name.finding])
        if kind in statements:
            templates, status = statements[kind]
            text, value = _fill(rng, rng.choice(templates), name, other, status)
            values = {name.finding: value}
        elif kind == "beside":
            text, value = _fill(rng, rng.choice(BESIDE), name, other, PRESENT)
            values = {name.finding: value, other.finding: Value(UNSAID if "rather" in text else ABSENT)}
        elif kind == "two denied":
            text, value = _fill(rng, rng.choice(TWO_DENIED), name, other, ABSENT)
            values = {name.finding: value, other.finding: value}
        elif kind == "two sides":
            domain, name = "chest_xray", rng.choice([n for n in NAMES["chest_xray"] if n.word.endswith("effusion")])
            text, values = _two_sides(rng, name)
        elif kind == "report":
            text, values = _report(rng, domain, tuple(statements.values()))
        else:
            status = rng.choice((PRESENT, ABSENT, POSSIBLE))
            template = rng.choice({PRESENT: AFFIRMED, ABSENT: DENIED, POSSIBLE: DOUBTED}[status])
            text, value = _fill(rng, template, name, other, status)
            text = rng.choice(ASIDE).format(n=other.word) + text
            values = {name.finding: value, other.finding: Value(UNSAID)}
        if (
            kind not in ("aside", "two sides", "report")
            and rng.random() < 0.1
            and "Rt" not in text
            and "Lt" not in text
        ):
            text = text.upper()
        yield Example(domain, kind, text, values)


def _fill(rng: random.Random, template: str, name: Name, other: Name, status: str) -> tuple[str, Value]:
    """A template with its words, and what it then says of the finding."""
    severity = rng.choice((*GRADES, "")) if "{g" in template else ""
    if not severity and "{g0}" in template:
        severity = "moderate"
    fits = [w for w in GRADES.get(severity, ()) if name.fluid or w not in AMOUNTS]
    grade = rng.choice(fits) if severity else ""
    side = rng.choice((*SIDES, "")) if name.sided and ("{s}" in template or "{on}" in template) else ""
    where = rng.choice(SIDES[side]) if side else ""
    on = "" if not side else " on both sides" if side == "bilateral" else f" on the {side}"
    text = template.format(
        a="an" if (f"{grade} {where}".strip() or name.word)[0] in "aeiou" else "a",
        g=f"{grade} " if grade else "",
        g0=grade,
        s=f"{where} " if where else "",
        f=name.word,
        n=other.word,
        on=on,
    )
    text = text[0].upper() + text[1:]
    return text, Value(status, severity, side) if status in (PRESENT, POSSIBLE) else Value(status)


def _report(
    rng: random.Random, domain: str, statements: tuple[tuple[tuple[str, ...], str], ...]
) -> tuple[str, dict[str, Value]]:
    """A sentence on each of two to four findings, and what they say."""
    findings = list(dict.fromkeys(name.finding for name in NAMES[domain]))
    texts, values = [], {}
    for finding in rng.sample(findings, rng.randint(2, min(4, len(findings)))):
        name = rng.choice([n for n in NAMES[domain] if n.finding == finding])
        templates, status = rng.choice(statements)
        text, values[finding] = _fill(rng, rng.choice(templates), name, name, status)
        texts.append(text if text[-1] in ".?" else f"{text}.")
    return rng.choice((" ", "\n")).join(texts), values


def _two_sides(rng: random.Random, name: Name) -> tuple[str, dict[str, Value]]:
    template, both = rng.choice(TWO_SIDES)
    order = tuple(GRADES)
    right, left = rng.choice(order), rng.choice(order)
    text = template.format(f=name.word, p=rng.choice(GRADES[right]), q=rng.choice(GRADES[left]))
    worse = max(right, left, key=order.index) if both else left
    text = text[0].upper() + text[1:]
    return text, {name.finding: Value(PRESENT, worse, "bilateral" if both else "left")}
