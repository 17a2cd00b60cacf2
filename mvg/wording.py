"""Words that several errors share."""


def one_or(count: int) -> str:
    """How many of something are wanted: one for all, or one for each.

    Args:
        count: how many there are.

    Returns:
        "1", or such as "1 or 3".
    """
    return "1" if count == 1 else f"1 or {count}"
