"""Words of a server in an error of ours: short, on one line, without a key, an address or a word of the report."""

import re

MAX_WORDS, MAX_CHARACTERS = 24, 160
KEY_PART = 6  # characters of a key in a row that show it
GAP = "..."
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can cannot for from has have i in is it its no not of on or that the this to was "
        "were with you your",
    )
)


def safe_words(said: str, report: str, key: str = "") -> str:
    """The first words of what a server said.

    Args:
        said: an error message, a refusal, the text of a web page.
        report: as the user gave it; its words are left out, but for such as "the" and "is".
        key: the endpoint's key, of which no part is shown.

    Returns:
        At most 24 words and 160 characters, with "..." where something is left out; "" where no word is left.
    """
    of_report = set(re.findall(r"\w+", report.casefold())) - _COMMON
    of_key = {key[i : i + KEY_PART] for i in range(len(key) - KEY_PART + 1)} or ({key} if key else set())
    words: list[str] = []
    for word in said[:2000].split()[:MAX_WORDS]:
        word = "".join(c for c in word if c.isprintable())
        secret = any(part in word for part in of_key) or re.search(r"://|[@*]|^\W*sk-|\w{33}", word)
        if secret or not of_report.isdisjoint(re.findall(r"\w+", word.casefold())):
            word = GAP
        if word and not (word == GAP and words[-1:] == [GAP]):
            words.append(word)
    text = " ".join(words)[:MAX_CHARACTERS].rstrip()
    return text if re.search(r"[^\W\d_]", text) else ""
