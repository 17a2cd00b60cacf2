"""A finding that a domain does not know, as a language model may name it where it is asked to."""

from collections.abc import Container
from dataclasses import replace

from ..domains import Domain, Finding
from ..domains.domain import by_name
from ..domains.patterns import any_of, plain
from ..plan import NO_FINDING, Plan
from .grading import grade
from .language import read_sentence
from .negation import NEGATION
from .sides import sides

MAX_NAME = 60
_WORD = "[A-Za-z]+(?:-[A-Za-z]+)*"
NAME = rf"{_WORD}(?: {_WORD}){{0,4}}"
WANTED = f"1 to 5 words of letters and hyphens, at most {MAX_NAME} characters"
_NO_NAME = any_of("normal", "healthy", "unremarkable", "and", "or", "with")


def name_problem(name: str, domain: Domain, known: Container[str]) -> str:
    """What is wrong with the name of a finding.

    Args:
        name: in lower case, of the form NAME.
        domain: the kind of image.
        known: the findings that the model was told of.

    Returns:
        What is wanted instead; "" for one of ``known``, for another finding of the domain that a plan can be about, and
        for a plain name of what the domain does not know.
    """
    if name in known:
        return ""
    if name in domain.findings and name not in domain.known:
        return f"want one that gets worse, which {name} does not"
    own = name in domain.known
    if not own and (
        _NO_NAME.search(name)
        or NEGATION.search(name)
        or domain.clear.search(name)
        or grade("", name, "")
        or sides(name)
    ):
        return "want the plain name of one finding, without side, severity or negation"
    mentioned = [mention.finding for mention in read_sentence(name, domain)]
    named = next((finding for finding in mentioned if finding in known), "" if own else "".join(mentioned[:1]))
    if not named:
        return ""
    if named not in domain.known:
        return f"want one that gets worse, which {named} does not"
    return f"want it as {named}, one of the domain"


def with_finding(domain: Domain, name: str) -> Domain:
    """A domain that also knows a finding, so that prompts with it are read as any other.

    Args:
        domain: the kind of image.
        name: the finding's.

    Returns:
        The domain itself where it knows the finding; else one in which the finding lies in the region of the domain, on
        a side where findings of the domain do.
    """
    if name in domain.findings:
        return domain
    finding = Finding(name, any_of(plain(name)), region=domain.rule, rule=domain.rule, sided=bool(domain.sided))
    return replace(domain, findings=by_name([*domain.findings.values(), finding]))


def note_on(plan: Plan, domain: Domain) -> str:
    """What to know of a plan whose finding its domain does not know.

    Args:
        plan: of the domain.
        domain: the kind of image.

    Returns:
        A sentence; "" where the domain knows the finding.
    """
    if plan.finding == NO_FINDING or plan.finding in domain.findings:
        return ""
    return (
        f"{plan.finding} is no finding of {domain.name}: it takes a model that draws it, and Anatomical ROI outlines "
        f"the {domain.rule}"
    )
