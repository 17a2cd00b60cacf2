"""Files of weights: read as tensors alone, whoever made them, and written whole or not at all."""

import contextlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SHOWN = 3


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the block finds wrong with a file, OSError or ValueError, as a ValueError that names the file."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def first_of(names: Iterable[object]) -> str:
    """The first names in words, and whether there are more: "a, b, c, ..."; "nothing" where there are none."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "") or "nothing"


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """-> (tensors, metadata). ValueError, which does not name the file, where it is none; OSError where unreadable."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"not a readable safetensors file, truncated perhaps ({error})") from error


def read_torch(path: Path, want: str = "tensors alone; code in a file is never run") -> Any:
    """What a file of torch.save holds; code in it is refused, never run. Errors as `read_safetensors`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError:
        raise
    except Exception as error:  # torch answers a damaged file with whatever its bytes happen to break
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(f"holds {found[1]}, want {want}") from error
        raise ValueError("not a file of torch.save, or a truncated one") from error


def read_named(path: Path, layouts: str, never: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """-> (what a safetensors file or one of torch.save holds by name, its metadata). Errors as `read_safetensors`.

    layouts: what is wanted, for the errors; never: what else than code is not taken, from a comma or full stop on.
    """
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path)
    held = read_torch(path, f"tensors alone: {layouts}. Code in a file is never run{never}")
    if not isinstance(held, dict):
        raise ValueError(f"got {type(held).__name__}, want {layouts}")
    return held, {}


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """-> (tensors, config, all metadata) of a file of ours: the metadata key ``config`` is the shape as JSON.

    Raises ValueError naming the file where it is not such a file.
    """
    try:
        state, metadata = read_safetensors(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: not a readable safetensors file ({error})") from error
    if "config" not in metadata:
        raise ValueError(f'{path.name}: got no metadata key "config", want the network\'s shape as JSON there')
    try:
        return state, json.loads(metadata["config"]), metadata
    except ValueError as error:
        raise ValueError(f"{path.name}: the metadata key config is not readable as JSON ({error})") from error


def convert(
    path: Path, read: Callable[[], tuple[Mapping[str, Tensor], Mapping[str, Any]]], example: str, *, overwrite: bool
) -> Path:
    """Writes what ``read`` gives, tensors and config, beside a file of torch.save as safetensors; returns the new file.

    ValueError: safetensors already (``example``: the name of a file that is none), or the new file exists and
    ``overwrite`` is off.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = path.with_suffix(".safetensors")
    if path == target:
        raise ValueError(f"{path.name}: is safetensors already, want a file of torch.save such as {example}")
    if target.exists() and not overwrite:
        raise ValueError(f"{target.name}: exists already; remove it, or convert with --overwrite")
    state, config = read()
    temporary = target.with_suffix(".safetensors.part")
    try:
        save_file(dict(state), temporary, metadata={"format": "pt", "config": json.dumps(config)})
        shutil.copymode(path, temporary)  # safetensors makes files for their owner alone
        temporary.replace(target)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{target.name}: cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target
