"""What a host will make of patients' reports, read before anything runs."""

from collections.abc import Mapping
from typing import Any

from ..launch.paths import WEIGHTS
from ..mvg.domains import BUILT_IN, Domain
from ..mvg.embedded_set import FINDINGS, find_loader, read_findings
from ..mvg.plan import NO_FINDING, Plan
from ..mvg.recaption.offline import recaption
from .workflow import Slot, Value, Workflow, is_link

RECAPTION = "MVG_Recaption"
PROGRESSIONS = ("MVG_PIELoop", "MVG_PIEStep")
AUTO = "auto"


class NotDrawn(ValueError):
    """A finding that the embedded model was never trained on. findings: those that it draws."""

    def __init__(self, finding: str, findings: tuple[str, ...]):
        super().__init__(
            f"report: is about {finding}, which the embedded model does not draw; it draws {', '.join(findings)}"
        )
        self.finding = finding
        self.findings = findings


class PlanReader:
    """Reads reports as the rules of a workflow will.

    Args:
        workflow: What shall run.
        domains: Those that are known here, by name; a host may have more.
    """

    def __init__(self, workflow: Workflow, domains: Mapping[str, Domain] = BUILT_IN):
        self.graph = workflow.graph
        self.domains = domains
        found = [key for key, node in self.graph.items() if node["class_type"] == RECAPTION]
        self.recaption = found[0] if len(found) == 1 and not self._is_edited() else None
        models = [n["inputs"].get("model") for n in self.graph.values() if n["class_type"] in PROGRESSIONS]
        self.loader = find_loader(self.graph.__getitem__, models[0]) if models else None
        self.plans: dict[tuple, Plan] = {}  # patients, seeds and settings share reports; one takes milliseconds

    def _is_edited(self) -> bool:
        return any(
            node["class_type"] == "MVG_EditPlan" and (node["inputs"].get("text") or "llm_text" in node["inputs"])
            for node in self.graph.values()
        )

    def plan(self, values: Mapping[Slot, Value], report: str) -> Plan | None:
        """The plan of a report.

        Args:
            values: What a patient sets in the workflow.
            report: The text.

        Returns:
            The plan, or None where it is known to the host alone: there is no Recaption Report or there are several, a
            language model or an edited text makes the plan, or the domain lies on the host.

        Raises:
            ValueError: The report cannot be read, or its finding not be drawn; names the input first.
        """
        if self.recaption is None:
            return None
        inputs: dict[str, Any] = self.graph[self.recaption]["inputs"]
        inputs = {name: values.get(Slot(self.recaption, name), value) for name, value in inputs.items()}
        domain = self.domains.get(inputs.get("domain", ""))
        stages = inputs.get("stages")
        if domain is None or not isinstance(stages, int) or inputs.get("engine", "offline") != "offline":
            return None
        drawn = self.drawn(values)
        listed = inputs.get("model_findings")
        known = drawn or None if is_link(listed) else _words(listed)
        mode, strict = inputs.get("mode", "terminal"), inputs.get("strict", True)
        finding = None if inputs.get("finding", AUTO) == AUTO else inputs["finding"]
        key = (report, domain.name, stages, mode, finding, known, strict)
        if key not in self.plans:
            self.plans[key] = recaption(report, domain, stages, mode, finding, known, strict=strict)
        plan = self.plans[key]
        if drawn and plan.finding not in (*drawn, NO_FINDING):
            raise NotDrawn(plan.finding, drawn)
        return plan

    def drawn(self, values: Mapping[Slot, Value]) -> tuple[str, ...]:
        """What the workflow's embedded model draws; nothing where it is another model or its domain unknown here.

        Args:
            values: What a patient sets in the workflow.
        """
        if self.loader is None:
            return ()
        domain = values.get(Slot(self.loader, "domain"), self.graph[self.loader]["inputs"].get("domain", ""))
        return read_findings(WEIGHTS / FINDINGS, domain) if domain in BUILT_IN else ()


def _words(listed: object) -> tuple[str, ...] | None:
    """Names with commas between, as the widget has them."""
    return tuple(name.strip() for name in listed.split(",")) if isinstance(listed, str) and listed else None
