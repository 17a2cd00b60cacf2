"""Every score of a run in one table."""

from comfy_api.latest import io

from ...mvg.metrics.table import merge, rows_of, to_csv
from ...mvg.metrics.table_text import by_stage, markdown, of_target
from ..support.score_text import parse_scores

MOST = 12


class ScoreTable(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_ScoreTable",
            display_name="Score Table",
            category="MVG/metrics",
            description="Puts scores into one tidy table: chain, stage, metric, value, model, settings.",
            search_aliases=["csv", "parquet", "pandas", "spreadsheet"],
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "chain",
                    default="patient-1",
                    tooltip="Name of this patient and seed in the table. It is saved with the workflow: no real name.",
                ),
                io.Autogrow.Input(
                    "scores",
                    tooltip="Any number of scores.",
                    template=io.Autogrow.TemplatePrefix(
                        io.String.Input("scores", force_input=True, tooltip="Scores of any score node, or a curve."),
                        prefix="scores_",
                        min=1,
                        max=MOST,
                    ),
                ),
            ],
            outputs=[
                io.String.Output("table", tooltip="The table as CSV text; on the node it is rounded, a row a stage.")
            ],
        )

    @classmethod
    def execute(cls, chain: str, scores: dict[str, str | None]) -> io.NodeOutput:
        rows = merge(*(rows_of(parse_scores(name, text), chain) for name, text in scores.items() if text))
        cells = by_stage(of_target(rows))  # other findings are in the CSV alone
        return io.NodeOutput(to_csv(rows), ui={"text": [markdown(cells)], "mvg_table": cells})
