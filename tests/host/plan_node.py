"""A custom node of the test server: a plan from its JSON, so that a test may change any word of it."""

import sys

from comfy_api.latest import ComfyExtension, io


class PlanFromJson(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="PlanFromJson",
            display_name="Plan from JSON",
            category="tests",
            inputs=[io.String.Input("text")],
            outputs=[io.Custom("MVG_PLAN").Output("plan")],
        )

    @classmethod
    def execute(cls, text) -> io.NodeOutput:
        module = next(module for name, module in sys.modules.items() if name.endswith("mvg_under_test.mvg.plan"))
        return io.NodeOutput(module.Plan.from_json(text))


class Extension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [PlanFromJson]


async def comfy_entrypoint() -> ComfyExtension:
    return Extension()
