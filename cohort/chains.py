"""A chain is one patient with one seed. Its name is a hash of everything that its result depends on."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from .files import InputFile
from .manifest import Patient
from .models import Models, named_models
from .workflow import Graph, Workflow

FORMAT = 1  # goes into every id: one more when what is kept of a chain changes
ID_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Chain:
    """models: the weight files that it names, see models.named_models."""

    id: str
    patient: Patient
    seed: int
    models: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.patient.where}, seed {self.seed}"


def graph_of(workflow: Workflow, patient: Patient, seed: int, prefix: str) -> Graph:
    """The filled workflow that a host runs.

    Args:
        workflow: The form.
        patient: What fills it.
        seed: For every seed of it.
        prefix: Folder that it saves under, in the host's output folder.
    """
    return workflow.filled(patient.values, seed, patient.mask.name if patient.mask else None, prefix)


def uploads_of(patient: Patient) -> tuple[InputFile, ...]:
    """The files that a host needs for a patient."""
    return (*patient.files, patient.mask) if patient.mask else patient.files


def hashed_content(graph: Graph, models: dict[str, str]) -> dict:
    """What a chain's id is the hash of. Files are in the graph under the hash of their content."""
    nodes = {key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in graph.items()}
    return {"format": FORMAT, "graph": nodes, "models": models}


def chain_id(graph: Graph, models: dict[str, str]) -> str:
    """The id of a chain; titles and positions in the graph do not count.

    Args:
        graph: Filled with an empty prefix.
        models: File -> hash, from ``Models.hashes``.
    """
    text = json.dumps(hashed_content(graph, models), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LETTERS]


def expand(workflow: Workflow, patients: Iterable[Patient], models: Models) -> list[Chain]:
    """Every patient with each of its seeds, those with the same models one after the other.

    Args:
        workflow: What each chain runs.
        patients: The rows. Those that are equal in all but patient_id give chains with the same id, computed once.
        models: Hashes weight files.
    """
    chains = []
    for patient in patients:
        graph = graph_of(workflow, patient, 0, "")
        names = named_models(graph)
        hashes = models.hashes(names)
        for seed in patient.seeds:
            for slot in workflow.seeds():
                graph[slot.node]["inputs"][slot.name] = seed
            chains.append(Chain(chain_id(graph, hashes), patient, seed, names))
    rank = {names: n for n, names in reversed(list(enumerate(chain.models for chain in chains)))}
    return sorted(chains, key=lambda chain: rank[chain.models])


def shard(chains: list[Chain], index: int, count: int) -> list[Chain]:
    """A part of the chains: neighbours stay together, so that models stay loaded.

    Args:
        chains: All of them.
        index: Which part, from 1.
        count: Of how many.

    Raises:
        ValueError: There is no such part.
    """
    if not 1 <= index <= count:
        raise ValueError(f"shard: got {index}/{count}, want 1/{count} to {count}/{count}")
    ids = list(dict.fromkeys(chain.id for chain in chains))
    own = set(ids[len(ids) * (index - 1) // count : len(ids) * index // count])
    return [chain for chain in chains if chain.id in own]
