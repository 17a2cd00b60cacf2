"""The progression plan as a text to edit: lines that a person reads, and the same plan back or an error with its line.

    domain: chest_xray
    finding: pleural effusion
    side: left
    region: left lung base
    start: frontal chest x-ray, no finding

    1. 0.4  frontal chest x-ray, mild left pleural effusion
    2. 0.9  frontal chest x-ray, severe left pleural effusion
       gamma: 0.6

A stage is its number, its severity and its prompt; lines under it are its own. What is pasted in place of a plan may be
a report, so no error quotes a prompt or a line that is none of these.
"""

import json
import re
from dataclasses import replace

from .plan import Plan, PlanError, Stage

MAX_TEXT = 100_000
MAX_STAGES = 1000
DECIMALS = 4  # of a severity
HEADER = ("domain", "finding", "side", "region", "start", "negative", "stages")
OWN = ("region", "source", "gamma", "guidance")
_EXAMPLE = '"1. 0.25  PROMPT"'
_STAGE = re.compile(r"(\d{1,6})[.)](?:\s+(\S+)(?:\s+(.*))?)?")
_MEMBER = re.compile(r"([A-Za-z_]{1,20})\s*:(.*)")


def plan_text(plan: Plan) -> str:
    """The plan as lines that `parse_plan` reads back; without its notes, and severities to 4 decimals.

    start is what the image shows at first: each stage's source is then the prompt before it, and where a prompt comes
    again, the source it had. Without start a stage has no source. A source of another kind is written under its stage.
    """
    region = plan.stages[0].region if plan.stages else ""
    start = plan.stages[0].source if plan.stages else ""
    header = {"domain": plan.domain, "finding": plan.finding, "side": plan.side, "region": region, "start": start}
    header |= {"negative": plan.negative, "stages": "" if plan.stages else "0"}
    lines = [f"{name}: {_write(value)}" for name, value in header.items() if value]
    lines += [""] if plan.stages else []
    before = None
    for n, stage in enumerate(plan.stages, start=1):
        lines.append(f"{n}. {round(stage.severity, DECIMALS):g}  {_write(stage.prompt)}")
        if stage.region != region:
            lines.append(f"   region: {_write(stage.region)}".rstrip())
        if stage.source != _source(stage.prompt, start, before):
            lines.append(f"   source: {_write(stage.source)}".rstrip())
        lines += [f"   {name}: {value!r}" for name in OWN[2:] if (value := getattr(stage, name)) is not None]
        before = stage
    return "\n".join(lines)


def parse_plan(text: str) -> Plan:
    """The plan of a text of `plan_text`, edited or not, or of `Plan.to_json`.

    Raises PlanError naming the line or the stage, what it got and what it wants.
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
    for number, line in enumerate(text.lstrip("\ufeff").replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        if stage := _STAGE.fullmatch(line.strip()):
            stages.append(_stage(stage, len(stages) + 1, f"line {number}"))
        else:
            _member(line.strip(), header, stages, f"line {number}")
    return _plan(header, stages)


def note_changes(before: Plan, after: Plan, by: str) -> Plan:
    """``after`` with the notes of both and what it changed of ``before``; ``by``: who made it, in words.

    Raises PlanError where they are of different domains.
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


def _write(value: str) -> str:
    """The text itself, in JSON's quotes where a line could not hold it as it is."""
    plain = value.isprintable() and value == value.strip() and not value.startswith('"')
    return value if plain else json.dumps(value)


def _read(value: str, where: str) -> str:
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


def _source(prompt: str, start: str, before: Stage | None) -> str:
    if not start or before is None:
        return start
    return before.source if before.prompt == prompt else before.prompt


def _stage(match: re.Match[str], n: int, where: str) -> dict[str, str]:
    number, severity, prompt = match.groups()
    if int(number) != n:
        raise PlanError(f"{where}: got stage {int(number)}, want stage {n}; they are numbered 1, 2, 3, ...")
    if n > MAX_STAGES:
        raise PlanError(f"{where}: got stage {n}, want at most {MAX_STAGES}")
    if severity is None or not (prompt or "").strip():
        raise PlanError(f"stage {n}: want a severity and a prompt behind its number, as in {_EXAMPLE}")
    return {"severity": severity, "prompt": _read(prompt, f"stage {n}, prompt")}


def _member(line: str, header: dict[str, str], stages: list[dict[str, str]], where: str) -> None:
    match = _MEMBER.fullmatch(line)
    name = match[1].lower() if match else ""
    known, into = (OWN, stages[-1]) if stages else (HEADER, header)
    if match is None or name not in (*HEADER, *OWN):
        raise PlanError(f"{where}: want NAME: VALUE, with one of the names {', '.join(known)}, or a stage, {_EXAMPLE}")
    if name not in known:
        raise PlanError(f"{where}: got {name}, which belongs {'above the first stage' if stages else 'under a stage'}")
    if name in into:
        raise PlanError(f"{where}: got {name} a second time, want it once")
    into[name] = _read(match[2], f"{where}, {name}")


def _plan(header: dict[str, str], stages: list[dict[str, str]]) -> Plan:
    for name in ("domain", "finding"):
        if not header.get(name):
            raise PlanError(f'text: the line "{name}: ..." is missing')
    said = header.get("stages", "")
    if not stages and not said:
        raise PlanError(f'text: got no stage, want one a line, as in {_EXAMPLE}, or the line "stages: 0"')
    if said and said != str(len(stages)):
        raise PlanError(f"stages: got {len(stages)} of them, want as many as the line says")
    out: list[Stage] = []
    for n, given in enumerate(stages, start=1):
        own = {name: _number(given[name], f"stage {n}, {name}") for name in OWN[2:] if given.get(name)}
        source = given.get("source", _source(given["prompt"], header.get("start", ""), out[-1] if out else None))
        severity = _number(given["severity"], f"stage {n}, severity")
        region = given.get("region", header.get("region", ""))
        try:
            out.append(Stage(given["prompt"], header["finding"], severity, region, source=source, **own))
        except PlanError as error:
            raise PlanError(f"stage {n}, {error}") from None
    return Plan(header["domain"], header["finding"], header.get("side", ""), tuple(out), header.get("negative", ""))


def _number(text: str, name: str) -> float:
    if not re.fullmatch(r"[-+]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?", text):
        shown = repr(text) if re.fullmatch(r"[-+.,%\d]{1,20}", text) else "another word"
        raise PlanError(f"{name}: got {shown}, want a number, as in {_EXAMPLE}")
    return float(text)
