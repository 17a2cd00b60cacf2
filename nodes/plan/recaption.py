"""From a clinical report to a progression plan."""

import asyncio

from comfy_api.latest import io

from ...mvg.domains import Domain
from ...mvg.plan import NO_FINDING
from ...mvg.recaption import client, offline
from ...mvg.recaption.other_models import question_text
from ..support.cancellation import cancellable
from ..support.domains import domain_folder, stamp
from ..support.types import Plan
from . import endpoints

AUTO = "auto"
TIMEOUT, ATTEMPTS = 120.0, 4


class Recaption(io.ComfyNode):
    """Section 4.1 of the MVG paper: a language model, or rules in its place, which need no network and no key."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        domains = domain_folder().domains
        findings = dict.fromkeys(finding for domain in domains.values() for finding in domain.known)
        return io.Schema(
            node_id="MVG_Recaption",
            display_name="Recaption Report",
            category="MVG/plan",
            description="Turns a clinical report into the prompts of a progression, by rules that run offline or by a "
            "language model that the server's operator named.",
            search_aliases=["report to prompt", "progression plan", "recaption", "prompt", "llm", "language model"],
            accept_all_inputs=True,  # the host hides an engine that it does not know, and the rules would run for it
            inputs=[
                io.String.Input(
                    "report",
                    force_input=True,
                    tooltip="The report's text, from Load Report. A socket only: text typed into a widget would be "
                    "saved inside every picture.",
                ),
                io.Combo.Input(
                    "domain",
                    options=list(domains),
                    tooltip="Which kind of image the report is about: a built-in one, or one of your own in "
                    "models/mvg/domains.",
                ),
                io.Int.Input(
                    "stages",
                    default=6,
                    min=0,
                    max=99,
                    tooltip="N, the number of simulated stages after the input image. 0 gives the input image alone. "
                    f"A language model is asked for {client.MAX_STAGES} at most.",
                ),
                io.Combo.Input(
                    "mode",
                    options=list(offline.MODES),
                    tooltip="terminal: every stage is drawn towards the final state (the paper's choice). ladder: each "
                    "stage goes from the words of the one before to slightly worse ones, from what the report says to "
                    "severe. severity: every stage is drawn from the input image at a number between the words, so "
                    "that the steps are even.",
                ),
                io.Combo.Input(
                    "finding",
                    options=[AUTO, *findings],
                    tooltip="What progresses, one of the domain's findings. auto takes the finding that the report "
                    "makes most of.",
                ),
                io.Boolean.Input(
                    "strict",
                    display_name="stop if no finding",
                    default=True,
                    tooltip="On: a report without a finding of this domain, or one that the rules cannot read, is an "
                    "error. Off: it gives a plan of 'no finding', which leaves the image as it is.",
                ),
                io.DynamicCombo.Input(
                    "engine",
                    optional=True,
                    options=[
                        io.DynamicCombo.Option("offline", []),
                        io.DynamicCombo.Option("openai", cls.language_model()),
                    ],
                    tooltip="offline: rules, on this machine, for reports in English. openai: a language model behind "
                    "any address that speaks OpenAI's protocol, on this machine unless its operator allowed another. "
                    "Names, dates and numbers of persons that a title, a label or their form announces are taken out "
                    "of the report before it is sent; what nothing announces stays in it, so what must not leave "
                    "stays with an endpoint on this machine.",
                ),
                io.String.Input(
                    "model_findings",
                    optional=True,
                    force_input=True,
                    tooltip="What the model can draw, from Load Embedded Models or as words with commas between: the "
                    "plan is about one of these. Not connected: about any finding of the domain.",
                ),
            ],
            outputs=[
                Plan.Output("plan", tooltip="The prompt and the severity of every stage."),
                io.String.Output("text", tooltip="The plan in words, to read before the run."),
                io.String.Output(
                    "question",
                    tooltip="What to ask a language model of another node, such as Generate Text; its answer goes to "
                    "Edit Plan. It holds the report, without names, dates and numbers of persons.",
                ),
            ],
        )

    @staticmethod
    def language_model() -> list[io.Input]:
        return [
            io.Combo.Input(
                "endpoint",
                options=endpoints.names(),
                tooltip="A name of the server's file user/__mvg/endpoints.json. Only the name is stored in the "
                f"workflow; address, model and key stay on the server. {endpoints.where_reports_go()}",
            ),
            io.Float.Input(
                "timeout",
                optional=True,
                default=TIMEOUT,
                min=0.1,
                max=3600.0,
                step=1.0,
                tooltip="Seconds to wait for one answer. Models on a CPU may take minutes.",
            ),
            io.Int.Input(
                "attempts",
                optional=True,
                default=ATTEMPTS,
                min=1,
                max=10,
                advanced=True,
                tooltip="How often to ask at most where the endpoint is busy or breaks off; the wait between doubles "
                "from 1 second.",
            ),
            io.Boolean.Input(
                "other_findings",
                optional=True,
                default=False,
                advanced=True,
                tooltip="On: with the finding on auto, the model may also name one that the domain does not know, in 1 "
                "to 5 plain words, for a checkpoint of your own that draws it. These words are the model's own: read "
                "the plan before a run. Anatomical ROI then outlines the whole of the lungs, retina or lesion.",
            ),
        ]

    @classmethod
    def validate_inputs(
        cls, domain: str | None = None, finding: str | None = None, engine: object = None
    ) -> bool | str:
        if isinstance(engine, str):
            return f"engine: got {engine!r}, want offline or openai"
        folder = domain_folder()
        try:
            known = None if domain is None else folder.find(domain).known
        except ValueError as error:
            return str(error)
        if finding is None or finding == AUTO:
            return True
        every = tuple(name for other in folder.domains.values() for name in other.known)
        if finding not in every:
            return f"finding: got {finding!r}, want {AUTO} or one of {', '.join(dict.fromkeys(every))}"
        if known is not None and finding not in known:
            return f"finding: got {finding!r}, which is none of {domain}; want {AUTO} or one of {', '.join(known)}"
        return True

    @classmethod
    def fingerprint_inputs(cls, domain: str | None = None, engine: dict | None = None, **_: object) -> str:
        return stamp(domain) + (endpoints.fingerprint() if cls.is_language_model(engine) else "")

    @staticmethod
    def is_language_model(engine: dict | None) -> bool:
        return engine is not None and engine["engine"] == "openai"

    @classmethod
    async def execute(
        cls,
        report: str,
        domain: str,
        stages: int,
        mode: str,
        finding: str,
        strict: bool,
        engine: dict | None = None,
        model_findings: str | None = None,
        **_: object,  # inputs that the host does not know
    ) -> io.NodeOutput:
        kind = domain_folder().find(domain)
        known = model_draws(kind, model_findings)
        asked = report, kind, stages, mode, None if finding == AUTO else finding, known
        return await cancellable(cls.recaption(asked, strict, engine))

    @classmethod
    async def recaption(cls, asked: tuple, strict: bool, engine: dict | None) -> io.NodeOutput:
        plan = None
        if engine is not None and cls.is_language_model(engine):
            plan = await client.recaption(
                *asked,
                endpoint=endpoints.pick(engine["endpoint"]),
                cache=endpoints.answers(),
                timeout=engine.get("timeout") or TIMEOUT,
                attempts=engine.get("attempts") or ATTEMPTS,
                other=engine.get("other_findings", False),
            )
        if plan is None or (strict and plan.finding == NO_FINDING):
            # strict, after a model: the rules tell a report that calls all normal from one that says nothing of it
            rules = await asyncio.to_thread(offline.recaption, *asked, strict=strict)
            plan = plan or rules
        question = await asyncio.to_thread(question_text, *asked)
        return io.NodeOutput(plan, plan.to_text(), question)


def model_draws(domain: Domain, model_findings: str | None) -> tuple[str, ...] | None:
    """The findings that a model draws, as `offline.recaption` takes them.

    Args:
        domain: whose findings they are.
        model_findings: their names with commas between; None where the model is not known.

    Returns:
        The names, or None for any finding of the domain.

    Raises:
        ValueError: where a name is none of the domain's, or there is none.
    """
    if model_findings is None:
        return None
    drawn = tuple(name.strip() for name in model_findings.split(",") if name.strip())
    other = next((name for name in drawn if name not in domain.known), None)
    if other is not None or not drawn:
        raise ValueError(
            f"model_findings: got {other or 'none'!r}, want some of {domain.name}: {', '.join(domain.known)}"
        )
    return drawn
