"""Classifier files of torchvision, LibAUC and torchxrayvision: logits against torchvision's DenseNet, Conf by hand."""

import argparse
import json
import os
import re

import numpy as np
import pytest
import torch
from mvgen.launch.arguments import add_convert_options
from mvgen.launch.convert import main
from mvgen.launch.exception_handler import exit_code_of
from mvgen.models.classifier_checkpoint import read_classifier
from mvgen.models.classifier_config import XRV_LABELS
from mvgen.models.densenet import load_densenet
from mvgen.mvg.metrics.conf import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    check_pictures,
    classifier_input,
    conf,
    find_label,
    operating_point,
)
from safetensors.torch import save_file
from torchvision.models import DenseNet, densenet121, resnet18
from torchvision.transforms import v2

CHEXPERT = "Cardiomegaly, Edema, Consolidation, Atelectasis, Pleural Effusion"
LABELS = tuple(CHEXPERT.split(", "))


def randomised(network):
    """Statistics and biases that are not those of a fresh network, where many errors would not show."""
    for name, t in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            t.normal_(std=0.1)
        elif name.endswith("running_var"):
            t.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return randomised(densenet121(weights=None, num_classes=5))


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 180, 200, 3, generator=torch.Generator().manual_seed(8))


@pytest.fixture(scope="module")
def logits(network, images):
    """By torchvision alone: its transforms, then its network."""
    transform = v2.Compose([v2.Resize((224, 224), antialias=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
    with torch.inference_mode():
        return network(transform(images.movedim(-1, 1)))


@pytest.fixture(scope="module")
def small():
    """The layout at a small size, for what does not depend on it."""
    torch.manual_seed(4)
    network = randomised(
        DenseNet(growth_rate=4, block_config=(1, 2, 2, 1), num_init_features=8, bn_size=2, num_classes=5)
    )
    return network.state_dict()


def old_names(state):
    """As torchvision 0.2 named the layers, without the counters that came later."""
    kept = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): t for name, t in kept.items()}


def prefixed(prefix, state):
    return {prefix + name: t for name, t in state.items()}


def chexnet(state):
    """DataParallel around a module that holds the network as `densenet121`, its classifier in a Sequential."""
    return prefixed("module.densenet121.", {n.replace("classifier.", "classifier.0."): t for n, t in state.items()})


LAYOUTS = {
    "torchvision": lambda state: state,
    "old names": old_names,
    "DataParallel": lambda state: prefixed("module.", state),
    "nested": lambda state: {
        "epoch": 3,
        "state_dict": state,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    },
    "Lightning": lambda state: {"epoch": 3, "state_dict": prefixed("model.", state)},
    "LibAUC": lambda state: {"model": prefixed("module.", state), "auc": torch.tensor(0.89)},
    "CheXNet": lambda state: {"state_dict": chexnet(old_names(state)), "best_loss": 0.1},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_equal_torchvisions_in_every_layout(network, images, logits, layout, tmp_path):
    torch.save(LAYOUTS[layout](network.state_dict()), tmp_path / "own.pth")
    classifier = load_densenet(tmp_path / "own.pth", patcher=False, labels=CHEXPERT)
    assert torch.allclose(classifier.logits(images), logits, rtol=0, atol=1e-5)
    assert torch.allclose(classifier.conf(images), torch.sigmoid(logits), rtol=0, atol=1e-5)
    assert (classifier.name, classifier.outputs, classifier.scale) == ("own", LABELS, "probability")


def test_one_logit_and_another_depth(images, tmp_path):
    from torchvision.models import densenet169

    torch.manual_seed(5)
    network = randomised(densenet169(weights=None, num_classes=1))
    save_file(network.state_dict(), tmp_path / "melanoma.safetensors", metadata={"labels": "melanoma"})
    classifier = load_densenet(tmp_path / "melanoma.safetensors", patcher=False, image_size=96)
    with torch.inference_mode():
        want = network(classifier_input(images, 96))
    assert classifier.outputs == ("melanoma",)
    assert torch.allclose(classifier.logits(images, batch=1), want, rtol=0, atol=1e-5)


def xrv_op_norm(probability, thresholds):
    """torchxrayvision's scale, pair by pair."""
    scaled = np.empty_like(probability)
    for i, j in np.ndindex(*probability.shape):
        p, t = probability[i, j], thresholds[j]
        scaled[i, j] = p / (2 * t) if p < t else 1 - (1 - p) / (2 * (1 - t))
    return scaled


@pytest.fixture(scope="module")
def xrv():
    """torchxrayvision's layout: one channel, 18 logits, thresholds among the buffers; NaN where it was not trained."""
    torch.manual_seed(6)
    network = densenet121(weights=None, num_classes=18)
    network.features.conv0 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.features.conv0.weight.data.div_(500)
    thresholds = torch.linspace(0.2, 0.8, 18)
    thresholds[[2, 17]] = torch.nan
    return randomised(network), thresholds


@pytest.mark.parametrize("told", ["in the file", "by the node", "not at all"])
def test_torchxrayvisions_scale_has_its_operating_point_at_a_half(xrv, images, told, tmp_path):
    network, thresholds = xrv
    labels = ["" if t.isnan() else label for label, t in zip(XRV_LABELS, thresholds, strict=True)]
    state = {**network.state_dict(), "op_threshs": thresholds}
    save_file(state, tmp_path / "x.safetensors", metadata={"labels": json.dumps(labels)} if "file" in told else None)
    text = ", ".join(labels) if "node" in told else ""
    classifier = load_densenet(tmp_path / "x.safetensors", patcher=False, labels=text)
    assert classifier.outputs == tuple(label for label in labels if label) and len(classifier.outputs) == 16
    assert classifier.scale == "operating point"

    pixels = v2.functional.resize(images.mean(dim=-1)[:, None], [224, 224], antialias=True)
    with torch.inference_mode():
        probability = torch.sigmoid(network(2048 * pixels - 1024)).double().numpy()
    kept = ~np.isnan(thresholds.numpy())
    want = xrv_op_norm(probability[:, kept], thresholds.double().numpy()[kept])
    got = classifier.conf(images).numpy()
    assert ((want > 0.5).any() and (want < 0.5).any()) and np.abs(got - want).max() < 1e-5


def test_the_operating_point_by_hand():
    p = torch.tensor([[0.0, 0.1, 0.2, 0.6, 1.0]]).T
    assert operating_point(p, [0.2]).flatten().tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_classes_that_exclude_each_other(small, images, tmp_path):
    config = {"outputs": list(LABELS), "activation": "softmax", "image_size": 64, "name": "grades"}
    save_file(small, tmp_path / "s.safetensors", metadata={"config": json.dumps(config)})
    classifier = load_densenet(tmp_path / "s.safetensors", patcher=False)
    assert classifier.name == "grades"
    assert classifier.conf(images).sum(dim=1).tolist() == pytest.approx([1, 1])
    assert torch.allclose(classifier.conf(images), torch.softmax(classifier.logits(images), 1))
    sigmoid = load_densenet(tmp_path / "s.safetensors", patcher=False, activation="sigmoid", labels="a,b,c,d,e")
    assert sigmoid.outputs == tuple("abcde") and torch.equal(sigmoid.conf(images), conf(sigmoid.logits(images)))


def test_a_graded_network_reads_severities_behind_conf(network, images, tmp_path):
    config = {"outputs": ["edema", "nodule"], "graded": True, "activation": "softmax"}
    state = network.state_dict()
    state = {**state, **{name: state[name][:4] for name in ("classifier.weight", "classifier.bias")}}
    save_file(state, tmp_path / "graded.safetensors", metadata={"config": json.dumps(config)})
    graded = load_densenet(tmp_path / "graded.safetensors", patcher=False)
    with torch.inference_mode():
        want = graded.network(images)
    confidence, severity = graded.read(images)
    assert graded.graded and graded.outputs == ("edema", "nodule")
    assert torch.equal(graded.logits(images), want[:, :2])
    assert torch.allclose(confidence, torch.softmax(want[:, :2], dim=1)) and torch.equal(
        graded.conf(images), confidence
    )
    assert torch.allclose(severity, torch.sigmoid(want[:, 2:])) and torch.equal(graded.severity(images), severity)


def test_a_network_without_severities_says_so(small, images, tmp_path):
    save_file(small, tmp_path / "plain.safetensors", metadata={"labels": CHEXPERT})
    plain = load_densenet(tmp_path / "plain.safetensors", patcher=False)
    assert not plain.graded and plain.read(images)[1] is None
    with pytest.raises(ValueError, match="classifier: got plain, which reads no severities, want a graded one"):
        plain.severity(images)


def test_half_precision_is_computed_in_full(small, tmp_path):
    save_file({n: t.half() if t.is_floating_point() else t for n, t in small.items()}, tmp_path / "h.safetensors")
    network, _ = read_classifier(tmp_path / "h.safetensors", labels=CHEXPERT)
    assert {t.dtype for t in network.state_dict().values()} == {torch.float32, torch.int64}


class Harmful:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_other_files_are_refused_by_name(small, tmp_path):
    def without(name):
        return {n: t for n, t in small.items() if n != name}

    class_weight = small["classifier.weight"]
    torch.save({"state_dict": small}, tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:1000])
    (tmp_path / "text.pth").write_text("<!DOCTYPE html>")
    (tmp_path / "text.safetensors").write_text("<!DOCTYPE html>")
    for name, held in (
        ("resnet.pth", resnet18(weights=None).state_dict()),
        ("module.pt", DenseNet(4, (1, 1, 1, 1), 8, 2)),
        ("harmful.pt", {"state_dict": Harmful()}),
        ("list.pt", [torch.ones(1)]),
        ("epochs.pt", {"epoch": 3, "optimizer": {"state": {}}}),
        ("no_tensor.pt", {"model": {"features.conv0.weight": 3}}),
        ("empty.pt", {}),
        ("missing.pt", without("features.denseblock2.denselayer1.conv2.weight")),
        ("headless.pt", without("classifier.weight")),
        ("extra.pt", {**small, "head.weight": torch.ones(1)}),
        ("wide.pt", {**small, "features.norm5.weight": torch.ones(7)}),
        ("nan.pt", {**small, "classifier.bias": torch.full((5,), torch.nan)}),
        ("four.pt", {**small, "features.conv0.weight": torch.ones(8, 4, 7, 7)}),
        ("threshs.pt", {**small, "op_threshs": torch.ones(4)}),
        ("thresh_of_2.pt", {**small, "op_threshs": torch.full((5,), 2.0)}),
        ("bilinear.pt", {**small, "classifier.weight": class_weight[0]}),
    ):
        torch.save(held, tmp_path / name)
    for name, message in (
        (
            "resnet.pth",
            r"no DenseNet: got conv1.weight, bn1.weight.*without features.conv0.weight; want the state dict of",
        ),
        ("module.pt", r"holds torchvision.models.densenet.DenseNet, want tensors alone.*torchxrayvision"),
        ("harmful.pt", r"holds \w+.system, want tensors alone"),
        ("list.pt", "got list, want the state dict"),
        ("epochs.pt", r"no DenseNet: got epoch, optimizer, without features.conv0.weight; want .*under state_dict or"),
        ("empty.pt", "got nothing, without"),
        ("no_tensor.pt", "features.conv0.weight: got int, want a tensor"),
        ("missing.pt", r"features.denseblock2.denselayer1.conv2.weight is missing, want the state dict of a DenseNet"),
        ("headless.pt", r"no classifier.weight \[logits, features\]"),
        ("extra.pt", "head.weight: not a part of a DenseNet"),
        ("wide.pt", r"features.norm5.weight: got \[7\], want \[11\]"),
        ("nan.pt", "classifier.bias: got torch.float32 with values that are no finite numbers"),
        ("four.pt", r"features.conv0.weight: got \[8, 4, 7, 7\], want \[features, 1 or 3, 7, 7\]"),
        ("threshs.pt", r"op_threshs: got \[4\], want \[5\]"),
        ("thresh_of_2.pt", r"op_threshs: got \[2.0.*want numbers between 0 and 1"),
        ("bilinear.pt", r"no classifier.weight"),
        ("cut.pt", "not a file of torch.save, or a truncated one"),
        ("text.pth", "not a file of torch.save"),
        ("text.safetensors", "not a readable safetensors file"),
        ("absent.pt", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=f"(?s)^{re.escape(name)}: .*{message}"):
            read_classifier(tmp_path / name, labels=CHEXPERT)


def test_labels_that_do_not_fit_are_refused_with_both_counts(small, tmp_path):
    path = tmp_path / "own.pt"
    torch.save(small, path)
    for labels, message in (
        ("", "labels: got none, want 5 between commas"),
        ("edema, nodule", r"labels: got 2 \(edema, nodule\), want 5, one a logit"),
        ("a,b,,d,e", "labels: number 3 of 5 is empty"),
        ("a,b,c,d,A", "labels: got 'A' twice"),
    ):
        with pytest.raises(ValueError, match=rf"^own\.pt: {message}"):
            read_classifier(path, labels=labels)
    torch.save({**small, "op_threshs": torch.tensor([0.1, torch.nan, 0.2, 0.3, 0.4])}, path)
    with pytest.raises(ValueError, match="'b' for number 2 of 5, which was not trained"):
        read_classifier(path, labels="a,b,c,d,e")
    assert read_classifier(path, labels="a,,c,d,e")[1].outputs == tuple("acde")
    torch.save({**small, "op_threshs": torch.full((5,), torch.nan)}, path)
    with pytest.raises(ValueError, match="labels: all are empty"):
        read_classifier(path, labels=",,,,")


@pytest.mark.parametrize(("metadata", "message"), [
    ({"config": "{"}, "metadata key config: not readable as JSON"),
    ({"config": "[]"}, "metadata key config: got list, want a JSON object"),
    ({"labels": '["a", 2, "c", "d", "e"]'}, "labels: got .*want a list of 5 names"),
    ({"labels": '["a"'}, "metadata key labels: not readable as JSON"),
    ({"config": {"activation": "relu"}}, "activation: got 'relu', want sigmoid or softmax"),
    ({"config": {"graded": "yes"}}, "graded: got 'yes', want true or false"),
    ({"config": {"graded": True}}, "graded: got 5 logits, want two a finding"),
    ({"config": {"image_size": 7}}, "image_size: got 7, want a whole number from 32"),
    ({"config": {"image_mean": [0.5]}}, r"image_mean: got \[0.5\], want 3 numbers"),
    ({"config": {"image_mean": [0.5, None, 0.5]}}, "image_mean: got .*want finite numbers"),
    ({"config": {"image_std": [0, 1, 1]}}, "image_std: got .*want numbers above 0"),
])  # fmt: skip
def test_metadata_that_makes_no_sense_is_named(small, tmp_path, metadata, message):
    config = metadata.get("config")
    if isinstance(config, dict):
        metadata = {"config": json.dumps({"outputs": list(LABELS), **config})}
    save_file(small, tmp_path / "m.safetensors", metadata=metadata)
    with pytest.raises(ValueError, match=rf"^m\.safetensors: {message}"):
        read_classifier(tmp_path / "m.safetensors")


def test_a_softmax_of_one_logit_is_refused(tmp_path):
    one = DenseNet(growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=8, bn_size=2, num_classes=1).state_dict()
    torch.save(one, tmp_path / "one.pt")
    with pytest.raises(ValueError, match="softmax for one logit"):
        read_classifier(tmp_path / "one.pt", labels="melanoma", activation="softmax")
    torch.save({**one, "op_threshs": torch.tensor([0.5])}, tmp_path / "one.pt")
    assert read_classifier(tmp_path / "one.pt", labels="melanoma")[1].op_threshs == (0.5,)


def test_pictures_that_are_none_are_named(small, images, tmp_path):
    torch.save(small, tmp_path / "own.pt")
    classifier = load_densenet(tmp_path / "own.pt", patcher=False, labels=CHEXPERT)
    three = torch.cat([images, images[:1]])
    for value, message in ((torch.nan, "NaN or infinite"), (torch.inf, "NaN or infinite")):
        broken = three.clone()
        broken[2, 5, 6, 1] = value
        with pytest.raises(ValueError, match=f"images: number 2 of 0 to 2 has values that are {message}"):
            classifier.conf(broken)
    plain = three.clone()
    plain[1] = torch.tensor([0.2, 0.4, 0.6])
    with pytest.raises(ValueError, match="images: number 1 of 0 to 2 is constant"):
        classifier.conf(plain)
    with pytest.raises(ValueError, match=r"images: got \(2, 8, 8, 4\)"):
        classifier.conf(torch.rand(2, 8, 8, 4))
    with pytest.raises(ValueError, match="images: got an empty batch"):
        classifier.conf(images[:0])
    check_pictures(images)


def test_a_network_that_overflows_is_no_score(small, images, tmp_path):
    huge = {name: tensor * 1e38 if name == "classifier.weight" else tensor for name, tensor in small.items()}
    torch.save(huge, tmp_path / "own.pt")
    classifier = load_densenet(tmp_path / "own.pt", patcher=False, labels=CHEXPERT)
    classifier.network.densenet.features.norm5.weight.mul_(1e38)
    with pytest.raises(ValueError, match="logits: got values that are not finite"):
        classifier.conf(images)


def test_one_channel_is_the_mean_of_the_colours(images):
    from_colour = classifier_input(images, 64, (0.5,), (1 / 2048,))
    assert from_colour.shape == (2, 1, 64, 64)
    assert torch.allclose(from_colour, classifier_input(images.mean(-1, keepdim=True), 64, (0.5,), (1 / 2048,)))
    ends = classifier_input(torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 2, 1), 2, (0.5,), (1 / 2048,))
    assert ends[0, 0, :, 0].tolist() == [-1024, 1024]


def test_labels_are_found_whatever_their_case():
    assert find_label("pleural effusion", LABELS) == 4
    assert find_label(" Pleural thickening ", XRV_LABELS) == XRV_LABELS.index("Pleural_Thickening")
    with pytest.raises(
        ValueError, match="finding: got 'melanoma', want one that the classifier reads: Cardiomegaly, Ed"
    ):
        find_label("melanoma", LABELS)


def command(path, *options):
    parser = argparse.ArgumentParser()
    add_convert_options(parser)
    return exit_code_of(lambda: main(parser.parse_args([str(path), *options])))


def test_convert_writes_what_the_logits_mean(xrv, small, images, tmp_path, capsys):
    path = tmp_path / "own.pth"
    torch.save({"state_dict": prefixed("module.", old_names(small))}, path)
    assert command(path, "--labels", CHEXPERT, "--activation", "softmax", "--image-size", "64") == 0
    assert f"result: {tmp_path / 'own.safetensors'}" in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == ["own.pth", "own.safetensors"]
    written = load_densenet(tmp_path / "own.safetensors", patcher=False)
    direct = load_densenet(path, patcher=False, labels=CHEXPERT, activation="softmax", image_size=64)
    assert written.network.config == direct.network.config
    assert torch.equal(written.conf(images), direct.conf(images))
    assert command(path, "--labels", CHEXPERT) == 1
    assert "own.safetensors: exists already" in capsys.readouterr().err
    assert command(path, "--labels", "a", "--overwrite") == 1
    assert "own.pth: labels: got 1 (a), want 5" in capsys.readouterr().err
    assert command(tmp_path / "own.safetensors", "--labels", CHEXPERT) == 1
    assert "is safetensors already" in capsys.readouterr().err

    torch.save({**small, "op_threshs": torch.tensor([0.1, torch.nan, 0.2, 0.3, 0.4])}, path)
    assert command(path, "--labels", "a,,c,d,e", "--overwrite") == 0
    again = load_densenet(tmp_path / "own.safetensors", patcher=False)
    assert again.outputs == tuple("acde") and again.scale == "operating point"
    assert torch.equal(again.conf(images), load_densenet(path, patcher=False, labels="a,,c,d,e").conf(images))


def test_options_of_a_classifier_need_its_labels(tmp_path, capsys):
    path = tmp_path / "own.pth"
    path.write_bytes(b"")
    for options, message in (
        (("--activation", "softmax"), "--activation is for a classifier"),
        (("--image-size", "64"), "--image-size is for a classifier"),
        (("--labels", "a", "--image-size", "3"), "--image-size is 3: give 32 or more"),
    ):
        assert command(path, *options) == 2
        assert message in capsys.readouterr().err
