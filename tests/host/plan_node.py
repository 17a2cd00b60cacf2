"""Custom nodes of the test server: a plan from JSON, of which a test may change any word, and a user's own model."""

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
        return io.NodeOutput(extension("mvg.plan").Plan.from_json(text))


class OwnModel(io.ComfyNode):
    """The host's own SD-1.x classes at a small size."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OwnModel",
            display_name="Own Model",
            category="tests",
            inputs=[],
            outputs=[io.Model.Output("model"), io.Clip.Output("clip"), io.Vae.Output("vae")],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*extension("models.embedded.loader").load("chest_xray")[:3])


def extension(name):
    """A module of the extension as the server has loaded it."""
    return next(module for key, module in sys.modules.items() if key.endswith(f"mvg_under_test.{name}"))


class Extension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [PlanFromJson, OwnModel]


async def comfy_entrypoint() -> ComfyExtension:
    return Extension()
