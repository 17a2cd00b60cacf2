"""Whether a picture shows anything: nearly all black or nearly all white is said, whatever made it so."""

from torch import Tensor

SHARE = 0.995
DARK, LIGHT = 0.1, 0.9


def exposure_note(image: Tensor) -> str | None:
    """A warning where a picture's histogram lies at one end.

    Args:
        image: [H, W, C] in [0, 1].

    Returns:
        One phrase where at least 99.5 % of the values are below 0.1, or above 0.9; None for any other picture.
    """
    values = image.flatten()
    if (values < DARK).float().mean() >= SHARE:
        end, side = "black", f"below {DARK:g}"
    elif (values > LIGHT).float().mean() >= SHARE:
        end, side = "white", f"above {LIGHT:g}"
    else:
        return None
    return f"nearly all {end} ({SHARE * 100:g} % of its values are {side}): look at it before it is used"
