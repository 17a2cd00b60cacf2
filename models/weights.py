"""Files of weights: read as tensors alone, whoever made them, and written whole or not at all."""

import contextlib
import json
import pickletools
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SHOWN = 3
MAX_TUPLES = 100_000
"""A tensor takes three in a pickle. Python hashes nested ones without a bound, and so many more end the process."""
MAX_PICKLE_BYTES = 64 << 20
"""Of the names and shapes in a file of torch.save; those of the released SEINE take 0.2 MB."""


@contextlib.contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Makes what the block finds wrong with a file name that file.

    Args:
        path: the file.

    Yields:
        Nothing.

    Raises:
        ValueError: for an OSError, a ValueError or a RecursionError of the block.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    except RecursionError as error:
        raise ValueError(f"{path.name}: is nested too deeply, want tensors by name") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


@contextlib.contextmanager
def on_meta_device(most: int) -> Iterator[None]:
    """Builds the networks of the block without memory for their weights, on torch's meta device.

    Args:
        most: tensors that the file holds; a network of many more is not built to its end.

    Yields:
        Nothing.

    Raises:
        ValueError: what the file says of its network makes none, or one of more tensors.
    """
    thread, left = threading.get_ident(), 4 * most + 4096

    def count(*_: Any) -> None:
        nonlocal left
        left -= threading.get_ident() == thread
        if left < 0:
            raise ValueError(f"describes a network of many more tensors than its {most}")

    handle = torch.nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            yield
    except ValueError:
        raise
    except (RuntimeError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError) as error:
        raise ValueError(f"describes no network ({type(error).__name__}: {error})") from error
    finally:
        handle.remove()


def check_plain(state: Mapping[str, Tensor]) -> None:
    """Looks whether tensors are plain numbers in memory, as many as their shapes say.

    Args:
        state: tensors by name.

    Raises:
        ValueError: naming a tensor that is sparse, quantized, without values, or one value repeated to a large shape.
    """
    for name, tensor in state.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not plain or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise ValueError(f"{name}: got {list(tensor.shape)} with fewer values than that, want a plain tensor")


def check_shapes(state: Mapping[str, Tensor], network: torch.nn.Module) -> None:
    """Compares tensors with a network's; tensors that it does not have are left alone.

    Args:
        state: tensors by name.
        network: what they are for, perhaps on the meta device.

    Raises:
        ValueError: naming the first tensor that is missing or of another shape.
    """
    want = network.state_dict()
    if missing := [name for name in want if name not in state]:
        raise ValueError(f"got no tensor {missing[0]!r} ({len(missing)} missing), want what config names")
    for name, tensor in want.items():
        if (got := list(state[name].shape)) != list(tensor.shape):
            raise ValueError(f"{name}: got {got}, want {list(tensor.shape)}, as config says")


def read_json(key: str, text: str) -> Any:
    """A metadata value.

    Args:
        key: its name, for the errors.
        text: JSON.

    Returns:
        What the text says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"metadata key {key}: is nested too deeply, want JSON of a few levels") from error
    except ValueError as error:
        raise ValueError(f"metadata key {key}: not readable as JSON ({error})") from error


def first_names(names: Iterable[object]) -> str:
    """The first three names in words.

    Args:
        names: any number.

    Returns:
        "a, b, c, ..." where there are more; "nothing" where there are none.
    """
    listed = [str(name) for name in names]
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "") or "nothing"


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a safetensors file.

    Args:
        path: the file.

    Returns:
        Its tensors by name, and its metadata.

    Raises:
        ValueError: it is none; the message does not name it, see `errors_naming`.
        OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"not a readable safetensors file, truncated perhaps ({error})") from error


def read_torch(path: Path, want: str = "tensors alone; code in a file is never run") -> Any:
    """Reads a file of torch.save as tensors alone; code in it is refused, never run.

    Args:
        path: the file.
        want: what is wanted, for the errors.

    Returns:
        What was saved; its tensors are mapped from the file where it is of the newer layout.

    Raises:
        ValueError: it is no such file, or holds code; the message does not name the file, see `errors_naming`.
        OSError: it cannot be read.
    """
    try:
        _check_pickle(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, RecursionError, _TooMuch):
        raise
    except Exception as error:  # torch answers a damaged file with whatever its bytes happen to break
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(f"holds {found[1]}, want {want}") from error
        raise ValueError("not a file of torch.save, or a truncated one") from error


class _TooMuch(ValueError):
    """A file whose structure would take more memory or stack than its tensors can need."""


def _check_pickle(path: Path) -> None:
    """Looks at what a file of torch.save would build before torch builds it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise _TooMuch("holds compressed records, want a file as torch.save writes it")
            (pickled,) = (entry for entry in entries if entry.filename.endswith("/data.pkl"))
            if pickled.file_size > MAX_PICKLE_BYTES:
                raise _TooMuch(f"holds {pickled.file_size} bytes of names and shapes, want at most {MAX_PICKLE_BYTES}")
            with archive.open(pickled) as file:
                _check_tuples(file, 1)
    else:
        with open(path, "rb") as file:
            _check_tuples(file, 4)  # magic number, protocol, machine, content; raw values follow


def _check_tuples(file: Any, pickles: int) -> None:
    left = MAX_TUPLES
    for _ in range(pickles):
        for opcode, _, _ in pickletools.genops(file):
            left -= opcode.name.startswith("TUPLE")
            if left < 0:
                raise _TooMuch(f"holds more than {MAX_TUPLES} tuples, want tensors by name")


def read_named(path: Path, layouts: str, never: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """Reads a safetensors file or one of torch.save, by its suffix.

    Args:
        path: the file.
        layouts: what is wanted, for the errors.
        never: what else than code is not taken, from a comma or full stop on.

    Returns:
        What it holds by name, and its metadata (of torch.save: none).

    Raises:
        ValueError: it is neither, or nothing by name; the message does not name the file, see `errors_naming`.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path)
    held = read_torch(path, f"tensors alone: {layouts}. Code in a file is never run{never}")
    if not isinstance(held, dict):
        raise ValueError(f"got {type(held).__name__}, want {layouts}")
    return held, {}


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """Reads a file of this extension: safetensors whose metadata key ``config`` is the network's shape as JSON.

    Args:
        path: the file.

    Returns:
        Its tensors by name, its config, and all its metadata.

    Raises:
        ValueError: naming the file where it is not such a file.
    """
    try:
        state, metadata = read_safetensors(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: not a readable safetensors file ({error})") from error
    with errors_naming(path):
        if "config" not in metadata:
            raise ValueError('got no metadata key "config", want the network\'s shape as JSON there')
        config = read_json("config", metadata["config"])
        if not isinstance(config, dict):
            raise ValueError(f"metadata key config: got {type(config).__name__}, want a JSON object")
    return state, config, metadata


def convert(
    path: Path, read: Callable[[], tuple[Mapping[str, Tensor], Mapping[str, Any]]], example: str, *, overwrite: bool
) -> Path:
    """Writes a file of torch.save beside itself as safetensors, whole or not at all.

    Args:
        path: the file.
        read: gives its tensors by name, and the config that goes into the metadata.
        example: the name of such a file, for the errors.
        overwrite: whether an earlier safetensors file of its name may go.

    Returns:
        The new file.

    Raises:
        ValueError: ``path`` is safetensors already, the new file exists and ``overwrite`` is off, or it cannot be
            written; and what ``read`` raises.
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
