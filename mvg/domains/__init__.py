"""What the product knows of each kind of image: its findings, their words in reports and prompts, and their places."""

from collections.abc import Mapping
from types import MappingProxyType

from .chest_xray import CHEST_XRAY
from .domain import Domain, Finding
from .fundus import FUNDUS
from .skin import SKIN

__all__ = ["BUILT_IN", "Domain", "Finding", "find_domain"]

BUILT_IN: Mapping[str, Domain] = MappingProxyType({domain.name: domain for domain in (CHEST_XRAY, FUNDUS, SKIN)})


def find_domain(domain: str | Domain, among: Mapping[str, Domain] = BUILT_IN) -> Domain:
    """The domain of a name.

    Args:
        domain: its name; a Domain is taken as it is.
        among: the domains there are, by name.

    Returns:
        The domain.

    Raises:
        ValueError: for an unknown name; the message names those there are.
    """
    if isinstance(domain, Domain):
        return domain
    if domain not in among:
        raise ValueError(f"domain: got {domain!r}, want one of {', '.join(among)}")
    return among[domain]
