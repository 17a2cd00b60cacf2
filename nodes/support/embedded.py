"""Whether the embedded model of a workflow can draw what a plan is about."""

from comfy_execution.graph import DynamicPrompt

from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS
from ...mvg.plan import NO_FINDING, Plan


def check_drawable(plan: Plan, prompt: DynamicPrompt, model: list) -> None:
    """Refuse a plan that the connected embedded model was never trained on, before anything is computed.

    Args:
        plan: what is to be drawn.
        prompt: the workflow that runs.
        model: the link of the MODEL. One that leads to no Load Embedded Models is any other, which may draw anything.

    Raises:
        ValueError: naming the plan's finding and those that the model draws.
    """
    domain = _embedded_domain(prompt, model)
    if domain not in DOMAINS or plan.finding == NO_FINDING:
        return
    drawn = loader.drawn_findings(domain)
    if plan.finding not in drawn:
        raise ValueError(
            f"plan: got {plan.finding}, which the embedded {domain} model does not draw, want one of "
            f"{', '.join(drawn)}; connect its model findings to Recaption Report"
        )


def _embedded_domain(prompt: DynamicPrompt, link: object) -> object:
    """The domain of the Load Embedded Models that a MODEL comes from, through LoRAs and the like."""
    seen: set[str] = set()
    while isinstance(link, list) and link[0] not in seen:
        seen.add(link[0])
        node = prompt.get_node(link[0])
        if node["class_type"] == "MVG_LoadEmbedded":
            return node["inputs"].get("domain")
        link = node["inputs"].get("model")
    return None
