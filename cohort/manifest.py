"""The manifest: a CSV with a row a patient. Everything that is wrong with it is said at once, before anything runs."""

import functools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..mvg.domains import BUILT_IN, Domain
from ..mvg.file_names import find_file, is_reserved, shortened
from ..mvg.plan import Plan
from ..mvg.recaption.offline import UnreadReport
from . import files
from .csv_rows import read_table
from .files import InputFile
from .preview import PlanReader
from .problems import CohortError, Problem, refuse
from .seeds import check_seeds, parse_seeds
from .workflow import Slot, Value, Workflow, parse

STANDARD = ("patient_id", "image", "report", "prompt", "mask", "seeds")
MAX_ID = 200


@dataclass(frozen=True, slots=True)
class Patient:
    """A row of a manifest.

    Attributes:
        row: Its line in the file.
        patient_id: As it stands there.
        seeds: At least one; each gives a chain.
        values: Widgets that the row sets.
        files: What goes to the host's input folder, but for the mask.
        mask: Region of interest, of the image's size.
        plan: What progresses; None where the host alone knows, see ``preview.PlanReader.plan``.
    """

    row: int
    patient_id: str
    seeds: tuple[int, ...]
    values: dict[Slot, Value]
    files: tuple[InputFile, ...]
    mask: InputFile | None
    plan: Plan | None = None

    @property
    def where(self) -> str:
        """What errors call the row."""
        return _where(self.row, self.patient_id)


@dataclass(frozen=True)
class Columns:
    """What the columns of a manifest set in a workflow.

    Attributes:
        image: Where the image goes.
        report: Where report or prompt goes; None where the workflow reads none.
        others: Name of a further column -> what it sets.
    """

    image: Slot
    report: Slot | None
    others: dict[str, list[Slot]]


def read(path: Path, workflow: Workflow, domains: Mapping[str, Domain] = BUILT_IN) -> list[Patient]:
    """Reads the patients of a CSV.

    Args:
        path: The CSV; files that it names are relative to its folder.
        workflow: What the columns set.
        domains: What reports are read as, by name.

    Returns:
        A patient a row, in the order of the file.

    Raises:
        CohortError: Holds every problem of every row.
    """
    table = read_table(path, file_column="image")
    if not table.rows and not table.problems:
        raise refuse("manifest", f"{path} holds no patient: want a line of column names and a row for each")
    columns = _columns(table.header, workflow)
    reader = _Reader(
        path.absolute().parent, columns, workflow, PlanReader(workflow, domains)
    )  # who computes may work in another folder
    reader.problems += table.problems
    patients = [reader.patient(number, row) for number, row in table.rows]
    reader.check_ids()
    if reader.problems:
        raise CohortError(sorted(reader.problems, key=lambda p: int(p.where.split()[1])))
    return [patient for patient in patients if patient is not None]


def _columns(header: list[str], workflow: Workflow) -> Columns:
    counts = Counter(filter(None, header))
    problems = [Problem("columns", f"{name!r} is there {n} times") for name, n in counts.items() if n > 1]
    problems += [Problem("columns", f"column {n} has no name") for n, name in enumerate(header, start=1) if not name]
    problems += [Problem("columns", f"{name} is missing") for name in ("patient_id", "image") if name not in header]
    others: dict[str, list[Slot]] = {}
    image = report = None
    try:
        image = workflow.image()
        report = workflow.report()
    except CohortError as error:
        problems += error.problems
    for name in header:
        if name in STANDARD or not name:
            continue
        try:
            others[name] = workflow.column(name)
        except CohortError as error:
            problems += error.problems
    words = [name for name in ("report", "prompt") if name in header]
    if report is None and words and image is not None:
        problems.append(
            Problem("columns", f"{words[0]}: the workflow has no Load Report node; name an input, as 14.text")
        )
    if "seeds" in header and not workflow.seeds():
        problems.append(Problem("columns", "seeds: the workflow has no seed that could be set"))
    if report is not None and not words:
        problems.append(Problem("columns", "report or prompt is missing: the workflow reads a report"))
    taken = {image, report, *(slot for slots in others.values() for slot in slots)}
    for slot in workflow.files():
        if slot not in taken and image is not None:
            problems.append(
                Problem("columns", f"{slot} is missing: the workflow reads a file there ({workflow.title(slot)})")
            )
    setters = Counter(slot for slots in others.values() for slot in slots)
    problems += [Problem("columns", f"{n} columns set {slot}") for slot, n in setters.items() if n > 1]
    if problems or image is None:
        raise CohortError(problems)
    return Columns(image, report, others)


class _Reader:
    """Rows to patients; gathers what is wrong."""

    def __init__(self, folder: Path, columns: Columns, workflow: Workflow, plans: PlanReader):
        self.folder = folder
        self.columns = columns
        self.workflow = workflow
        self.plans = plans
        self.fitting: set[tuple[str, bool]] = set()  # pictures whose color is known to fit; rows share them
        self.outlines = any(node["class_type"] == "MVG_AnatomicalROI" for node in workflow.graph.values())
        self.problems: list[Problem] = []
        self.ids: list[tuple[int, str]] = []

    def patient(self, number: int, row: dict[str, str]) -> Patient | None:
        name = row["patient_id"]
        where = _where(number, name)
        before = len(self.problems)
        for message in self._id(name):
            self.problems.append(Problem(where, f"patient_id: {message}"))
        self.ids.append((number, name))
        values: dict[Slot, Value] = {}
        sent: list[InputFile] = []
        report = None
        for column, slots, file in self._files(row, where):
            values |= dict.fromkeys(slots, file.name)
            sent.append(file)
            if column == "image":
                picture = file
            elif slots == [self.columns.report]:
                report = file
        for column, slots in self.columns.others.items():
            if self.workflow.is_file(slots[0]) or not row[column]:
                continue
            for slot in slots:
                try:
                    values[slot] = parse(row[column], self.workflow.value(slot))
                except ValueError as error:
                    self.problems.append(Problem(where, f"{column}: {error}"))
                    break
        read = files.reader(self.workflow.class_of(self.columns.image))  # the mask is loaded as the image is
        mask = self._attempt(where, "mask", self._read, read, row["mask"]) if row.get("mask") else None
        if mask is not None and len(self.problems) == before:
            self._attempt(where, "mask", files.check_mask, mask, picture)
        seeds = self._attempt(where, "seeds", parse_seeds, row.get("seeds", "")) or ()
        if len(self.problems) == before:
            self._attempt(where, "seeds", check_seeds, seeds, self.workflow, values)
        plan = None
        if len(self.problems) == before:
            plan = None if report is None else self._plan(where, values, report)
            self._check_color(where, picture, values, plan)
        if len(self.problems) > before:
            return None
        return Patient(number, name, seeds, values, tuple(sent), mask, plan)

    def _check_color(self, where: str, picture: InputFile, values: dict[Slot, Value], plan: Plan | None) -> None:
        """Load Medical Image refuses color where its ``gray`` is on, Anatomical ROI a gray fundus or lesion."""
        slot = Slot(self.columns.image.node, "gray")
        gray = values.get(slot, self.workflow.graph[slot.node]["inputs"].get("gray")) is True
        domain = BUILT_IN.get(plan.domain) if plan is not None else None
        if not gray and not (self.outlines and domain is not None and not domain.gray):
            return
        if (picture.sha256, gray) in self.fitting:
            return
        before = len(self.problems)
        self._attempt(where, "image", functools.partial(files.check_color, gray=gray), picture)
        if len(self.problems) == before:
            self.fitting.add((picture.sha256, gray))

    def _plan(self, where: str, values: dict[Slot, Value], report: InputFile) -> Plan | None:
        try:
            return self.plans.plan(values, files.words(report))
        except UnreadReport as error:
            findings = self.plans.drawn(values) or error.findings
            told = f"report: it {error.reason}; a column finding names what progresses, one of {', '.join(findings)}"
            self.problems.append(Problem(where, told))
            return None
        except ValueError as error:  # names its input
            self.problems.append(Problem(where, str(error)))
            return None

    def _files(self, row: dict[str, str], where: str) -> Iterator[tuple[str, list[Slot], InputFile]]:
        wanted: list[tuple[str, list[Slot]]] = [("image", [self.columns.image])]
        if self.columns.report is not None:
            report, prompt = row.get("report", ""), row.get("prompt", "")
            if bool(report) == bool(prompt):
                message = "both are given, want one" if report else "both are empty, want one"
                self.problems.append(Problem(where, f"report and prompt: {message}"))
            elif prompt:
                yield "prompt", [self.columns.report], files.text(prompt)
            else:
                wanted.append(("report", [self.columns.report]))
        wanted += [(name, slots) for name, slots in self.columns.others.items() if self.workflow.is_file(slots[0])]
        for column, slots in wanted:
            if not row[column]:
                self.problems.append(Problem(where, f"{column}: it is empty, want a file"))
                continue
            read = files.reader(self.workflow.class_of(slots[0]))
            file = self._attempt(where, column, self._read, read, row[column])
            if file is not None:
                yield column, slots, file

    def _read(self, read: Callable[[Path, str], InputFile], cell: str) -> InputFile:
        return read(find_file(self.folder, cell), shortened(cell))

    def _attempt(self, where: str, column: str, function, *arguments):
        try:
            return function(*arguments)
        except ValueError as error:
            self.problems.append(Problem(where, f"{column}: {error}"))
            return None

    @staticmethod
    def _id(name: str) -> Iterator[str]:
        if not name:
            yield "it is empty, want a name"
        if len(name) > MAX_ID or not name.isprintable():
            yield f"got {shortened(name)!r}, want at most {MAX_ID} printable letters"
        if is_reserved(name):
            yield f"got {name!r}, want a name that files may have on Windows: not CON, NUL or COM1, no dot at its end"

    def check_ids(self) -> None:
        """Collects ids that are there twice, also where only capitals or the Unicode form of a letter differ."""
        first: dict[str, tuple[int, str]] = {}
        for number, name in self.ids:
            if not name:
                continue
            row, other = first.setdefault(_same_id(name), (number, name))
            if row == number:
                continue
            told = "" if other == name else f" as {other!r}: ids have to differ in more than capitals or Unicode forms"
            self.problems.append(Problem(_where(number, name), f"patient_id: row {row} has it too{told}"))


def _where(row: int, name: str) -> str:
    return f"row {row} ({shortened(name)})" if name else f"row {row}"


def _same_id(name: str) -> str:
    """Equal for names that people, or file systems, take for the same."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
