"""Several methods side by side: one picture with a row each, and one table."""

from collections.abc import Mapping

import torch
from comfy_api.latest import io, ui

from ...mvg.finite import check_finite
from ...mvg.metrics.plot import comparison_sheet
from ...mvg.metrics.table import from_csv
from ...mvg.metrics.table_text import by_method, markdown, of_target

MOST = 6


class ComparisonSheet(io.ComfyNode):
    """The figures of section 5.1 that show methods below each other, and the table beside them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_ComparisonSheet",
            display_name="Comparison Sheet",
            category="MVG/metrics",
            description="The stages of several methods on one sheet, a row each, and their scores in one table.",
            search_aliases=["compare methods", "contact sheet", "grid", "baselines"],
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "names", multiline=True, default="PIE\nSD Walk", tooltip="The names of the methods, a line each."
                ),
                io.Autogrow.Input(
                    "states",
                    tooltip="The stages of each method, the input image first, in the order of the names.",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("states", tooltip="Stages, the input image first."),
                        prefix="states_",
                        min=1,
                        max=MOST,
                    ),
                ),
                io.Autogrow.Input(
                    "tables",
                    tooltip="Score Table of each method, in the same order.",
                    template=io.Autogrow.TemplatePrefix(
                        io.String.Input("table", force_input=True, tooltip="From Score Table."),
                        prefix="tables_",
                        min=1,
                        max=MOST,
                    ),
                ),
            ],
            outputs=[
                io.Image.Output("sheet", tooltip="A row a method, a column a stage."),
                io.String.Output("table", tooltip="A row a method: Conf at its last stage, CLIP-I as a mean."),
            ],
        )

    @classmethod
    def execute(
        cls, names: str, states: Mapping[str, torch.Tensor | None], tables: Mapping[str, str | None]
    ) -> io.NodeOutput:
        titles = [line.strip() for line in names.splitlines() if line.strip()]
        rows = [images for images in states.values() if images is not None]
        scores = [from_csv(text, name) for name, text in tables.items() if text]
        for name, given in (("states", rows), ("tables", scores)):
            if len(given) != len(titles):
                raise ValueError(f"{name}: got {len(given)}, want {len(titles)}, one for each line of names")
        if len(set(titles)) != len(titles):
            raise ValueError(f"names: got {', '.join(titles)}, want different ones")
        for title, images in zip(titles, rows, strict=True):
            check_finite(f"states of {title}", images)
        sheet = comparison_sheet(dict(zip(titles, rows, strict=True)))[None]
        cells = by_method({title: of_target(found) for title, found in zip(titles, scores, strict=True)})
        shown = ui.PreviewImage(sheet, cls=cls).as_dict()
        return io.NodeOutput(sheet, markdown(cells), ui={**shown, "text": [markdown(cells)], "mvg_table": cells})
