"""A good answer of a language model, and with changes a bad one."""

WORDS = ("mild", "moderate", "severe")


def answer(**changes):
    """Three stages of a left effusion, ``changes`` made to each."""
    stages = [
        {
            "rationale": "Fluid grows at the base.",
            "finding": "pleural effusion",
            "severity": severity,
            "region": "left lung base",
            "prompt": f"frontal chest x-ray, {word} left pleural effusion",
            **changes,
        }
        for word, severity in zip(WORDS, (0.3, 0.6, 0.9), strict=True)
    ]
    return {"side": "left", "stages": stages}
