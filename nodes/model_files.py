"""Files of a user's own below the host's model folder ``mvg``: found by the names the host knows, never by a path."""

from dataclasses import dataclass
from pathlib import Path, PurePath

import folder_paths


@dataclass(frozen=True)
class ModelFolder:
    """models/mvg/``name``, there and in extra_model_paths: files of one ``kind``, and ``advice`` if there is none."""

    name: str
    suffixes: tuple[str, ...]
    kind: str
    advice: str

    def files(self) -> list[str]:
        """The names of its files as the host has them."""
        names = folder_paths.get_filename_list("mvg")
        return [n for n in names if PurePath(n).parts[0] == self.name and PurePath(n).suffix.lower() in self.suffixes]

    def find(self, name: str, what: str = "file") -> Path:
        """ValueError with the input's name, ``what``, where the name is not one of `files`."""
        known = self.files()
        if name not in known:
            here = ", ".join(known) or f"which holds none; {self.advice}"
            raise ValueError(f"{what}: got {name!r}, want a {self.kind} of models/mvg/{self.name}: {here}")
        return Path(folder_paths.get_full_path_or_raise("mvg", name))

    def check(self, name: str) -> bool | str:
        """For a node's validate_inputs: True, or what is wrong with the name."""
        try:
            self.find(name)
        except ValueError as error:
            return str(error)
        return True

    def stamp(self, name: str) -> str:
        """For a node's fingerprint_inputs: another text once the file has changed."""
        return f"{name} {self.find(name).stat().st_mtime_ns}"
