"""The domains there are: the built-in ones and those of models/mvg/domains, also where extra_model_paths has them."""

import logging
from functools import cache
from pathlib import Path

import folder_paths

from ...mvg.domains.files import DomainFolder, load_domains


def _folders() -> list[Path]:
    return [Path(folder) / "domains" for folder in folder_paths.get_folder_paths("mvg")]


def domain_folder() -> DomainFolder:
    """All domains as their files are now; what is wrong with a file is logged once."""
    found = load_domains(_folders())
    for error in found.errors.values():
        _warn(error)
    return found


def stamp(domain: str | None) -> str:
    """For a node's fingerprint_inputs: another text once the file of a domain has changed; "" where it has none."""
    files = [folder / f"{domain}.toml" for folder in _folders() if domain and Path(domain).name == domain]
    return " ".join(str(file.stat().st_mtime_ns) for file in files if file.is_file())


@cache
def _warn(error: str) -> None:
    logging.warning("MVG: %s", error)
