"""Where the server's operator names language models, and where their answers are kept.

Both lie in a system folder of the host, which its web server gives to nobody.
"""

import hashlib
from pathlib import Path

import folder_paths

from ...mvg.recaption.endpoints import Endpoint, EndpointError, load_endpoints, pick_endpoint

NONE = "(the server names none)"


def folder() -> Path:
    """This extension's system folder."""
    return Path(folder_paths.get_system_user_directory("mvg"))


def file() -> Path:
    """The operator's file of endpoints."""
    return folder() / "endpoints.json"


def answers() -> Path:
    """The folder of the kept answers."""
    return folder() / "recaption"


def names() -> list[str]:
    """What the node offers. A file that cannot be used offers nothing; `pick` says why."""
    try:
        return list(load_endpoints(file())) or [NONE]
    except EndpointError:
        return [NONE]


def where_reports_go() -> str:
    """Which endpoints are on another machine, in words."""
    try:
        there = [name for name, endpoint in load_endpoints(file()).items() if not endpoint.is_loopback]
    except EndpointError as error:
        return f"The file cannot be used: {error}."
    if not there:
        return "All of them are on this machine."
    return f"A report leaves this machine for: {', '.join(there)}."


def pick(name: str) -> Endpoint:
    """The endpoint of a name.

    Args:
        name: what the node's list offered.

    Returns:
        The endpoint.

    Raises:
        EndpointError: saying what is wrong with the file or the name.
    """
    endpoints = load_endpoints(file())
    if not endpoints:
        raise EndpointError("endpoint: the server names none; its operator does in user/__mvg/endpoints.json")
    return pick_endpoint(endpoints, name)


def fingerprint() -> str:
    """Changes with the file. A stamp, as what a node returns here is written into every picture."""
    try:
        stat = file().stat()
    except OSError:
        return "none"
    return hashlib.sha256(f"{stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:16]
