"""The progression plan as a text to edit: lines that a person reads, and the same plan back or an error with its line.

    domain: chest_xray
    finding: pleural effusion
    side: left
    region: left lung base
    start: frontal chest x-ray, no finding
    grade: 0  frontal chest x-ray, no finding
    grade: 0.85  frontal chest x-ray, severe left pleural effusion

    1. 0.4  frontal chest x-ray, mild left pleural effusion
    2. 0.9  frontal chest x-ray, severe left pleural effusion
       gamma: 0.6

Grades, where there are some, are the prompts between which a stage is drawn by its severity. A stage is its number,
its severity and its prompt; lines under it are its own. What is pasted in place of a plan may be a report, so no error
quotes a prompt or a line that is none of these.
"""

import json
import re
from dataclasses import replace

from .plan import Grade, Plan, PlanError, Stage

MAX_TEXT = 100_000
MAX_STAGES = 1000
DECIMALS = 4  # of a severity
HEADER_FIELDS = ("domain", "finding", "side", "region", "start", "negative", "stages")
STAGE_FIELDS = ("region", "source", "gamma", "guidance")
_EXAMPLE = '"1. 0.25  PROMPT"'
_STAGE_LINE = re.compile(r"(\d{1,6})[.)](?:\s+(\S+)(?:\s+(.*))?)?")
_GRADE_LINE = re.compile(r"grade\s*:\s*(\S+)(?:\s+(.*))?", re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z_]{1,20})\s*:(.*)")


def plan_text(plan: Plan) -> str:
    """Writes a plan as lines to edit.

    Args:
        plan: its notes are left out.

    Returns:
        What `parse_plan` reads back, severities to 4 decimals. ``start`` is what the image shows at first: each stage's
        source is then the prompt before it, and where a prompt comes again, the source it had; in a plan with grades it
        is the source of all. Without start a stage has no source. A source of another kind is written under its stage.
    """
    region = plan.stages[0].region if plan.stages else ""
    start = plan.stages[0].source if plan.stages else ""
    header = {"domain": plan.domain, "finding": plan.finding, "side": plan.side, "region": region, "start": start}
    header |= {"negative": plan.negative, "stages": "" if plan.stages else "0"}
    lines = [f"{name}: {_quote(value)}" for name, value in header.items() if value]
    lines += [f"grade: {round(grade.severity, DECIMALS):g}  {_quote(grade.prompt)}" for grade in plan.scale]
    lines += [""] if plan.stages else []
    before = None
    for n, stage in enumerate(plan.stages, start=1):
        lines.append(f"{n}. {round(stage.severity, DECIMALS):g}  {_quote(stage.prompt)}")
        if stage.region != region:
            lines.append(f"   region: {_quote(stage.region)}".rstrip())
        if stage.source != _source(stage.prompt, start, before, bool(plan.scale)):
            lines.append(f"   source: {_quote(stage.source)}".rstrip())
        lines += [f"   {name}: {value!r}" for name in STAGE_FIELDS[2:] if (value := getattr(stage, name)) is not None]
        before = stage
    return "\n".join(lines)


def parse_plan(text: str) -> Plan:
    """Reads a plan from text.

    Args:
        text: of `plan_text`, edited or not, or of `Plan.to_json`; at most 100,000 characters.

    Returns:
        The plan.

    Raises:
        PlanError: naming the line or the stage, what it got and what it wants.
    """
    if not isinstance(text, str):
        raise PlanError(f"text: got {type(text).__name__}, want a plan as text")
    if len(text) > MAX_TEXT:
        raise PlanError(f"text: got {len(text)} characters, want at most {MAX_TEXT}")
    if not text.strip():
        raise PlanError("text: got an empty text, want a plan as text")
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        return Plan.from_json(text.lstrip("\ufeff"))
    header: dict[str, str] = {}
    stages: list[dict[str, str]] = []
    grades: list[Grade] = []
    for number, line in enumerate(text.lstrip("\ufeff").replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        if stage := _STAGE_LINE.fullmatch(line.strip()):
            stages.append(_read_stage(stage, len(stages) + 1, f"line {number}"))
        elif grade := _GRADE_LINE.fullmatch(line.strip()):
            grades.append(_read_grade(grade, bool(stages), f"line {number}"))
        else:
            _read_field(line.strip(), header, stages, f"line {number}")
    return _build_plan(header, stages, tuple(grades))


def note_changes(before: Plan, after: Plan, by: str) -> Plan:
    """Notes on a plan what it changes of another.

    Args:
        before: the plan it takes the place of.
        after: the plan itself.
        by: who made it, in words.

    Returns:
        ``after`` with the notes of both and one for each change of finding, side and number of stages.

    Raises:
        PlanError: where they are of different domains.
    """
    if after.domain != before.domain:
        raise PlanError(f"domain: got {after.domain!r}, want that of the connected plan, {before.domain!r}")
    notes = [f"the plan is {by}"]
    for name in ("finding", "side"):
        old, new = (getattr(plan, name) or "none" for plan in (before, after))
        if old != new:
            notes.append(f"the connected plan has the {name} {old}, this one {new}; check which is right")
    if len(before.stages) != len(after.stages):
        notes.append(f"the connected plan has {len(before.stages)} stages, this one {len(after.stages)}")
    return replace(after, notes=(*before.notes, *after.notes, *notes))


def _quote(value: str) -> str:
    """The text itself, in JSON's quotes where a line could not hold it as it is."""
    plain = value.isprintable() and value == value.strip() and not value.startswith('"')
    return value if plain else json.dumps(value)


def _unquote(value: str, where: str) -> str:
    value = value.strip()
    if not value.startswith('"'):
        return value
    try:
        text = json.loads(value)
    except (ValueError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise PlanError(f'{where}: want a text that begins with " to be one in quotes, as in JSON')
    return text


def _source(prompt: str, start: str, before: Stage | None, graded: bool) -> str:
    """What a stage starts from where its text does not say: the prompt before it, or ``start``."""
    if not start or before is None or graded:
        return start
    return before.source if before.prompt == prompt else before.prompt


def _read_stage(match: re.Match[str], n: int, where: str) -> dict[str, str]:
    number, severity, prompt = match.groups()
    if int(number) != n:
        raise PlanError(f"{where}: got stage {int(number)}, want stage {n}; they are numbered 1, 2, 3, ...")
    if n > MAX_STAGES:
        raise PlanError(f"{where}: got stage {n}, want at most {MAX_STAGES}")
    if severity is None or not (prompt or "").strip():
        raise PlanError(f"stage {n}: want a severity and a prompt behind its number, as in {_EXAMPLE}")
    return {"severity": severity, "prompt": _unquote(prompt, f"stage {n}, prompt")}


def _read_grade(match: re.Match[str], late: bool, where: str) -> Grade:
    if late:
        raise PlanError(f"{where}: got grade, which belongs above the first stage")
    severity, prompt = match.groups()
    if not (prompt or "").strip():
        raise PlanError(f'{where}, grade: want a severity and a prompt, as in "grade: 0.25  PROMPT"')
    number, words = _read_number(severity, f"{where}, grade"), _unquote(prompt, f"{where}, grade")
    try:
        return Grade(number, words)
    except PlanError as error:
        raise PlanError(f"{where}, grade, {error}") from None


def _read_field(line: str, header: dict[str, str], stages: list[dict[str, str]], where: str) -> None:
    match = _FIELD.fullmatch(line)
    name = match[1].lower() if match else ""
    known, into = (STAGE_FIELDS, stages[-1]) if stages else (HEADER_FIELDS, header)
    if match is None or name not in (*HEADER_FIELDS, *STAGE_FIELDS):
        raise PlanError(f"{where}: want NAME: VALUE, with one of the names {', '.join(known)}, or a stage, {_EXAMPLE}")
    if name not in known:
        raise PlanError(f"{where}: got {name}, which belongs {'above the first stage' if stages else 'under a stage'}")
    if name in into:
        raise PlanError(f"{where}: got {name} a second time, want it once")
    into[name] = _unquote(match[2], f"{where}, {name}")


def _build_plan(header: dict[str, str], stages: list[dict[str, str]], scale: tuple[Grade, ...]) -> Plan:
    for name in ("domain", "finding"):
        if not header.get(name):
            raise PlanError(f'text: the line "{name}: ..." is missing')
    said = header.get("stages", "")
    if not stages and not said:
        raise PlanError(f'text: got no stage, want one a line, as in {_EXAMPLE}, or the line "stages: 0"')
    if said and said != str(len(stages)):
        raise PlanError(f"stages: got {len(stages)} of them, want as many as the line says")
    start = header.get("start", "")
    out: list[Stage] = []
    for n, given in enumerate(stages, start=1):
        own = {name: _read_number(given[name], f"stage {n}, {name}") for name in STAGE_FIELDS[2:] if given.get(name)}
        source = given.get("source", _source(given["prompt"], start, out[-1] if out else None, bool(scale)))
        severity = _read_number(given["severity"], f"stage {n}, severity")
        region = given.get("region", header.get("region", ""))
        try:
            out.append(Stage(given["prompt"], header["finding"], severity, region, source=source, **own))
        except PlanError as error:
            raise PlanError(f"stage {n}, {error}") from None
    return Plan(
        header["domain"],
        header["finding"],
        header.get("side", ""),
        tuple(out),
        header.get("negative", ""),
        scale=scale,
    )


def _read_number(text: str, name: str) -> float:
    if not re.fullmatch(r"[-+]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?", text):
        shown = repr(text) if re.fullmatch(r"[-+.,%\d]{1,20}", text) else "another word"
        raise PlanError(f"{name}: got {shown}, want a number, as in {_EXAMPLE}")
    return float(text)
