"""Whether a report is in English, the only language that the rules read.

Much of medicine is written alike in many languages, and only the words round it tell that "sin edema" has none.
"""

import re

from .fold import fold

_WORD = re.compile(r"[^\W\d_]{2,}")
# Of German, Dutch, the Nordic and the Romance languages, Polish and Czech, without what English reports hold too, in
# names and abbreviations ("ET tube", "per se", "de novo", "LOS").
_OTHER = frozenset(
    _WORD.findall("""
    und oder der dem eine einer eines einem einen kein keine keiner keinen keinem ohne nicht mit ist sind wird bei beim
    auf zum zur nach beidseits beiderseits kleiner grosser deutlich rechtsseitig linksseitig anhalt
    geen zonder niet het een aan naar wordt beiderzijds ingen inga inget utan uten uden och og ikke inte eller
    sin ni el del por para sus una unos unas izquierdo izquierda derecho derecha signos hallazgos
    senza nessun nessuna assenza della dello delle degli dei nel nella sinistro sinistra destro destra segni
    sem uma esquerdo esquerda direito direita ambos sinais
    les une pas avec sans aucun aucune dans sur gauche droit droite pour signe
    nie bez brak jest oraz
    """)
)
_ENGLISH = frozenset(
    _WORD.findall("""
    the of is are was were has have had been be and with without or to for from on at by this that there which not nor
    as but may it its any new old seen within evidence since than now dr day days year years reported mild moderate
    severe small large trace minimal marked left right lower upper lung lungs heart size effusion effusions cardiomegaly
    consolidation opacity opacities clear unchanged stable enlarged chest findings impression patient retinopathy lesion
    skin eye disc suspected possible hemorrhage hemorrhages exudates border borders pigment asymmetric irregular
    """)
)


def is_english(report: str) -> bool:
    """Whether a text has no more words of other languages than of English.

    A word with an accent counts half, as it may be a name, and a single one for nothing. A text with words of neither
    is taken as English: a line of findings ("Edema, melanoma.") has no more.

    Args:
        report: the text.

    Returns:
        False for one of another language.
    """
    words = _WORD.findall(fold(report).lower())
    other = sum(_weight(word) for word in words)
    return other < 1 or other <= sum(word in _ENGLISH for word in words)


def _weight(word: str) -> float:
    if word.isascii():
        return float(word in _OTHER)
    return 0.5 if re.search("[a-z]", word) else 1.0
