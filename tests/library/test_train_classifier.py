"""`train classifier` end to end at a tiny size: killed and resumed, loaded as users load it, given what is wrong."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mvgen.launch.errors import UsageError
from mvgen.models.densenet import load_densenet
from mvgen.tests.library.data_files import films, write
from mvgen.tests.library.training_runs import KILLED, in_child, kill_before_step
from mvgen.training import classifier
from mvgen.training.classifier_augment import Augment
from mvgen.training.classifier_network import DenseNetLogits, Shape, load_judge, start_from
from mvgen.training.classifier_scores import auroc
from mvgen.training.data import Pictures, read, targets
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models import DenseNet

TINY = ["--growth=4", "--blocks=1,1,2,1", "--image-size=32", "--batch=8", "--checkpoint=3", "--validate=100"]
STEPS = ["--steps=8", "--auc-steps=5", "--rate=1e-3", "--precision=fp32", "--device=cpu"]


def train(data: Path, out: Path, *more: str, kill_at: int = -1) -> None:
    if kill_at >= 0:
        kill_before_step(kill_at)
    classifier.main([str(data), "--out", str(out), *TINY, *STEPS, *more])


def same(a: Path, b: Path) -> bool:
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return films(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert in_child(train, data, out) == (0, "")
    return out


@pytest.mark.parametrize("kill_at", [4, 7])
def test_a_killed_run_ends_as_one_that_was_not(whole, data, tmp_path, kill_at):
    # checkpoints are of steps 3 and 6
    out = tmp_path / "whole"
    code, _ = in_child(lambda: train(data, out, kill_at=kill_at))
    assert code == KILLED and not (out / classifier.FILE).exists()
    assert in_child(train, data, out, "--resume") == (0, "")
    for stage in ("bce", "aucm"):
        assert (out / stage / "loss.csv").read_bytes() == (whole / stage / "loss.csv").read_bytes()
    assert same(out / classifier.FILE, whole / classifier.FILE)
    assert (out / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()


def kill_in_auc_maximisation(data: Path, out: Path) -> None:
    from mvgen.training.trainer import Trainer

    fit = Trainer.fit

    def fit_or_die(self):
        if self.task.aucm is not None:
            kill_before_step(4)
        fit(self)

    Trainer.fit = fit_or_die
    train(data, out)


def test_a_run_killed_in_auc_maximisation_goes_on_there(whole, data, tmp_path):
    out = tmp_path / "whole"
    assert in_child(kill_in_auc_maximisation, data, out)[0] == KILLED
    assert (out / "aucm" / "checkpoints" / "00000003").is_dir()
    assert in_child(train, data, out, "--resume") == (0, "")
    assert same(out / classifier.FILE, whole / classifier.FILE)


def test_the_file_loads_as_it_is_and_answers_what_was_scored(whole, data):
    loaded = load_densenet(whole / classifier.FILE, patcher=False)
    assert loaded.outputs == ("edema", "pneumonia") and loaded.scale == "probability" and loaded.name == "whole"
    with safe_open(whole / classifier.FILE, framework="pt") as file:
        assert json.loads(file.metadata()["licences"]) == ["CC0"] and file.metadata()["domain"] == "chest_xray"
    val = read(data).part("val")
    pictures = Pictures(val, 32, gray=True)
    conf = loaded.conf(torch.stack([pictures[n][0].movedim(0, -1) for n in range(len(val))]))
    truth, known = targets(val, loaded.outputs, uncertain="soft")
    scores = json.loads((whole / "scores.json").read_text())
    for k, row in enumerate(scores["auroc"]["AUCM"]):
        at = known[:, k] > 0
        assert row["value"] == pytest.approx(auroc(conf[at, k].numpy(), truth[at, k].numpy() >= 0.5))
    # calibrated: on val itself the mean probability is Platt's share of positives
    edema = truth[:, 0].sum().item()
    want = ((edema + 1) / (edema + 2) * edema + 1 / (len(val) - edema + 2) * (len(val) - edema)) / len(val)
    assert conf[:, 0].mean().item() == pytest.approx(want, abs=2e-3)
    card = (whole / "model_card.md").read_text()
    assert "| edema |" in card and "AUCM less BCE" in card and "- CC0" in card and "Uncertain labels: soft" in card
    assert (whole / "reliability.png").exists()


@pytest.mark.parametrize(("options", "message"), [
    (("--labels", "edema,mass"), "labels: got 'mass', want some of edema, pneumonia, fracture"),
    (("--labels", "fracture"), "labels: train has no picture with, or none without, fracture; want both"),
    (("--domain", "skin"), "labels: train has no picture with"),
    (("--image-size", "8"), "--image-size is 8: give 32 or more."),
    (("--auc-steps", "-1"), "--auc-steps is -1: give 0 or more."),
    (("--auc-rate", "0"), "--auc-rate is 0.0: give a number above 0."),
    (("--blocks", "1,0"), "--growth and --blocks: give whole numbers above 0"),
    (("--backbone", "efficientnet-lite0", "--init", "x.pth"), "--init is for --backbone densenet"),
    (("--init", "none.pth"), "none.pth: cannot be read"),
])  # fmt: skip
def test_options_that_make_no_sense_are_one_line(data, tmp_path, options, message):
    if "--domain" in options:
        data = write(tmp_path / "t.csv", "file,split,x\na.png,train,\nb.png,val,\n")
        message = "labels: the data set has none"
    with pytest.raises((ValueError, UsageError), match=re.escape(message)) as caught:
        train(data, tmp_path / "run", *options)
    assert "\n" not in str(caught.value)


def test_data_that_cannot_be_trained_on_are_one_line(data, tmp_path):
    rows = data.read_text().replace("films/", f"{data.parent}/films/")
    for text, message in (
        (rows.replace(",val,", ",train,"), "split: got no picture in 'val' of t.csv (train 48), want at least one"),
        (rows.replace(",val,", ",test,"), "split: got no picture in 'val'"),
        (rows.replace("films/3.png", "films/lost.png"), "pictures: 1 of 32 cannot be read, more than the 1.0% that"),
        (rows.replace("p1,train", "p0,train"), "patient: 'p0' is in the splits val and train"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            train(write(tmp_path / "t.csv", text), tmp_path / "run", "--val-share", "0")


def test_training_starts_from_weights_of_its_own_shape(tmp_path):
    torch.manual_seed(1)
    given = DenseNet(growth_rate=4, block_config=(1, 1), num_init_features=8, num_classes=9).state_dict()
    save_file(given, tmp_path / "given.safetensors")
    network = DenseNetLogits(Shape(4, (1, 1), 8), 2)
    before = network.head.weight.clone()
    assert start_from(network, tmp_path / "given.safetensors") == len(given) - 2
    own = network.densenet.state_dict()
    assert all(torch.equal(own[name], t) for name, t in given.items() if not name.startswith("classifier"))
    assert torch.equal(network.head.weight, before)
    with pytest.raises(ValueError, match=r"given.safetensors: features.conv0.weight: got \[8, 3, 7, 7\], want \[16, 3"):
        start_from(DenseNetLogits(Shape(8, (1, 1), 16), 2), tmp_path / "given.safetensors")


def test_an_independent_judge_on_frozen_features(data, tmp_path):
    options = ["--image-size=32", "--batch=8", "--rate=1e-2", "--steps=60", "--auc-steps=0", "--precision=fp32"]
    out = tmp_path / "judge"
    arguments = [str(data), f"--out={out}", "--device=cpu", "--backbone=efficientnet-lite0", *options]
    assert in_child(classifier.main, arguments) == (0, "")
    judge = load_judge(out / classifier.FILE)
    val = read(data).part("val")
    pictures = Pictures(val, 32, gray=True)
    conf = judge.conf(torch.stack([pictures[n][0].movedim(0, -1) for n in range(len(val))]))
    told = json.loads((out / "scores.json").read_text())["auroc"]["BCE"][0]
    positive = np.array([r.labels["edema"] == 1 for r in val])
    assert judge.outputs == ("edema", "pneumonia")
    assert told["value"] == pytest.approx(auroc(conf[:, 0].numpy(), positive)) and told["value"] > 0.8
    for state, config, message in (
        ({"weight": torch.zeros(1)}, {"outputs": ["a"]}, "want one with backbone efficientnet-lite0 and outputs"),
        ({"weight": torch.zeros(1)}, {"outputs": ["a"], "backbone": "efficientnet-lite0"}, "got the tensors"),
    ):
        save_file(state, tmp_path / "bad.safetensors", metadata={"config": json.dumps(config)})
        with pytest.raises(ValueError, match=f"bad.safetensors: .*{message}"):
            load_judge(tmp_path / "bad.safetensors")


def test_augmentation_keeps_sides_where_they_mean_something():
    image = torch.zeros(1, 32, 32)
    image[:, 4:10, 3:9] = 1.0  # above on the left
    for sided, places in ((True, 1), (False, 4)):
        draws = [Augment(sided)(image, torch.Generator().manual_seed(n)) for n in range(24)]
        quarters = {(bool(y > 15), bool(x > 15)) for y, x in (divmod(int(d.flatten().argmax()), 32) for d in draws)}
        assert len(quarters) == places and all(d.shape == image.shape and 0 <= d.min() <= d.max() <= 1 for d in draws)
    one = Augment(True)(image, torch.Generator().manual_seed(5))
    assert torch.equal(one, Augment(True)(image, torch.Generator().manual_seed(5)))
