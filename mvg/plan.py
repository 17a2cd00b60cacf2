"""The progression plan: what every simulated stage is drawn towards (section 4.1), as data, JSON and text."""

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, Strict, model_validator
from pydantic.dataclasses import dataclass

from .validation import raises, validate

SCHEMA = "mvg.plan"
VERSION = 1
NO_FINDING = "no finding"
SIDES = ("", "left", "right", "bilateral")
MAX_PROMPT = 2000
MAX_GUIDANCE = 100


class PlanError(ValueError):
    """A plan that cannot be used; the message names the field, what it got and what it wants."""


def _within_limit(text: str) -> str:
    if len(text) > MAX_PROMPT:
        raise ValueError(f"got {len(text)} characters, want at most {MAX_PROMPT}")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("got an empty text, want at least one word")
    return text


def _known_side(side: str) -> str:
    if side not in SIDES:
        raise ValueError(f"got {side!r}, want one of {', '.join(s or 'no text' for s in SIDES)}")
    return side


Text = Annotated[str, Strict(), AfterValidator(_within_limit)]
Words = Annotated[Text, AfterValidator(_not_blank)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Guidance = Annotated[float, Strict(), Field(ge=0, le=MAX_GUIDANCE, allow_inf_nan=False)]


@raises(PlanError)
@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Stage:
    """One stage n of a plan.

    Attributes:
        prompt: y_n, what the image shows after the stage.
        finding: what progresses.
        severity: the intended one, in [0, 1].
        region: where, in words.
        source: what the image shows before the stage, for its inversion; "" says nothing of it.
        gamma: this stage's own strength in [0, 1]; None takes that of the run.
        guidance: this stage's own scale in [0, 100]; None takes that of the run.

    Raises:
        PlanError: naming the field.
    """

    prompt: Words
    finding: Words
    severity: Fraction
    region: Text = ""
    source: Text = ""
    gamma: Fraction | None = None
    guidance: Guidance | None = None


@raises(PlanError)
@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Grade:
    """A prompt and the severity that it stands for.

    Attributes:
        severity: in [0, 1].
        prompt: words for the finding at that severity.

    Raises:
        PlanError: naming the field.
    """

    severity: Fraction
    prompt: Words


@raises(PlanError)
@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Plan:
    """N stages of one finding in one domain, worsening monotonically; N = 0 leaves the image as it is.

    Attributes:
        domain: the kind of image.
        finding: what progresses, in every stage; "no finding" has severity 0 throughout.
        side: the patient's side, "" where the finding has none.
        stages: in order; their severities never fall, and rise in a plan with a scale of several prompts.
        negative: the prompt of the unguided half in every stage; "" takes the stage's source, so that guidance pulls
            from what the image shows to what it is to show.
        notes: what the reader of the plan should know, one sentence each.
        scale: the prompts between which a model is commanded by the severity of a stage, in rising order; without any
            a stage is drawn towards its prompt alone. One prompt, at the severity of every stage: all are drawn alike.

    Raises:
        PlanError: naming the stage and the field.
    """

    domain: Words
    finding: Words
    side: Annotated[Text, AfterValidator(_known_side)]
    stages: tuple[Stage, ...]
    negative: Text = ""
    notes: tuple[Words, ...] = ()
    scale: tuple[Grade, ...] = ()

    @model_validator(mode="after")
    def _check_course(self) -> "Plan":
        before = -1.0
        for n, stage in enumerate(self.stages, start=1):
            if stage.finding != self.finding:
                raise ValueError(f"stage {n}, finding: got {stage.finding!r}, want the plan's, {self.finding!r}")
            if self.finding == NO_FINDING and stage.severity != 0:
                raise ValueError(f"stage {n}, severity: got {stage.severity:g}, want 0 in a plan of {NO_FINDING!r}")
            if stage.severity < before:
                raise ValueError(
                    f"stage {n}, severity: got {stage.severity:g} after {before:g}, want severities that never fall"
                )
            if len(self.scale) > 1 and stage.severity == before:
                raise ValueError(
                    f"stage {n}, severity: got {stage.severity:g} again, want one above that of the stage before in a "
                    "plan with a scale, which draws both alike"
                )
            if self.scale and stage.severity < self.scale[0].severity:
                raise ValueError(
                    f"stage {n}, severity: got {stage.severity:g}, for which the scale has no words, want "
                    f"{self.scale[0].severity:g} or more"
                )
            before = stage.severity
        for n, (low, high) in enumerate(pairwise(self.scale), start=2):
            if high.severity <= low.severity:
                raise ValueError(
                    f"scale {n}, severity: got {high.severity:g} after {low.severity:g}, want severities that rise"
                )
        if len(self.scale) == 1 and before > self.scale[0].severity:
            raise ValueError(f"scale: got one prompt for stages up to {before:g}, want none or at least two")
        return self

    def unguided(self, stage: Stage) -> str:
        """The prompt that guidance pulls away from in a stage.

        Args:
            stage: one of the plan's.

        Returns:
            The plan's negative prompt, or the stage's source where it has none.
        """
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
        members = asdict(self)
        if not self.scale:
            del members["scale"]
        return json.dumps({"schema": SCHEMA, "version": VERSION, **members}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan of a JSON text.

        Args:
            text: what `to_json` wrote.

        Returns:
            An equal plan.

        Raises:
            PlanError: for anything but a complete, valid plan of a known version.
        """
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise PlanError(f"plan: not readable as JSON ({error})") from None
        if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
            raise PlanError(f'plan: want a JSON object with "schema": "{SCHEMA}"')
        version = data.pop("version", None)
        if version != VERSION:
            raise PlanError(f"plan, version: got {version!r}, want {VERSION}")
        return validate(cls, data, PlanError)
