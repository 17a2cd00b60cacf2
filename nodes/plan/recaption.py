"""From a clinical report to a progression plan."""

import asyncio

from comfy_api.latest import io

from ...models.embedded.architecture import DOMAINS
from ...mvg.domains import BUILT_IN
from ...mvg.plan import NO_FINDING
from ...mvg.recaption import client, offline
from ...mvg.recaption.other_models import question_text
from ..support.cancellation import cancellable
from ..support.types import Plan
from . import endpoints

AUTO = "auto"
TIMEOUT, ATTEMPTS = 120.0, 4
FINDINGS = tuple(finding for domain in BUILT_IN.values() for finding in domain.known)


class Recaption(io.ComfyNode):
    """Section 4.1 of the MVG paper: a language model, or rules in its place, which need no network and no key."""

    @classmethod
    def define_schema(cls) -> io.Schema:
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
                io.Combo.Input("domain", options=list(DOMAINS), tooltip="Which kind of image the report is about."),
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
                    options=["terminal", "ladder"],
                    tooltip="terminal: every stage is drawn towards the final state (the paper's choice). ladder: each "
                    "stage goes from the words of the one before to slightly worse ones, from what the report says to "
                    "severe.",
                ),
                io.Combo.Input(
                    "finding",
                    options=[AUTO, *FINDINGS],
                    tooltip="What progresses, one of the domain's findings. auto takes the finding that the report "
                    "makes most of.",
                ),
                io.Boolean.Input(
                    "strict",
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
                    "Names, dates and numbers of persons are taken out of the report before it is sent, by rules; no "
                    "rule finds all of them, so what must not leave stays with an endpoint on this machine.",
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
                f"workflow; address, model and key stay on the server. {endpoints.who_leaves()}",
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
        ]

    @classmethod
    def validate_inputs(
        cls, domain: str | None = None, finding: str | None = None, engine: object = None
    ) -> bool | str:
        if isinstance(engine, str):
            return f"engine: got {engine!r}, want offline or openai"
        if domain is not None and domain not in BUILT_IN:
            return f"domain: got {domain!r}, want one of {', '.join(BUILT_IN)}"
        if finding is None or finding == AUTO:
            return True
        if finding not in FINDINGS:
            return f"finding: got {finding!r}, want {AUTO} or one of {', '.join(FINDINGS)}"
        if domain is not None and finding not in BUILT_IN[domain].known:
            own = ", ".join(BUILT_IN[domain].known)
            return f"finding: got {finding!r}, which is none of {domain}; want {AUTO} or one of {own}"
        return True

    @classmethod
    def fingerprint_inputs(cls, engine: dict | None = None, **_: object) -> str:
        return endpoints.fingerprint() if cls.asks(engine) else ""

    @staticmethod
    def asks(engine: dict | None) -> bool:
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
        **_: object,  # inputs that the host does not know
    ) -> io.NodeOutput:
        asked = report, domain, stages, mode, None if finding == AUTO else finding
        return await cancellable(cls.recaption(asked, strict, engine))

    @classmethod
    async def recaption(cls, asked: tuple, strict: bool, engine: dict | None) -> io.NodeOutput:
        plan = None
        if engine is not None and cls.asks(engine):
            plan = await client.recaption(
                *asked,
                endpoint=endpoints.pick(engine["endpoint"]),
                cache=endpoints.answers(),
                timeout=engine.get("timeout") or TIMEOUT,
                attempts=engine.get("attempts") or ATTEMPTS,
            )
        if plan is None or (strict and plan.finding == NO_FINDING):
            # strict, after a model: the rules tell a report that calls all normal from one that says nothing of it
            rules = await asyncio.to_thread(offline.recaption, *asked, strict=strict)
            plan = plan or rules
        question = await asyncio.to_thread(question_text, *asked)
        return io.NodeOutput(plan, plan.to_text(), question)
