"""The text of a report in plain characters, so that rules meet one form of every space, dash, quote and letter."""

import re
import unicodedata
from collections.abc import Callable

MAX_MARKS = 4  # combining marks kept on one letter before they are composed; Vietnamese needs two

_PHRASES = "\ufdfa\ufdfb"  # one character each, which NFKC spells out as up to 18
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u2800\u3000\u3164"
_LINES = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d\u02d7"
_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u2035\u00b4\u02b9\u02bb\u02bc\u02c8\u0060\uff07\uff40"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\uff02"
_PLAIN = str.maketrans(
    {
        **dict.fromkeys(_SPACES + _PHRASES, " "),
        **dict.fromkeys(_LINES, "\n"),
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys(_QUOTES, "'"),
        **dict.fromkeys(_DOUBLE_QUOTES, '"'),
        **dict.fromkeys("\u2044\u2215", "/"),
        **dict.fromkeys("\u2236\ua789", ":"),
    }
)
_VULGAR = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e\u2189])")
_POWER = re.compile(r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u2070-\u207b])")
# Marks of no script of their own: on Latin letters what did not compose is noise, those of other scripts are letters.
_LOOSE = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_GAP = re.compile(r"[ \t]*\t[ \t]*| {3,}")


def fold(text: str) -> str:
    """The text with compatible characters unified (NFKC) and one form of every space, dash, quote and line end.

    Letters with accents stay, composed into one character each; marks that compose with nothing, characters without
    width and control characters go. Digits of every script are 0 to 9, "5½" is "5 1/2" and "10⁹" is "10^9". A gap of
    three spaces or more, or with a tab, is one tab; no line ends in spaces, and at most one empty line stands between
    two. Folding twice is folding once.

    Args:
        text: Any text.

    Returns:
        The folded text. It can be longer: one character may stand for up to 6.
    """
    text = text.replace("\r\n", "\n").translate(_PLAIN)
    if text.isascii():
        text = _CONTROL.sub("", text)
    else:
        text = _each(_POWER.sub("^", _VULGAR.sub(" ", text)), _character)
        text = _LOOSE.sub("", unicodedata.normalize("NFKC", _few_marks(text)).translate(_PLAIN))
    lines = (_GAP.sub("\t", line).strip(" \t") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def without_accents(text: str) -> str:
    """A folded text with the base letter in place of every accented one; as long as the text, character for character.

    Args:
        text: What `fold` gave.

    Returns:
        A text of the same length: "Müller" is "Muller"; "ß", "ø" and letters of other scripts stay.
    """
    if text.isascii():
        return text
    return _each(text, _base)


def _each(text: str, change: Callable[[str], str]) -> str:
    return text.translate({ord(c): change(c) for c in set(text) if not c.isascii() or not c.isprintable()})


def _few_marks(text: str) -> str:
    """At most MAX_MARKS combining marks in a row, as sorting them takes the square of their number."""
    marks = "".join(c for c in set(text) if unicodedata.combining(c))
    return re.sub(f"([{marks}]{{{MAX_MARKS}}})[{marks}]+", r"\1", text) if marks else text


def _character(c: str) -> str:
    """A digit of any script as 0 to 9; nothing for what is neither seen nor parts lines."""
    if c in "\n\t":
        return c
    category = unicodedata.category(c)
    if category == "Nd":
        return str(unicodedata.digit(c))
    return "" if category in ("Cc", "Cf") else c


def _base(c: str) -> str:
    first = unicodedata.normalize("NFD", c)[0]
    return first if first.isalpha() else c
