"""What progresses in a demo: the plan that ComfyUI will make of the report, the finding or the prompt."""

import dataclasses

from ...launch.errors import LaunchError, UsageError
from ...launch.paths import WEIGHTS
from ...mvg.domains import Domain
from ...mvg.embedded_set import FINDINGS, read_findings
from ...mvg.plan import NO_FINDING, Grade, Plan
from ...mvg.recaption.offline import UnreadReport, recaption
from .. import files
from ..manifest import Patient
from ..preview import NotDrawn, PlanReader
from ..workflow import Workflow


def finding_name(text: str) -> str:
    """A finding as plans have it, whatever its capitals and blanks."""
    return " ".join(text.lower().split())


def plan_of_prompt(prompt: str, finding: str | None, domain: Domain, stages: int) -> Plan:
    """The plan of a course from no finding to a prompt.

    Args:
        prompt: What the last stage shows, word for word; those before lie between it and no finding.
        finding: What it is about; None reads it in the prompt.
        domain: The kind of image.
        stages: How many.

    Raises:
        UsageError: The prompt names nothing that the embedded model draws.
    """
    drawn = read_findings(WEIGHTS / FINDINGS, domain.name)
    ask = f"Name one of {', '.join(drawn)} in it, or add --finding NAME."
    try:
        plan = recaption(prompt, domain, stages, "severity", finding and finding_name(finding), drawn)
        if plan.finding == NO_FINDING:
            raise UsageError(f"--prompt names nothing that could progress. {ask}")
        # the scale has these words alone, so that the last stage is the prompt itself
        scale = (plan.scale[0], Grade(1.0, prompt))
        drawn_at = enumerate(plan.stages, start=1)
        course = tuple(dataclasses.replace(stage, prompt=prompt, severity=n / stages) for n, stage in drawn_at)
        return dataclasses.replace(plan, stages=course, notes=(), scale=scale)
    except UnreadReport as error:
        raise UsageError(f"--prompt {error.reason}. {ask}") from error
    except ValueError as error:
        raise UsageError(f"--{str(error).replace('report: ', 'prompt: ')}.") from error


def plan_of_report(workflow: Workflow, patient: Patient, domain: Domain, told: str) -> Plan:
    """The plan that the workflow will make of a patient's report.

    Args:
        workflow: The bundled one.
        patient: What fills it; the report is its last file.
        domain: The kind of image.
        told: What errors call the report.

    Raises:
        LaunchError: The report is unread, or calls all normal: nothing would progress.
        UsageError: No such finding.
    """
    reader = PlanReader(workflow, {domain.name: domain})
    ask = f"Name what progresses: --finding NAME, one of {', '.join(reader.drawn(patient.values))}."
    try:
        plan = reader.plan(patient.values, files.words(patient.files[-1]))
    except UnreadReport as error:
        raise LaunchError(f"{told} {error.reason}. {ask}") from error
    except NotDrawn as error:
        raise LaunchError(f"{told} is about {error.finding}, which the embedded model does not draw. {ask}") from error
    except ValueError as error:
        raise UsageError(f"--{error}.") from error
    if plan is None:
        raise LaunchError("the workflow makes no plan of a report. Restore workflows/api.")
    if plan.finding == NO_FINDING:
        raise LaunchError(f"{told} names nothing as present: it reads as normal, and nothing would progress. {ask}")
    return plan
