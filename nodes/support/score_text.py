"""Scores as the text that goes from node to node."""

import json


def parse_scores(name: str, text: str) -> dict:
    """The score that a node wrote as JSON; ValueError naming the input where it is something else."""
    try:
        scores = json.loads(text)
        if isinstance(scores, dict) and isinstance(scores["values"], list):
            return scores
    except (ValueError, KeyError):
        pass
    raise ValueError(f"{name}: got text that is no score, want the JSON of a score node (with a list of values)")
