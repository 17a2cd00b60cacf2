"""A cohort against the hosts that shall compute it: what would fail is said of all rows before anything runs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..client import ServerInfo
from .chains import Chain
from .models import named_models
from .problems import Problem
from .workflow import Slot, Value, Workflow

MASK_NODES = ("ImageToMask",)
SHOWN = 12


def node_classes(workflow: Workflow) -> frozenset[str]:
    """The node classes that a host needs for a workflow."""
    return frozenset(node["class_type"] for node in workflow.graph.values()) | frozenset(MASK_NODES)


def check(workflow: Workflow, chains: Iterable[Chain], facts: Sequence[ServerInfo]) -> list[Problem]:
    """Missing nodes and inputs, values that a host does not offer or allow.

    Args:
        workflow: What shall run.
        chains: All that shall.
        facts: What each host says of itself.

    Returns:
        A problem for each; values of a row with its row.
    """
    patients = {chain.patient.row: chain.patient for chain in chains}.values()
    problems: list[Problem] = []
    for fact in facts:
        for name in sorted(node_classes(workflow)):
            if fact.nodes.get(name) is None:
                problems.append(Problem(fact.worker, f"it has no node {name}: install or update what brings it"))
    if problems:
        return problems
    for fact in facts:
        place = "" if len(facts) == 1 else f" at {fact.worker}"
        for key, node in workflow.graph.items():
            entry = fact.nodes[node["class_type"]] or {}
            problems += [
                Problem("workflow", f"{key} ({node['class_type']}) lacks its input {name}{place}")
                for name in _lacking(entry, node["inputs"])
            ]
        seeds = workflow.seeds()
        set_by_rows = {slot for patient in patients for slot in patient.values} | set(seeds)
        told: dict[tuple[Slot, Value], str | None] = {}
        template = {
            Slot(key, name): value
            for key, node in workflow.graph.items()
            for name, value in node["inputs"].items()
            if isinstance(value, bool | int | float | str)
        }
        rows: list[tuple[str, dict[Slot, Value]]] = [
            ("workflow", {slot: value for slot, value in template.items() if slot not in set_by_rows})
        ]
        rows += [
            (
                patient.where,
                row_values(patient.values | dict.fromkeys(seeds, max(patient.seeds)), template, set_by_rows),
            )
            for patient in patients
        ]
        for where, values in rows:
            for slot, value in values.items():
                if (slot, value) not in told:
                    told[slot, value] = _wrong(workflow, slot, value, fact)
                if message := told[slot, value]:
                    problems.append(Problem(where, f"{slot.name}: {message}{place}"))
    return problems


def row_values(own: dict[Slot, Value], template: dict[Slot, Value], columns: set[Slot]) -> dict[Slot, Value]:
    """A row's values, with the workflow's own where its cell is empty."""
    return {slot: own.get(slot, template[slot]) for slot in sorted(columns)}


def _lacking(entry: dict[str, Any], inputs: dict[str, Any]) -> Iterator[str]:
    for name in entry.get("input", {}).get("required", {}):
        if name not in inputs and not any(given.startswith(f"{name}.") for given in inputs):
            yield name


def _wrong(workflow: Workflow, slot: Slot, value: Value, fact: ServerInfo) -> str | None:
    """Why a host would refuse a value; None where it would not, or nothing is known of it."""
    if workflow.is_file(slot):
        return None
    entry = fact.nodes[workflow.class_of(slot)] or {}
    inputs = entry.get("input", {})
    definition = inputs.get("required", {}).get(slot.name) or inputs.get("optional", {}).get(slot.name)
    if not definition:
        return None
    kind, limits = definition[0], definition[1] if len(definition) > 1 else {}
    options = kind if isinstance(kind, list) else limits.get("options") if kind == "COMBO" else None
    if options is not None and value not in options and not limits.get("multiselect"):
        few = ", ".join(map(str, options[:SHOWN])) + (", ..." if len(options) > SHOWN else "")
        what = "a file that the host has" if named_models({"": {"class_type": "", "inputs": {"": value}}}) else "one of"
        return f"got {value!r}, want {what}: {few or '(there is none)'}"
    if kind in ("INT", "FLOAT") and isinstance(value, str) and not _is_number(value):
        return f"got {value!r}, want a number"
    if kind == "INT" and isinstance(value, float) and not value.is_integer():
        return f"got {value}, want a whole number"  # a host would cut it off without a word
    if kind in ("INT", "FLOAT") and isinstance(value, int | float):
        low, high = limits.get("min", -math.inf), limits.get("max", math.inf)
        if not low <= value <= high:
            both = low > -math.inf and high < math.inf
            wanted = f"{low} to {high}" if both else f"at least {low}" if value < low else f"at most {high}"
            return f"got {value}, want {wanted}"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def versions(facts: Sequence[ServerInfo], recorded: dict[str, str] | None) -> list[Problem]:
    """Hosts whose versions differ.

    Args:
        facts: What each host says of itself.
        recorded: Versions that the output folder was begun with; None for those of the first host.
    """
    wanted = recorded or facts[0].versions
    told = ", ".join(f"{name} {version}" for name, version in sorted(wanted.items()))
    return [
        Problem(
            fact.worker,
            "it runs "
            + ", ".join(f"{name} {version}" for name, version in sorted(fact.versions.items()))
            + f", the {'chains that are there' if recorded else 'first host'} {told}: results may differ "
            "(--any-version allows it)",
        )
        for fact in facts
        if any(wanted.get(name, version) != version for name, version in fact.versions.items())
    ]
