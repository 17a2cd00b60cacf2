"""What a user gives to a demo, as the one patient of a cohort. All that can be refused is, before ComfyUI starts."""

import argparse
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...launch.errors import LaunchError, UsageError
from ...launch.host import domain_folders
from ...launch.paths import WORKFLOWS
from ...mvg.domains import BUILT_IN, Domain
from ...mvg.domains.files import load_domains
from ...mvg.embedded_set import has_color, image_notes
from ...mvg.film_check import film_notes
from ...mvg.picture_file import Picture
from ...mvg.picture_fit import fit_square
from ...mvg.pie import n_inverted
from ...mvg.plan import Plan
from ...mvg.plan_text import plan_text
from .. import files
from ..files import InputFile
from ..manifest import Patient
from ..problems import CohortError
from ..seeds import seed_note
from ..workflow import Slot, Value, Workflow, with_plan
from .subject import finding_name, plan_of_prompt, plan_of_report


@dataclass(frozen=True)
class Request:
    """A demo that can be computed.

    Attributes:
        workflow: The bundled one of the domain; with a plan of its own in the report's place where there is a prompt.
        patient: What fills it.
        plan: What progresses.
        lines: What is worth knowing before it computes.
    """

    workflow: Workflow
    patient: Patient
    plan: Plan
    lines: tuple[str, ...]


def read(options: argparse.Namespace, token: str) -> Request:
    """What the options ask for.

    Args:
        options: Of the command line, checked.
        token: What the names of the files begin with in the host's input folder.

    Raises:
        UsageError: A file or a word that the nodes would refuse.
        LaunchError: A report of which no plan can be made, or a workflow without a place for a value.
    """
    domain = load_domains(domain_folders()).find(options.domain)
    try:
        return _read(options, token, domain, load_workflow(domain.name))
    except CohortError as error:
        raise LaunchError(f"{error}. Restore workflows/api.") from error


def load_workflow(domain: str) -> Workflow:
    """The bundled workflow of a domain; CohortError where it is damaged."""
    return Workflow.load(WORKFLOWS / f"mvg_{domain}.json")


def _read(options: argparse.Namespace, token: str, domain: Domain, workflow: Workflow) -> Request:
    image = _given(files.image, options.image, "--image", token)
    picture = _picture(image, "--image")
    _check_color(picture, image, domain)
    pixels, done = _fitted(workflow, picture)
    mask = None
    if options.mask is not None:
        mask = _given(files.image, options.mask, "--mask", f"{token}-mask")
        _check_mask(mask, image, workflow)
    lines = [f"image: {options.image}: {', '.join((*picture.notes, done))}"]
    if options.prompt is not None:
        plan = plan_of_prompt(options.prompt, options.finding, domain, options.stages)
        workflow = with_plan(workflow, plan_text(plan))
        patient = _patient(options, workflow, token, image, mask)
        lines.append(f"prompt, reached in {options.stages} stages: {options.prompt}")
    else:
        patient = _patient(options, workflow, token, image, mask)
        told = "--finding" if options.report is None else f"--report: {options.report}"
        plan = plan_of_report(workflow, patient, domain, told)
        lines += [] if options.report is None else [f"report: {options.report}"]
    lines += [f"plan: {plan.to_text()}".replace("\n", "\n  ")]
    notes = image_notes(pixels, domain.name) + film_notes(pixels, domain.name)
    notes += _idle_options(options, workflow, patient)
    return Request(workflow, patient, plan, (*lines, *(f"note: {note}" for note in notes)))


def _given(read: Callable[[Path, str], InputFile], path: Path, option: str, name: str) -> InputFile:
    try:
        file = read(path, str(path))
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from error
    return dataclasses.replace(file, name=f"{name}{Path(file.name).suffix}")


def _picture(file: InputFile, option: str) -> Picture:
    try:
        return files.picture_of(file)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from error


def _check_color(picture: Picture, image: InputFile, domain: Domain) -> None:
    fits = files.is_gray(picture) if domain.gray else has_color(picture.image)
    if not fits:
        others = " or ".join(f"--domain {other.name}" for other in BUILT_IN.values() if other.gray is not domain.gray)
        got, want = ("in color", "gray images") if domain.gray else ("gray", "images in color")
        raise UsageError(f"--image: {image.label} is {got}, and --domain {domain.name} is for {want}. Give {others}?")


def _fitted(workflow: Workflow, picture: Picture) -> tuple[Tensor, str]:
    """What Load Medical Image makes of a picture: [1, H, W, 3] in [0, 1], and what it did in words."""
    inputs = workflow.graph[workflow.image().node]["inputs"]
    return fit_square(picture.image[None], inputs["size"], inputs["fit"])


def _check_mask(mask: InputFile, image: InputFile, workflow: Workflow) -> None:
    try:
        files.check_mask(mask, image)
    except ValueError as error:
        raise UsageError(f"--mask: {error}.") from error
    region, done = _fitted(workflow, _picture(mask, "--mask"))
    if not region[..., 0].any():
        raise UsageError(f"--mask: {mask.label} is black in what is used of the image ({done}): nothing could change.")


def _patient(
    options: argparse.Namespace, workflow: Workflow, token: str, image: InputFile, mask: InputFile | None
) -> Patient:
    wanted: dict[str, Value] = {"domain": options.domain, "stages": options.stages}
    if options.strength is not None:
        wanted["gamma"] = options.strength
    sent = [image]
    values: dict[Slot, Value] = {workflow.image(): image.name}
    if (place := workflow.report()) is not None:
        if options.finding is not None:
            wanted["MVG_Recaption.finding"] = finding_name(options.finding)
        if options.report is None:
            report = dataclasses.replace(files.text(f"{options.finding}."), name=f"{token}.txt")
        else:
            report = _given(files.report, options.report, "--report", token)
        values[place] = report.name
        sent.append(report)
    for name, value in wanted.items():
        values |= dict.fromkeys(workflow.column(name), value)
    return Patient(1, token, (options.seed or 0,), values, tuple(sent), mask)


def _idle_options(options: argparse.Namespace, workflow: Workflow, patient: Patient) -> list[str]:
    """What of the options can change nothing."""
    notes = []
    steps = workflow.value(workflow.column("MVG_PIELoop.steps")[0])
    if options.strength is not None and not n_inverted(int(steps), options.strength):
        notes.append(f"--strength {options.strength:g} inverts no step: no stage changes the image")
    if options.seed is not None and (note := seed_note(workflow, [patient.values])):
        notes.append(note.removeprefix("note: "))
    return notes
