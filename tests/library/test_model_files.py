"""ModelFolder: a file is found by the name a workflow gives it, whichever system's separator that name has."""

import pytest
from mvgen.models.standalone_host import use_host

use_host()

import folder_paths  # noqa: E402
from mvgen.nodes.support.model_files import ModelFolder  # noqa: E402

FOLDER = ModelFolder("medsam", (".safetensors", ".pth"), "checkpoint", "put one there")


@pytest.fixture(params=["/", "\\"], ids=["posix", "windows"])
def separator(request, monkeypatch, tmp_path):
    """Of a host that lists the files of models/mvg by it, and finds them by that name alone."""
    listed = [name.replace("/", request.param) for name in ("medsam/b.pth", "medsam/own/c.PTH", "seine/b.pth", "d.pth")]

    def full_path(folder, name):
        if name not in listed:
            raise FileNotFoundError(name)
        return str(tmp_path / name)

    monkeypatch.setattr(folder_paths, "get_filename_list", lambda folder: listed)
    monkeypatch.setattr(folder_paths, "get_full_path_or_raise", full_path)
    return request.param


def test_a_name_over_a_link_is_not_known_yet(separator):
    assert FOLDER.check(None) is True and FOLDER.stamp(None) == ""


def test_names_are_alike_on_every_system(separator):
    assert FOLDER.files() == ["medsam/b.pth", "medsam/own/c.PTH"]


@pytest.mark.parametrize("name", ["medsam/b.pth", "medsam\\b.pth", "medsam/own/c.PTH", "medsam\\own\\c.PTH"])
def test_either_separator_finds_the_file(separator, tmp_path, name):
    assert FOLDER.check(name) is True
    assert FOLDER.find(name) == tmp_path / name.replace("\\", "/").replace("/", separator)


@pytest.mark.parametrize(
    "name", ["", "b.pth", "medsam", "medsam/none.pth", "seine\\b.pth", "d.pth", "../medsam/b.pth", "C:\\medsam\\b.pth"]
)
def test_other_names_are_refused(separator, name):
    message = FOLDER.check(name, "checkpoint")
    assert message.startswith(f"checkpoint: got {name!r}, want a checkpoint of models/mvg/medsam: medsam/b.pth")
