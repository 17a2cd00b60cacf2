"""The files that a ComfyUI says a prompt saved. It is not trusted: what it names is matched with what was sent."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..mvg.file_names import is_reserved

MAX_NAME_BYTES = 200
MAX_FILES = 10_000


class SavedFile(NamedTuple):
    """A file of the server's output folder. node: the submitted node that saved it."""

    node: str
    filename: str
    subfolder: str


def saved_files(outputs: Mapping[str, Any], submitted: Mapping[str, Any]) -> list[SavedFile]:
    """The files of a history entry's outputs: those of Save Trajectory, or of the host's own savers.

    Args:
        outputs: Node id -> what the node showed, as in ``/history``.
        submitted: The API graph that was submitted, by node id.

    Returns:
        The files, by node and name.

    Raises:
        ValueError: A node that was not submitted, or a name that is no plain file name on every system.
    """
    found = []
    for key, output in outputs.items():
        for filename, subfolder in _named(output):
            if not is_plain_name(filename):
                raise ValueError(f"it names the file {filename!r:.100}, want a plain file name")
            found.append(SavedFile(_submitted_node(key, submitted), filename, subfolder))
            if len(found) > MAX_FILES:
                raise ValueError(f"it names more than {MAX_FILES} files")
    return sorted(found)


def _named(output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(filename, subfolder) of what a node saved."""
    if "mvg_trajectory" in output:
        for folder in output["mvg_trajectory"]:
            for name in folder["files"]:
                yield name, str(folder["subfolder"])
        return
    for entries in output.values():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("type") == "output" and "filename" in entry:
                yield entry["filename"], str(entry.get("subfolder", ""))


def _submitted_node(key: str, submitted: Mapping[str, Any]) -> str:
    """The submitted node of that id, or the one that expanded into it: 6 for 6.0.0.stage.2."""
    parts = key.split(".")
    for count in range(len(parts), 0, -1):
        if (node := ".".join(parts[:count])) in submitted:
            return node
    raise ValueError(f"it answers for the node {key!r:.100}, which was not submitted")


def is_plain_name(name: Any) -> bool:
    """Whether a name is that of a file, and the same one, in a folder of any system: no path, device or stream."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and re.fullmatch(r'[^<>:"/\\|?*]+', name) is not None
        and not name.startswith((" ", "."))
        and not is_reserved(name)
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def target_paths(files: list[SavedFile], into: Path) -> list[Path]:
    """Where the files go: side by side, or a folder a node where several nodes saved.

    Args:
        files: From ``saved_files``.
        into: The folder of the results, which exists.

    Returns:
        A path for each file; the folders are there, the files are not.

    Raises:
        ValueError: A path that leads out of ``into``, through a link too, or two files of one path.
    """
    several = len({file.node for file in files}) > 1
    root, paths = into.resolve(), []
    for file in files:
        # the id of a node in a subgraph holds a colon, which no folder of Windows may
        folder = into / file.node.replace(":", ".") if several else into
        path = folder / file.filename
        if (several and not is_plain_name(folder.name)) or not path.resolve().is_relative_to(root):
            raise ValueError(f"node {file.node!r:.100} would save outside of the folder of the results")
        folder.mkdir(exist_ok=True)
        paths.append(path)
    if len(set(paths)) < len(paths):
        twice = next(path.name for n, path in enumerate(paths) if path in paths[:n])
        raise ValueError(f"it names the file {twice!r} twice")
    return paths
