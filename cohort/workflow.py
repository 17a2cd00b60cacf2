"""A workflow in the host's API format as a form: which of its inputs a column means, and filling them in."""

import copy
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problems import CohortError, Problem, refuse

Graph = dict[str, dict[str, Any]]
Value = bool | int | float | str

FILE_INPUTS = {
    ("MVG_LoadMedicalImage", "image"),
    ("MVG_LoadReport", "report"),
    ("LoadImage", "image"),
    ("LoadImageMask", "image"),
    ("LoadVideo", "file"),
}
"""Widgets that name a file of the host's input folder: a cohort sends the file along."""
PREFERRED = ("MVG_Recaption", "MVG_PIELoop")
"""Whose input a bare name means where several classes have one."""
EVERYWHERE = ("domain",)
SEEDS = ("seed", "noise_seed")
SEEDLESS = ("MVG_KID",)  # its seed draws subsets of pictures, not pictures
NOTHING_RANDOM = {"MVG_PIELoop": ("mode", "ddim"), "MVG_PIEStep": ("mode", "ddim")}
"""Classes with a seed that draws nothing while a widget has this value."""
PREFIXES = ("folder_prefix", "filename_prefix")
PATIENT = "Patient image"


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A widget of a workflow: node id and name of the input."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}.{self.name}"


@dataclass(frozen=True)
class Workflow:
    """An API graph, which is never changed."""

    name: str
    graph: Graph

    @classmethod
    def load(cls, path: Path) -> "Workflow":
        """Read API JSON.

        Args:
            path: The file.

        Raises:
            CohortError: It is none, holds the page's format, or saves nothing.
        """
        try:
            graph = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise refuse("workflow", f"there is no file {path}") from error
        except (OSError, ValueError) as error:
            raise refuse("workflow", f"{path} cannot be read as JSON ({error})") from error
        return cls(path.stem, validate_graph(graph, str(path)))

    def slots(self, name: str) -> list[Slot]:
        """Every widget of that name; inputs that another node feeds are none."""
        return [Slot(key, name) for key, node in self.graph.items() if is_widget(node["inputs"].get(name))]

    def value(self, slot: Slot) -> Value:
        """What a widget holds."""
        return self.graph[slot.node]["inputs"][slot.name]

    def class_of(self, slot: Slot) -> str:
        """The class of a widget's node."""
        return self.graph[slot.node]["class_type"]

    def title(self, slot: Slot) -> str:
        """What the page calls a widget's node."""
        return self.graph[slot.node].get("_meta", {}).get("title") or self.class_of(slot)

    def is_file(self, slot: Slot) -> bool:
        """Whether a widget names a file of the host's input folder."""
        return (self.class_of(slot), slot.name) in FILE_INPUTS

    def files(self) -> list[Slot]:
        """The widgets that name such a file."""
        return [
            slot
            for name in sorted({name for _, name in FILE_INPUTS})
            for slot in self.slots(name)
            if self.is_file(slot)
        ]

    def image(self) -> Slot:
        """Where the patient's image goes.

        Raises:
            CohortError: The workflow has no place for it, or several.
        """
        for class_type in ("MVG_LoadMedicalImage", "LoadImage"):
            found = [slot for slot in self.slots("image") if self.class_of(slot) == class_type]
            titled = [slot for slot in found if self.title(slot) == PATIENT]
            if len(titled or found) == 1:
                return (titled or found)[0]
            if found:
                raise refuse("columns", f"image fits {self._listed(found)}: call one of these nodes {PATIENT!r}")
        raise refuse("workflow", "it loads no image: no Load Medical Image and no Load Image")

    def report(self) -> Slot | None:
        """Where report and prompt go; None where the workflow reads none.

        Raises:
            CohortError: There are several places.
        """
        found = [slot for slot in self.slots("report") if self.class_of(slot) == "MVG_LoadReport"]
        if len(found) > 1:
            raise refuse("workflow", f"it reads {len(found)} reports ({self._listed(found)}), want one")
        return found[0] if found else None

    def column(self, column: str) -> list[Slot]:
        """The widgets that a column sets, all of one class.

        Args:
            column: As ``guidance``, ``MVG_PIELoop.guidance`` or ``6.guidance``. A bare name that several classes have
                means the one in PREFERRED; ``domain`` means all.

        Raises:
            CohortError: There is no such widget, or it is not clear which.
        """
        for dot in (n for n, letter in enumerate(column) if letter == "."):
            head, name = column[:dot], column[dot + 1 :]
            found = [s for s in self.slots(name) if head in (s.node, self.class_of(s), self.title(s))]
            if found:
                return found
        found = self.slots(column)
        if not found:
            raise refuse("columns", f"{column!r} is no input of the workflow{self._fed(column)}")
        classes = sorted({self.class_of(slot) for slot in found})
        if len(classes) == 1 or column in EVERYWHERE:
            return found
        for wanted in PREFERRED:
            if wanted in classes:
                return [slot for slot in found if self.class_of(slot) == wanted]
        raise refuse("columns", f"{column!r} fits {self._listed(found)}: name one, as {classes[0]}.{column}")

    def _fed(self, column: str) -> str:
        name = column.rpartition(".")[2]
        fed = [f"{key}.{name}" for key, node in self.graph.items() if name in node["inputs"]]
        return f" that can be set: another node feeds {', '.join(fed)}" if fed else ""

    def _listed(self, slots: Iterable[Slot]) -> str:
        return ", ".join(f"{slot} ({self.title(slot)})" for slot in slots)

    def seeds(self) -> list[Slot]:
        """The widgets that hold a seed."""
        return [s for name in SEEDS for s in self.slots(name) if self.class_of(s) not in SEEDLESS]

    def drawing_seeds(self, values: Mapping[Slot, Value]) -> list[Slot]:
        """The seeds that change a picture or a film.

        Args:
            values: Of a row, in place of the workflow's own.

        Returns:
            All of ``seeds`` but those of nodes that draw nothing with these values.
        """
        return [slot for slot in self.seeds() if not self._draws_nothing(slot, values)]

    def _draws_nothing(self, slot: Slot, values: Mapping[Slot, Value]) -> bool:
        name, idle = NOTHING_RANDOM.get(self.class_of(slot), ("", None))
        switch = Slot(slot.node, name)
        return name != "" and values.get(switch, self.graph[slot.node]["inputs"].get(name)) == idle

    def savers(self) -> list[Slot]:
        """The widgets that say where a node saves."""
        return [slot for name in PREFIXES for slot in self.slots(name)]

    def filled(self, values: Mapping[Slot, Value], seed: int, mask: str | None, prefix: str) -> Graph:
        """A copy with a chain's values.

        Args:
            values: Of the patient.
            seed: For every seed of the workflow.
            mask: Its file name in the host's input folder; None where there is none.
            prefix: Folder that it saves under.
        """
        graph = copy.deepcopy(self.graph)
        for slot, value in {**values, **dict.fromkeys(self.seeds(), seed)}.items():
            graph[slot.node]["inputs"][slot.name] = value
        savers = self.savers()
        for slot in savers:
            # the id of a node in a subgraph holds a colon, which no folder of Save Trajectory may
            node = slot.node.replace(":", ".") if self.class_of(slot) == "MVG_SaveTrajectory" else slot.node
            graph[slot.node]["inputs"][slot.name] = prefix if len(savers) == 1 else f"{prefix}/{node}"
        tables = [slot for slot in self.slots("chain") if self.class_of(slot) == "MVG_ScoreTable"]
        if len(savers) == len(tables) == 1:  # then both speak of the one series that there is
            graph[tables[0].node]["inputs"]["chain"] = prefix
        if mask is not None:
            connect_mask(graph, self.image().node, mask)
        return graph


def with_plan(workflow: Workflow, text: str) -> Workflow:
    """A workflow in which a written plan takes the place of a report and of what reads it.

    Args:
        workflow: Stays as it is.
        text: The plan as Edit Plan takes it.
    """
    readers = {key for key, node in workflow.graph.items() if node["class_type"] in ("MVG_LoadReport", "MVG_Recaption")}
    graph = {key: node for key, node in copy.deepcopy(workflow.graph).items() if key not in readers}
    for node in graph.values():
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] in readers:
                node["inputs"][name] = ["written_plan", value[1]]
    graph["written_plan"] = {"class_type": "MVG_EditPlan", "inputs": {"text": text}, "_meta": {"title": "Written plan"}}
    return Workflow(workflow.name, graph)


def is_widget(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def is_link(value: Any) -> bool:
    """[id of a node, number of its output]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def validate_graph(graph: Any, name: str) -> Graph:
    """Check that something is a graph in API format that saves something.

    Args:
        graph: What JSON gave.
        name: What errors call it.

    Returns:
        The graph itself.

    Raises:
        CohortError: It is none, it saves nothing, or a link leads nowhere.
    """
    if isinstance(graph, dict) and "nodes" in graph:
        raise refuse("workflow", f"{name} is in the page's format: save it with Workflow -> Export (API)")
    nodes = graph.values() if isinstance(graph, dict) else []
    if not nodes or not all(isinstance(n, dict) and isinstance(n.get("inputs"), dict) for n in nodes):
        raise refuse("workflow", f"{name} is no workflow in ComfyUI's API format")
    if not all(isinstance(n.get("class_type"), str) for n in nodes):
        raise refuse("workflow", f"{name} is no workflow in ComfyUI's API format")
    loose = [
        f"{key} ({node['class_type']}) takes {name} from node {value[0]}, which is not there"
        for key, node in graph.items()
        for name, value in node["inputs"].items()
        if is_link(value) and value[0] not in graph
    ]
    if loose:
        raise CohortError(Problem("workflow", message) for message in loose)
    if not any(is_widget(node["inputs"].get(prefix)) for node in nodes for prefix in PREFIXES):
        raise refuse("workflow", f"{name} saves nothing: add a Save Trajectory node")
    return graph


def connect_mask(graph: Graph, image: str, name: str) -> None:
    """Connect a mask file wherever the graph uses a mask, brought to the image's square in the image's own way.

    Args:
        graph: Is changed.
        image: Id of the node that loads the image.
        name: Of the mask in the host's input folder.
    """
    loader, channel = "mask_file", "mask_channel"
    inputs = {**graph[image]["inputs"], "image": name}
    if graph[image]["class_type"] == "MVG_LoadMedicalImage":
        inputs["gray"] = False  # a mask may be painted in colour, whatever the image is
    graph[loader] = {"class_type": graph[image]["class_type"], "inputs": inputs}
    graph[channel] = {"class_type": "ImageToMask", "inputs": {"image": [loader, 0], "channel": "red"}}
    for node in graph.values():
        if "mask" in node["inputs"] or node["class_type"] == "MVG_PIELoop":
            node["inputs"]["mask"] = [channel, 0]


def parse(text: str, like: Value) -> Value:
    """A cell as a value of the type that the widget has.

    Args:
        text: The cell.
        like: The widget's value in the workflow.

    Raises:
        ValueError: Says what was wanted.
    """
    if isinstance(like, str):
        return text
    if isinstance(like, bool):
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise ValueError(f"got {text!r}, want true or false")
        return text.lower() in ("true", "yes", "1")
    try:
        return whole_or_not(text) if isinstance(like, int) else finite(text)
    except AmbiguousComma:
        raise ValueError(f"got {text!r}, want a number with a decimal point: its comma may part thousands") from None
    except ValueError:
        raise ValueError(f"got {text!r}, want a number") from None


def whole_or_not(text: str) -> int | float:
    """The page writes 7.0 as 7, so a 7 in a workflow may stand for either kind; the host says which it is."""
    try:
        return int(text)
    except ValueError:
        number = finite(text)
        return int(number) if number.is_integer() else number


class AmbiguousComma(ValueError):
    """1,500 is one and a half or fifteen hundred, as the country has it."""


def finite(text: str) -> float:
    """A number with a decimal point or comma; ValueError where it is none, AmbiguousComma where it may be two."""
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text):
        raise AmbiguousComma
    if re.fullmatch(r"[+-]?\d*,\d+", text):
        text = text.replace(",", ".")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value
