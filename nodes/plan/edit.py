"""The plan as text: shown, edited, or taken from what a language model of another node wrote."""

import asyncio
from dataclasses import replace

from comfy_api.latest import io, ui

from ...mvg.plan import Plan, PlanError
from ...mvg.plan_text import note_changes, parse_plan, plan_text
from ...mvg.recaption.answer import AnswerError
from ...mvg.recaption.other_finding import note_on
from ...mvg.recaption.other_models import plan_in
from ..support import types
from ..support.cancellation import cancellable
from ..support.domains import domain_folder


class EditPlan(io.ComfyNode):
    """Section 4.1 of the MVG paper, with a person or any language model in the workflow as its author."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_EditPlan",
            display_name="Edit Plan",
            category="MVG/plan",
            description="Shows the progression plan as text, takes it back edited, or reads it from what a language "
            "model of another node wrote. Whatever comes in, a valid plan or an error goes out.",
            search_aliases=["edit prompts", "show plan", "progression plan", "llm", "text to plan"],
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="The plan as it shall be. Empty: the plan that comes in, as it is. Run once, press 'edit "
                    "this plan', change what you like and run again. It is saved in the workflow and in every picture: "
                    "put no word of a report here.",
                ),
                types.Plan.Input(
                    "plan",
                    optional=True,
                    tooltip="From Recaption Report. A text or an answer has to be of its domain, an answer also of its "
                    "number of stages.",
                ),
                io.String.Input(
                    "llm_text",
                    optional=True,
                    force_input=True,
                    tooltip="What a language model wrote, asked with the question of Recaption Report. Counts where "
                    "the text above is empty.",
                ),
            ],
            outputs=[
                types.Plan.Output("plan", tooltip="The plan, checked."),
                io.String.Output("text", tooltip="The plan in words, with its notes."),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        try:
            if text and text.strip():
                parse_plan(text)
        except PlanError as error:
            return str(error)
        return True

    @classmethod
    async def execute(cls, text: str, plan: Plan | None = None, llm_text: str | None = None) -> io.NodeOutput:
        return await cancellable(asyncio.to_thread(cls.edit, text, plan, llm_text))

    @classmethod
    def edit(cls, text: str, plan: Plan | None, llm_text: str | None) -> io.NodeOutput:
        edited, by = plan, ""
        if text.strip():
            edited, by = parse_plan(text), "edited by hand"
        elif llm_text is not None:
            try:
                edited, by = plan_in(llm_text, plan, domain_folder().domains), "by a language model of this workflow"
            except AnswerError as error:
                raise AnswerError(f"llm_text: {error}") from None
        if edited is None:
            raise PlanError("plan: got none, want a connected plan, a text, or a connected llm_text")
        if by and plan is not None:
            edited = note_changes(plan, edited, by)
        domain = domain_folder().domains.get(edited.domain)
        note = note_on(edited, domain) if by and domain else ""
        if note and note not in edited.notes:
            edited = replace(edited, notes=(*edited.notes, note))
        return io.NodeOutput(edited, edited.to_text(), ui=ui.PreviewText(plan_text(edited)))
