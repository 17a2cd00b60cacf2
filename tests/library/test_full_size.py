"""The files of `run.py bench full_size`: the true number of parameters, and loadable as they are."""

import pytest
import torch
from mvgen.models.classifier_checkpoint import read_classifier
from mvgen.models.standalone_host import use_host
from mvgen.research.bench import full_size, full_size_files

PUBLISHED = {"clip_l": 123_650_304, "clip_vision": 303_966_208, "densenet": 6_958_981}
"""CLIP-L with its projection, ViT-L/14's image tower and torchvision's DenseNet-121 with five outputs."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    use_host()
    with torch.device("meta"):
        shapes = dict(full_size_files.FILES[name].tensors())
    counted = [t for key, t in shapes.items() if t.is_floating_point() and "running_" not in key]
    assert sum(t.numel() for t in counted) == PUBLISHED[name]


def test_a_file_is_made_once_and_loads(tmp_path):
    path = full_size_files.make("densenet", tmp_path)
    made = path.stat().st_mtime_ns
    network, config = read_classifier(path, labels=full_size_files.FINDINGS, activation="sigmoid", image_size=64)
    assert len(config.outputs) == 5
    assert torch.isfinite(network(torch.rand(1, 3, 64, 64))).all()
    assert full_size_files.make("densenet", tmp_path).stat().st_mtime_ns == made


def test_seconds_go_to_the_node_that_ran(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 3.5])
    monkeypatch.setattr(full_size.time, "monotonic", lambda: next(clock))
    watch = full_size.Stopwatch()
    for node in ("1", "2", None):
        watch("executing", {"node": node})
    assert watch.seconds == {"1": 2.0, "2": 0.5}


def test_too_little_memory_is_told_with_what_would_fit(tmp_path, monkeypatch):
    import psutil

    full_size_files.make("densenet", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = type("Options", (), {"models": tmp_path, "size": 256, "dtype": "fp32"})()
    free = psutil.virtual_memory()._replace(available=int(0.8e9))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(ValueError, match=r"load-densenet at 256 x 256 in fp32: got 0\.8 GB .* --dtype fp16"):
        full_size.check_memory("load-densenet", options)
