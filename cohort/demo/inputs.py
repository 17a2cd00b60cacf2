"""What a user gives to a demo, as the one patient of a cohort."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from ...launch.errors import LaunchError, UsageError
from ...launch.paths import WORKFLOWS
from .. import files
from ..files import InputFile
from ..manifest import Patient
from ..problems import CohortError
from ..workflow import Slot, Value, Workflow


def load_workflow(domain: str) -> Workflow:
    """The bundled workflow of a domain; LaunchError where it is damaged."""
    try:
        return Workflow.load(WORKFLOWS / f"mvg_{domain}.json")
    except CohortError as error:
        raise LaunchError(f"{error}. Restore workflows/api.") from error


def patient(options: argparse.Namespace, workflow: Workflow, token: str) -> Patient:
    """The patient that the options describe.

    Args:
        options: Of the command line, checked.
        workflow: The one of the domain.
        token: What the names of the files begin with in the host's input folder.

    Raises:
        UsageError: A file that the nodes would refuse.
        LaunchError: The workflow has no place for a value.
    """
    image = _given(files.image, options.image, "--image", token)
    report = _given(files.report, options.report, "--report", token)
    mask = _given(files.image, options.mask, "--mask", f"{token}-mask") if options.mask else None
    try:
        if mask is None:
            option = "--image"
            files.check_whole(image)
        else:
            option = "--mask"
            files.check_mask(mask, image)
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from error
    wanted: dict[str, Value] = {"domain": options.domain, "stages": options.stages}
    if options.strength is not None:
        wanted["gamma"] = options.strength
    values: dict[Slot, Value] = {}
    try:
        for name, value in wanted.items():
            values |= dict.fromkeys(workflow.column(name), value)
        places = {workflow.image(): image, workflow.report(): report}
    except CohortError as error:
        raise LaunchError(f"{error}. Restore workflows/api.") from error
    values |= {slot: file.name for slot, file in places.items() if slot is not None}
    return Patient(1, token, (options.seed,), values, (image, report), mask)


def _given(read: Callable[[Path, str], InputFile], path: Path, option: str, name: str) -> InputFile:
    try:
        file = read(path, str(path))
    except ValueError as error:
        raise UsageError(f"{option}: {error}.") from error
    return dataclasses.replace(file, name=f"{name}{Path(file.name).suffix}")
