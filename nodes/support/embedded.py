"""Whether the embedded model of a workflow was made for what it is given, before anything is computed."""

from functools import lru_cache
from pathlib import Path

import torch
from comfy_execution.graph import DynamicPrompt

from ...models.densenet import Classifier, load_densenet
from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS
from ...mvg.embedded_set import find_loader, image_notes, start_note
from ...mvg.metrics.conf import label_key
from ...mvg.plan import NO_FINDING, Plan


def check_embedded(plan: Plan, image: torch.Tensor, prompt: DynamicPrompt, model: list) -> list[str]:
    """Refuse a plan that the connected embedded model was never trained on, and say what else lies outside of it.

    Args:
        plan: what is to be drawn.
        image: [B, H, W, 3] in [0, 1], what it starts from.
        prompt: the workflow that runs.
        model: the link of the MODEL. One that leads to no Load Embedded Models is any other, which may draw anything.

    Returns:
        A sentence each on the image's size, its color, and a finding that it shows already.

    Raises:
        ValueError: naming the plan's finding and those that the model draws.
    """
    found = find_loader(prompt.get_node, model)
    domain = None if found is None else prompt.get_node(found)["inputs"].get("domain")
    if not isinstance(domain, str) or domain not in DOMAINS:
        return []
    notes = image_notes(image, domain)
    if plan.finding == NO_FINDING:
        return notes
    drawn = loader.drawn_findings(domain)
    if plan.finding not in drawn:
        raise ValueError(
            f"plan: got {plan.finding}, which the embedded {domain} model does not draw, want one of "
            f"{', '.join(drawn)}; connect its model findings to Recaption Report"
        )
    path = loader.find_weights("classifier", domain)
    return notes + _start_notes(plan.finding, image, _classifier(path, path.stat().st_mtime_ns))


def _start_notes(finding: str, image: torch.Tensor, classifier: Classifier) -> list[str]:
    labels = [label_key(label) for label in classifier.outputs]
    shown = image.flatten(1).amax(dim=1) > image.flatten(1).amin(
        dim=1
    )  # of one color all over a classifier says nothing
    if label_key(finding) not in labels or not shown.any():
        return []
    conf = classifier.conf(image[shown])[:, labels.index(label_key(finding))]
    note = start_note(finding, float(conf.max()))
    return [note] if note else []


@lru_cache(maxsize=len(DOMAINS))
def _classifier(path: Path, _changed: int) -> Classifier:
    return load_densenet(path)
