"""The progression plan: what every simulated stage is drawn towards (section 4.1), as data, JSON and text."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

SCHEMA = "mvg.plan"
VERSION = 1
NO_FINDING = "no finding"
SIDES = ("", "left", "right", "bilateral")
MAX_PROMPT = 2000
MAX_GUIDANCE = 100


class PlanError(ValueError):
    """A plan that cannot be used; the message names the field, what it got and what it wants."""


def _text(name: str, value: object, *, empty: bool = False) -> None:
    if not isinstance(value, str):
        raise PlanError(f"{name}: got {type(value).__name__}, want text")
    if not empty and not value.strip():
        raise PlanError(f"{name}: got an empty text, want at least one word")
    if len(value) > MAX_PROMPT:
        raise PlanError(f"{name}: got {len(value)} characters, want at most {MAX_PROMPT}")


def _number(name: str, value: object, highest: int) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= highest:  # type: ignore[operator]
        raise PlanError(f"{name}: got {value!r}, want a number in [0, {highest}]")


@dataclass(frozen=True)
class Stage:
    """One stage n: its prompt y_n, the finding, its intended severity in [0, 1] and the region in words.

    source: what the image shows before the stage, for its inversion; "" says nothing of it.
    gamma in [0, 1], guidance in [0, 100]: this stage's own strength; None takes that of the run.
    Raises PlanError (a ValueError) naming the field.
    """

    prompt: str
    finding: str
    severity: float
    region: str = ""
    source: str = ""
    gamma: float | None = None
    guidance: float | None = None

    def __post_init__(self) -> None:
        _text("prompt", self.prompt)
        _text("finding", self.finding)
        _text("region", self.region, empty=True)
        _text("source", self.source, empty=True)
        _number("severity", self.severity, 1)
        if self.gamma is not None:
            _number("gamma", self.gamma, 1)
        if self.guidance is not None:
            _number("guidance", self.guidance, MAX_GUIDANCE)


@dataclass(frozen=True)
class Plan:
    """N stages of one finding in one domain, worsening monotonically; N = 0 leaves the image as it is.

    side: the patient's side, "" where the finding has none. negative: the prompt of the unguided half in every stage;
    "" takes the stage's source, so that guidance pulls from what the image shows to what it is to show.
    notes: what the reader of the plan should know, one sentence each. Severity is 0 in every stage of "no finding".
    Raises PlanError (a ValueError) naming the stage and the field.
    """

    domain: str
    finding: str
    side: str
    stages: tuple[Stage, ...]
    negative: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _text("domain", self.domain)
        _text("finding", self.finding)
        _text("negative", self.negative, empty=True)
        if self.side not in SIDES:
            raise PlanError(f"side: got {self.side!r}, want one of {', '.join(s or 'no text' for s in SIDES)}")
        for name in ("stages", "notes"):
            if not isinstance(getattr(self, name), tuple | list):
                raise PlanError(f"{name}: got {type(getattr(self, name)).__name__}, want a list")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for note in self.notes:
            _text("notes", note)
        before = 0.0
        for n, stage in enumerate(self.stages, start=1):
            if not isinstance(stage, Stage):
                raise PlanError(f"stage {n}: got {type(stage).__name__}, want a Stage")
            if stage.finding != self.finding:
                raise PlanError(f"stage {n}, finding: got {stage.finding!r}, want the plan's, {self.finding!r}")
            if self.finding == NO_FINDING and stage.severity != 0:
                raise PlanError(f"stage {n}, severity: got {stage.severity:g}, want 0 in a plan of {NO_FINDING!r}")
            if stage.severity < before:
                raise PlanError(
                    f"stage {n}, severity: got {stage.severity:g} after {before:g}, want severities that never fall"
                )
            before = stage.severity

    def unguided(self, stage: Stage) -> str:
        """The prompt that guidance pulls away from in a stage."""
        return self.negative or stage.source

    @property
    def region(self) -> str:
        """The region of the last stage in words, "" for a plan without stages."""
        return self.stages[-1].region if self.stages else ""

    def to_text(self) -> str:
        """The plan in words: a header line, a line a stage, then the notes."""
        what = " ".join(word for word in (self.side, self.finding) if word)
        count = f"{len(self.stages)} stage{'' if len(self.stages) == 1 else 's'}"
        place = self.region if self.region.startswith("both ") else f"the {self.region}"
        lines = [f"{what} ({self.domain}), {count}" + (f", in {place}" if self.region else "")]
        width = len(str(len(self.stages)))
        lines += [f"{n:>{width}}. {s.severity:.2f}  {s.prompt}" for n, s in enumerate(self.stages, start=1)]
        if self.negative:
            lines.append(f"negative: {self.negative}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> str:
        """JSON text that `from_json` reads back to an equal plan."""
        return json.dumps({"schema": SCHEMA, "version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan of a JSON text; PlanError for anything but a complete, valid plan of a known version."""
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise PlanError(f"plan: not readable as JSON ({error})") from None
        if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
            raise PlanError(f'plan: want a JSON object with "schema": "{SCHEMA}"')
        version = data.pop("version", None)
        if version != VERSION:
            raise PlanError(f"plan, version: got {version!r}, want {VERSION}")
        data = _members("plan", cls, data)
        if not isinstance(data["stages"], list):
            raise PlanError(f"stages: got {type(data['stages']).__name__}, want a list")
        stages = []
        for n, item in enumerate(data["stages"], start=1):
            try:
                stages.append(Stage(**_members("stage", Stage, item)))
            except PlanError as error:
                raise PlanError(f"stage {n}, {error}") from None
        return cls(**{**data, "stages": tuple(stages)})


def _members(name: str, kind: type, data: object) -> dict[str, Any]:
    """``data`` where it holds the fields of the dataclass: all required ones and no others."""
    if not isinstance(data, dict):
        raise PlanError(f"{name}: got {type(data).__name__}, want an object")
    known = [f.name for f in fields(kind)]
    required = {"domain", "finding", "side", "stages"} if kind is Plan else {"prompt", "finding", "severity"}
    if extra := sorted(set(data) - set(known)):
        raise PlanError(f"{name}: got the unknown field {extra[0]!r}, want {', '.join(known)}")
    if missing := sorted(required - set(data)):
        raise PlanError(f"{name}: the field {missing[0]!r} is missing")
    return data
