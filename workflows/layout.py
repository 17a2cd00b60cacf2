"""Where the nodes of every page workflow stand, and what the page alone shows beside those of the API twin."""

from dataclasses import dataclass

Place = tuple[str, int, int]
"""Node id (or "note"), width, least height in pixels; 0: as high as the page makes it; COLLAPSED: its title alone."""
COLLAPSED = -1


@dataclass(frozen=True)
class Group:
    """A box of the page: columns of places.

    title: "" for no box.
    at: "right" of all boxes before it, at the top; "beside" the box before it, in its row; "below" that row.
    """

    title: str
    colour: str
    columns: tuple[tuple[Place, ...], ...]
    at: str = "right"


BLUE, SLATE, GOLD, PURPLE, GREEN, BROWN = "#3f789e", "#88a", "#b58b2a", "#a1309b", "#8a8", "#b06634"
# as high as they are after a run: PIE Loop shows its stages and the last picture of its work, Save Trajectory stages
# and film
LOOP, SAVE = 1010, 1090
TEXT, IMAGES, MASK = ("PreviewAny", "source"), ("PreviewImage", "images"), ("MaskPreview", "mask")


def column(*places: str | Place, width: int = 320) -> tuple[Place, ...]:
    """Places from top to bottom; a bare id takes the width of the column."""
    return tuple(place if isinstance(place, tuple) else (place, width, 0) for place in places)


def preview(kind: tuple[str, str], title: str, node: int, slot: int = 0) -> dict:
    class_type, socket = kind
    return {"class_type": class_type, "inputs": {socket: [str(node), slot]}, "_meta": {"title": title}}


def inputs(*loaders: str | Place, note: int = 520) -> Group:
    """Note, models, image and report."""
    return Group(
        "Input", BLUE, (column(("note", 400, note), *loaders, width=400), column(("2", 300, 460), "3", width=300))
    )


def plan(*more: str | Place, width: int = 300) -> Group:
    words = column("4", *more, ("101", width, 330), width=width)
    return Group("Plan", SLATE, (words, column("5", ("102", 240, 160), ("103", 240, 280), width=240)))


def scores(conf: str, clip_i: str, plot: str, difference: str, *loaders: str, at: str = "below") -> Group:
    numbers = column(*loaders, conf, ("105", 270, 110), clip_i, ("106", 270, 110), width=270)
    pictures = column(plot, ("108", 366, 280), difference, ("107", 366, 260), width=366)
    return Group("Scores", GREEN, (numbers, pictures), at=at)


PROGRESSION = Group("Progression", GOLD, (column(("6", 320, LOOP), ("104", 320, 330)),))


def film(*places: str | Place, title: str = "Film", width: int = 340) -> Group:
    return Group(title, PURPLE, (column(*places, width=width),))


def saved(*places: str | Place, width: int = 400) -> Group:
    return Group("Save", BROWN, (column(*places, width=width),))


def front_previews(found: str = "How the chest was found", plan_node: int = 4) -> dict[str, dict]:
    return {
        "101": preview(TEXT, "Plan in words", plan_node, 1),
        "102": preview(TEXT, found, 5, 1),
        "103": preview(MASK, "Outline", 5),
        "104": preview(IMAGES, "Stages", 6),
    }


def score_previews(conf: int, clip_i: int, difference: int, plot: int) -> dict[str, dict]:
    return {
        "105": preview(TEXT, "Conf of the last stage", conf, 1),
        "106": preview(TEXT, "Mean CLIP-I", clip_i, 1),
        "107": preview(IMAGES, "Difference maps", difference),
        "108": preview(IMAGES, "Plot of the scores", plot),
    }


EMBEDDED = (
    inputs("1"),
    plan(),
    PROGRESSION,
    film(("7", 640, 630)),
    scores("8", "9", "11", "10"),
    saved(("12", 400, SAVE)),
)
BY_MODEL = (scores("10", "11", "13", "12", at="right"), saved(("14", 400, SAVE)))


def compared(title: str, *numbers: str, shown: str, films: str, colour: str = GREEN) -> Group:
    """One method of a comparison: its scores, their table as text, and what is saved of it."""
    return Group(
        title, colour, (column(*numbers, (shown, 340, 560), width=340), column((films, 400, SAVE))), at="beside"
    )


def stage(n: int) -> Group:
    """Words, painted mask, step and picture of one stage of mvg_stage_by_stage."""
    first = 10 * n + 10
    words, painted, where, step, decoded, blended = (str(first + k) for k in range(6))
    left = column((words, 320, 120), (painted, 320, 380), where, (f"11{n}", 320, 240))
    right = column((step, 320, 640), decoded, blended, (f"12{n}", 320, 260))
    return Group(f"Stage {n}", GOLD, (left, right))


def method(n: int, title: str, progression: str) -> Group:
    """A row of mvg_compare_baselines."""
    first = 20 + 10 * n
    conf, clip_i, table, plot, save = (str(first + k) for k in range(5))
    return Group(
        title,
        (GOLD, PURPLE, GREEN)[n],
        (
            column((progression, 320, 700 if n else LOOP), (f"11{n}", 320, 300)),
            column(conf, (f"12{n}", 300, 110), clip_i, (f"13{n}", 300, 110), table, width=300),
            column(plot, (f"14{n}", 400, 300), width=400),
            column((save, 400, SAVE)),
        ),
        at="below" if n else "right",
    )


SUBGRAPH = "sub"
"""The id that stands in LAYOUT for the subgraph of SUBGRAPHS."""
START = (
    Group(
        "",
        BLUE,
        (
            column(("note", 310, 246), ("2", 310, 486), ("1", 310, COLLAPSED), width=310),
            column("3", "4", "5", SUBGRAPH, width=270),
            column(("6", 310, 860), width=310),
            column(("12", 510, 860), width=510),
        ),
    ),
)
"""As large as is readable when the page shows all of it: at most 1480 x 880 pixels."""

SUBGRAPHS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    name: ("Film and scores", (("7", "8"), ("9", "10", "11")))
    for name in ("mvg_start_chest_xray", "mvg_start_fundus", "mvg_start_skin")
}
"""Name of a workflow -> title of its subgraph, and the columns of nodes in it."""
SOCKETS = {"model": "film model", "scores": "conf", "scores_1": "clip_i"}
"""Names that sockets of the subgraph get in place of their nodes' own."""

LAYOUT: dict[str, tuple[Group, ...]] = {
    **dict.fromkeys(SUBGRAPHS, START),
    "mvg_chest_xray": EMBEDDED,
    "mvg_fundus": EMBEDDED,
    "mvg_skin": EMBEDDED,
    "mvg_sd14_seine": (
        inputs("1", note=700),
        plan(),
        PROGRESSION,
        film("7", ("8", 340, 630)),
        scores("11", "12", "14", "13", "9", "10", at="right"),
        saved(("15", 400, SAVE)),
    ),
    "mvg_sd3": (
        inputs("1", "7", note=620),
        plan(),
        PROGRESSION,
        film("8", "9", ("10", 340, 630)),
        Group("Change", GREEN, (column("11", ("107", 340, 330), width=340),)),
        saved(("12", 400, SAVE)),
    ),
    "mvg_diffusers_finetune": (
        inputs("1", "7", "8", note=640),
        plan(),
        PROGRESSION,
        film(("9", 340, 0)),
        Group("Change", GREEN, (column("10", ("107", 340, 330), width=340),)),
        saved(("11", 400, SAVE)),
    ),
    "mvg_stage_by_stage": (
        inputs("1", note=760),
        plan(),
        Group("As a latent", SLATE, (column("6", "7", ("8", 300, 120), width=300),)),
        Group(
            "Round trip",
            GREEN,
            (
                column(("9", 300, 430), "10", ("11", 300, 460), width=300),
                column("12", ("109", 300, 280), "13", "14", ("115", 300, 260), width=300),
            ),
            at="below",
        ),
        stage(1),
        stage(2),
        stage(3),
        Group("All stages", PURPLE, (column("50", ("104", 320, 300)),)),
        scores("51", "52", "54", "53", at="right"),
        saved(("55", 400, SAVE)),
    ),
    "mvg_severity": (
        inputs("1", note=760),
        plan(),
        Group(
            "Scale",
            BLUE,
            (
                column(*((str(n), 320, 110) for n in range(10, 14)), width=320),
                column(*map(str, range(15, 19)), "20", "21", "22", width=260),
            ),
        ),
        Group("As a latent", SLATE, (column("6", "7", ("8", 300, 280), width=300),)),
        Group(
            "Stages",
            GOLD,
            (column(("30", 320, 480), ("31", 320, 420)), column("32", "33", "34", "50", ("104", 320, 300))),
        ),
        Group(
            "One severity by the host's sampler",
            PURPLE,
            (
                column("40", "41", "42", "43", width=300),
                column("44", "45", "46", ("109", 300, 280), "47", "48", width=300),
            ),
            at="below",
        ),
        Group("Film", PURPLE, (column(("56", 340, 630), width=340),), at="right"),
        scores("51", "52", "54", "53"),
        saved(("55", 400, SAVE)),
    ),
    "mvg_compare_baselines": (
        inputs("1", note=560),
        plan(),
        Group(
            "Two sets for the extrapolation",
            BLUE,
            (column("8", "9", "10", width=300), column("11", "12", "13", width=300)),
        ),
        method(0, "PIE", "6"),
        method(1, "SD Walk", "7"),
        method(2, "Extrapolation", "14"),
        Group("All three", SLATE, (column(("50", 900, 760), ("150", 900, 240), width=900),)),
    ),
    "mvg_compare_image_to_video": (
        inputs("1", note=800),
        plan(),
        Group("Scores of all", SLATE, (column("9", "10"),)),
        Group("MVG", GOLD, (column(("6", 320, LOOP), ("104", 320, 300)), column("7", ("8", 340, 630), width=340))),
        compared("Scores of MVG", "11", "12", "13", shown="105", films="14", colour=GOLD),
        Group(
            "CogVideoX",
            PURPLE,
            (
                column("20", "21", "22", ("23", 320, 220), ("24", 320, 100)),
                column("25", "26", "27", "28", "29", width=300),
                column("30", "31", "32", "33", width=300),
                column("34", "35", "36", "37", width=300),
            ),
            at="below",
        ),
        compared("Scores of CogVideoX", "38", "39", "40", shown="106", films="41", colour=PURPLE),
        Group(
            "A clip from a file",
            GREEN,
            (column(("50", 320, 400), "51"), column("52", "53", "54", "55", width=300)),
            at="below",
        ),
        compared("Scores of the clip", "56", "57", "58", shown="107", films="59"),
    ),
    "mvg_compare_pixverse": (
        inputs(note=560),
        Group("Finding for Conf", SLATE, (column("4", ("101", 300, 330), width=300),)),
        Group(
            "PixVerse", PURPLE, (column(("11", 360, 460), "12", width=360), column("13", "14", "15", "16", width=300))
        ),
        Group("Scores of all", SLATE, (column("9", "10"),)),
        compared("Scores of PixVerse", "17", "18", "19", shown="105", films="20", colour=PURPLE),
    ),
    "mvg_longitudinal": (
        inputs("1", ("7", 400, 460), note=720),
        plan(),
        PROGRESSION,
        Group(
            "Beside the later image",
            PURPLE,
            (column("8", ("109", 520, 300), ("110", 520, 300), width=520), column("14", "15", "16", ("107", 320, 300))),
        ),
        Group(
            "Scores",
            GREEN,
            (
                column("9", ("105", 280, 110), "10", ("111", 280, 110), "11", ("106", 280, 110), width=280),
                column("12", ("108", 380, 290), "13", ("112", 380, 420), width=380),
            ),
        ),
        saved(("17", 400, SAVE)),
    ),
    "mvg_cohort_kid": (
        Group(
            "Input",
            BLUE,
            (column(("note", 400, 700), "1", width=400), column("2", "7", "8", ("112", 300, 320), "3", width=300)),
        ),
        plan(),
        Group("One outline a patient", SLATE, (column("9", "10", "11", width=260),)),
        PROGRESSION,
        Group("Real pictures with the finding", BLUE, (column("14", "15", "16", ("113", 300, 320), width=300),)),
        Group(
            "KID",
            GREEN,
            (
                column("12", "13", "17", ("114", 300, 110), "18", ("115", 300, 110), width=300),
                column("19", "20", width=340),
            ),
        ),
        Group("Every patient", BROWN, (column("21", "22", ("23", 400, SAVE), width=400),)),
    ),
    "mvg_dicom": (
        inputs("1", ("109", 400, 200), ("110", 400, 110), note=660),
        plan(),
        PROGRESSION,
        scores("7", "8", "10", "9", at="right"),
        saved(("11", 400, SAVE)),
    ),
    "mvg_medsam": (
        inputs("1", note=640),
        plan(),
        PROGRESSION,
        scores("7", "8", "10", "9", at="right"),
        saved(("11", 400, SAVE)),
    ),
    "mvg_llm_recaption": (inputs("1", note=620), plan(("7", 420, 420), width=420), PROGRESSION, *BY_MODEL),
    "mvg_llm_local": (
        inputs("1", note=620),
        plan("8", ("9", 420, 300), ("7", 420, 420), width=420),
        PROGRESSION,
        *BY_MODEL,
    ),
    "mvg_transition_wan": (
        inputs("1"),
        plan(),
        PROGRESSION,
        Group(
            "Wan",
            PURPLE,
            (
                column("7", "8", "9", "10", "11", width=300),
                column("12", "13", ("14", 300, 120), ("15", 300, 120), width=300),
                column("16", "17", "18", "19"),
            ),
        ),
        Group("Film", GREEN, (column("20", width=300),)),
        saved("21", "22", ("23", 340, 420), ("24", 340, 420), width=340),
    ),
    "mvg_transition_interpolation": (
        inputs("1"),
        plan(),
        PROGRESSION,
        film("7", "8", "9", width=320),
        saved("10", "11", ("12", 340, 420), ("13", 340, 420), width=340),
    ),
}

PREVIEWS: dict[str, dict[str, dict]] = {
    **{name: {} for name in SUBGRAPHS},
    "mvg_chest_xray": front_previews() | score_previews(8, 9, 10, 11),
    "mvg_fundus": front_previews("How the retina was found") | score_previews(8, 9, 10, 11),
    "mvg_skin": front_previews("How the lesion was found") | score_previews(8, 9, 10, 11),
    "mvg_sd14_seine": front_previews() | score_previews(11, 12, 13, 14),
    "mvg_sd3": front_previews() | {"107": preview(IMAGES, "Difference maps", 11)},
    "mvg_diffusers_finetune": front_previews() | {"107": preview(IMAGES, "Difference maps", 10)},
    "mvg_stage_by_stage": front_previews()
    | score_previews(51, 52, 53, 54)
    | {
        "115": preview(TEXT, "Table of the round trip", 14),
        "104": preview(IMAGES, "Stages", 50),
        "109": preview(IMAGES, "Round trip in red, image in cyan", 13, 3),
    }
    | {f"11{n}": preview(MASK, f"Region of stage {n}", 10 * n + 12) for n in (1, 2, 3)}
    | {f"12{n}": preview(IMAGES, f"Picture of stage {n}", 10 * n + 15) for n in (1, 2, 3)},
    "mvg_severity": front_previews()
    | score_previews(51, 52, 53, 54)
    | {"104": preview(IMAGES, "Stages", 50), "109": preview(IMAGES, "Severity 0.4", 45)},
    "mvg_compare_baselines": {k: v for k, v in front_previews().items() if k != "104"}
    | {f"11{n}": preview(IMAGES, "Stages", node) for n, node in enumerate((6, 7, 14))}
    | {f"12{n}": preview(TEXT, "Conf of the last stage", 20 + 10 * n, 1) for n in range(3)}
    | {f"13{n}": preview(TEXT, "Mean CLIP-I", 21 + 10 * n, 1) for n in range(3)}
    | {f"14{n}": preview(IMAGES, "Plot", 23 + 10 * n) for n in range(3)}
    | {"150": preview(TEXT, "Scores of all three", 50, 1)},
    "mvg_compare_image_to_video": front_previews()
    | {str(105 + n): preview(TEXT, "Table", node) for n, node in enumerate((13, 40, 58))},
    "mvg_compare_pixverse": {"101": preview(TEXT, "Plan in words", 4, 1), "105": preview(TEXT, "Table", 19)},
    "mvg_longitudinal": front_previews()
    | {
        "105": preview(TEXT, "Conf of the last stage", 9, 1),
        "106": preview(TEXT, "Mean CLIP-I", 11, 1),
        "107": preview(IMAGES, "Difference", 16),
        "108": preview(IMAGES, "Plot of the scores", 12),
        "109": preview(IMAGES, "Overlay: before and after registration", 8, 3),
        "110": preview(IMAGES, "Later image and last stage", 15),
        "111": preview(TEXT, "Conf of the later image, as a number", 10, 1),
        "112": preview(TEXT, "Table", 13),
    },
    "mvg_cohort_kid": front_previews()
    | {
        "104": preview(IMAGES, "Last stages", 13),
        "112": preview(IMAGES, "Start images", 8),
        "113": preview(IMAGES, "Real pictures", 16),
        "114": preview(TEXT, "KID before", 17, 1),
        "115": preview(TEXT, "KID after", 18, 1),
    },
    "mvg_dicom": front_previews()
    | score_previews(7, 8, 9, 10)
    | {"109": preview(TEXT, "What the file held", 2, 1), "110": preview(TEXT, "Pixel spacing", 2, 2)},
    "mvg_medsam": front_previews("What MedSAM looked at") | score_previews(7, 8, 9, 10),
    "mvg_llm_recaption": front_previews(plan_node=7) | score_previews(10, 11, 12, 13),
    "mvg_llm_local": front_previews(plan_node=7) | score_previews(10, 11, 12, 13),
    "mvg_transition_wan": front_previews(),
    "mvg_transition_interpolation": front_previews(),
}
