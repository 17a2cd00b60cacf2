"""What is worth knowing of a cohort before any of it runs: what progresses, and what images the models get."""

from collections import Counter

from ..mvg.embedded_set import IMAGE_SIZE, KNOWN_SIZES
from ..mvg.film_check import film_notes as look
from ..mvg.plan import NO_FINDING, Plan
from . import files
from .files import InputFile
from .manifest import Patient
from .plan import Cohort
from .preview import PlanReader
from .workflow import Slot, Value

SHOWN = 20
LOOKED_AT = 200
"""Of how many patients the films are read before a run; PIE Loop looks at every one."""


def plans(cohort: Cohort) -> list[str]:
    """What progresses in each row, with the notes of its plan, and how often each finding is there."""
    planned = _planned(cohort)
    if not planned:
        return []
    counts = Counter(plan.finding for _, plan in planned)
    lines = ["plans: " + ", ".join(f"{count} of {finding}" for finding, count in counts.most_common())]
    for where, plan in planned[:SHOWN]:
        lines.append(f"  {where}: {plan.to_text().splitlines()[0]}")
        lines += [f"    note: {note}" for note in plan.notes]
    return lines + ([f"  and {len(planned) - SHOWN} more"] if len(planned) > SHOWN else [])


def idle_plans(cohort: Cohort) -> list[str]:
    """A line on the rows whose report gives no finding."""
    rows = [where for where, plan in _planned(cohort) if plan.finding == NO_FINDING]
    if not rows:
        return []
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return [
        f"note: nothing progresses in {', '.join(rows[:SHOWN])}{more}: the report gives no finding; a column finding "
        "names one"
    ]


def image_notes(cohort: Cohort) -> list[str]:
    """Lines on images that get another size, and on sizes that the embedded model was not made for."""
    place = cohort.workflow.image()
    if cohort.workflow.class_of(place) != "MVG_LoadMedicalImage":
        return []
    slot = Slot(place.node, "size")
    common = cohort.workflow.graph[slot.node]["inputs"].get("size")
    sides = [(patient, patient.values.get(slot, common)) for patient in _patients(cohort)]
    resized = [
        (patient, side, size)
        for patient, side in sides
        if side and (size := _size(patient, patient.values[place])) not in (None, (side, side))
    ]
    lines = []
    if resized:
        patient, side, (width, height) = max(resized, key=lambda row: row[2])
        lines.append(
            f"note: {len(resized)} of {len(sides)} images get another size, as {patient.where}: "
            f"{width} x {height} to {side} x {side}"
        )
    odd = sorted({side for _, side in sides if isinstance(side, int)} - {0, *KNOWN_SIZES})
    if odd and PlanReader(cohort.workflow).loader is not None:
        lines.append(
            f"note: images of {', '.join(f'{side} x {side}' for side in odd)} for the embedded model, which was made "
            f"for {IMAGE_SIZE} x {IMAGE_SIZE}"
        )
    return lines


def film_notes(cohort: Cohort) -> list[str]:
    """A line on every chest film that is turned or inverted, or looks like something else."""
    place = cohort.workflow.image()
    lines = []
    for patient in _patients(cohort)[:LOOKED_AT]:
        film = _file(patient, patient.values[place])
        if patient.plan is None or film is None or film.path is None:
            continue
        try:
            picture = files.picture_of(film)
        except ValueError:  # damaged further on than its header: the run refuses it by name
            continue
        lines += [f"note: {patient.where}: {told}" for told in look(picture.image[None], patient.plan.domain)]
    return lines


def _size(patient: Patient, name: Value) -> tuple[int, int] | None:
    """Width and height of the patient's file of that name."""
    file = _file(patient, name)
    return None if file is None else file.size


def _file(patient: Patient, name: Value) -> InputFile | None:
    return next((file for file in patient.files if file.name == name), None)


def _patients(cohort: Cohort) -> list[Patient]:
    rows = {chain.patient.row: chain.patient for chain in cohort.chains}
    return [rows[row] for row in sorted(rows)]


def _planned(cohort: Cohort) -> list[tuple[str, Plan]]:
    return [(patient.where, patient.plan) for patient in _patients(cohort) if patient.plan is not None]
