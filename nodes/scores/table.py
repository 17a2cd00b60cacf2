"""Every score of a run in one table."""

from comfy_api.latest import io, ui

from ...mvg.metrics.table import merge, rows_of, to_csv
from ...mvg.metrics.table_text import by_stage
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
        given = {name: parse_scores(name, text) for name, text in scores.items() if text}
        table = to_csv(merge(*(rows_of(score, chain) for score in given.values())))
        # other findings than the one that progresses are in the CSV alone
        shown = merge(*(rows_of({k: v for k, v in score.items() if k != "all"}, chain) for score in given.values()))
        return io.NodeOutput(table, ui=ui.PreviewText(by_stage(shown)))
