"""Files of a user's own below the host's model folder ``mvg``: found by the names the host knows, never by a path."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import folder_paths


@dataclass(frozen=True)
class ModelFolder:
    """models/mvg/``name``, there and in extra_model_paths: files of one ``kind``, and ``advice`` if there is none."""

    name: str
    suffixes: tuple[str, ...]
    kind: str
    advice: str

    def files(self) -> list[str]:
        """The names of its files, with forward slashes: a workflow names a file alike on every system."""
        return list(self._listed())

    def _listed(self) -> dict[str, str]:
        """Name with forward slashes -> as the host has it, with the separator of its system."""
        names = {_portable(name): name for name in folder_paths.get_filename_list("mvg")}
        return {
            name: listed
            for name, listed in names.items()
            if PurePosixPath(name).parts[0] == self.name and PurePosixPath(name).suffix.lower() in self.suffixes
        }

    def find(self, name: str, what: str = "file") -> Path:
        """ValueError with the input's name, ``what``, where the name is not one of `files`, by either separator."""
        known = self._listed()
        if _portable(name) not in known:
            here = ", ".join(known) or f"which holds none; {self.advice}"
            raise ValueError(f"{what}: got {name!r}, want a {self.kind} of models/mvg/{self.name}: {here}")
        return Path(folder_paths.get_full_path_or_raise("mvg", known[_portable(name)]))

    def check(self, name: str | None, what: str = "file") -> bool | str:
        """For a node's validate_inputs: True, or what is wrong with the name. None: over a link, not known yet."""
        if name is None:
            return True
        try:
            self.find(name, what)
        except ValueError as error:
            return str(error)
        return True

    def stamp(self, name: str | None) -> str:
        """For a node's fingerprint_inputs: another text once the file has changed. None as for `check`."""
        return "" if name is None else f"{name} {self.find(name).stat().st_mtime_ns}"


def _portable(name: str) -> str:
    return PureWindowsPath(name).as_posix()


CLASSIFIERS = ModelFolder(
    "classifiers", (".safetensors", ".pt", ".pth"), "classifier", "put a .safetensors, .pt, .pth file there"
)
INCEPTION = ModelFolder("inception", (".pth", ".pt"), "network", "put pt_inception-2015-12-05.pth there")
MEDSAM = ModelFolder(
    "medsam",
    (".safetensors", ".pth", ".pt", ".bin"),
    "checkpoint",
    "put medsam_vit_b.pth there, or the model.safetensors of wanglab/medsam-vit-base",
)
SEINE = ModelFolder(
    "seine",
    (".safetensors", ".pt", ".pth", ".ckpt", ".bin"),
    "checkpoint",
    "convert seine.pt with run.py convert, or put it there as it is",
)
