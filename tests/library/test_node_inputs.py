"""What nodes make of inputs that are empty, broken or come over a link, and what the record of a run says of models."""

import hashlib
import os
from types import SimpleNamespace

import pytest
import torch
from dicom_files import build, noise
from dicom_files import save as save_film
from mvgen.models.standalone_host import use_host

use_host()

import comfy.model_management  # noqa: E402
import folder_paths  # noqa: E402
from mvgen.models import model_patcher  # noqa: E402
from mvgen.nodes.load import sources  # noqa: E402
from mvgen.nodes.progression.pie import ROIBlend  # noqa: E402
from mvgen.nodes.progression.pie_inputs import check_use  # noqa: E402
from mvgen.nodes.region import medsam  # noqa: E402
from mvgen.nodes.save import trajectory  # noqa: E402
from mvgen.nodes.scores import classifier, comparison  # noqa: E402
from mvgen.nodes.scores.metrics import CLIPI  # noqa: E402
from mvgen.nodes.support import provenance, study  # noqa: E402
from mvgen.nodes.transition import seine  # noqa: E402


class Eye:
    """A CLIP_VISION whose embeddings are given."""

    config, image_size = {}, 8

    def __init__(self, embeddings):
        self.embeddings = embeddings

    def encode_image(self, images):
        return {"image_embeds": self.embeddings[: len(images)]}


def pictures(count, side=16):
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(count))


def test_a_name_that_comes_over_a_link_is_left_to_the_run():
    for node, name, rest in (
        (classifier.LoadClassifier, "file", {"labels": "", "activation": "", "image_size": 0}),
        (comparison.KID, "inception", {}),
        (sources.LoadMedicalImage, "image", {}),
        (sources.LoadReport, "report", {}),
        (medsam.SegmentBox, "file", {}),
        (seine.LoadSEINE, "file", {"weights": "default"}),
    ):
        assert node.validate_inputs(**{name: None}) is True
        assert isinstance(node.fingerprint_inputs(**{name: None}, **rest), str), "an error would run it again for ever"
    assert trajectory.SaveTrajectory.validate_inputs(folder_prefix=None) is True
    assert "want plain folder names" in trajectory.SaveTrajectory.validate_inputs("..")


def test_names_that_no_file_can_have_tell_no_folder():
    for name in ("x" * 5000 + ".png", "x/" * 3000 + "a.png"):
        told = sources.LoadMedicalImage.validate_inputs(image=name)
        assert isinstance(told, str) and "there is no file 'x" in told
        assert len(told) < 200 and folder_paths.get_input_directory() not in told
    for name in ("CON", "mvg/nul.txt", "a/COM1/b", "mvg/a.", "mvg/ a", "a" * 300, "ä" * 150, "a/../b", "a:b"):
        told = trajectory.SaveTrajectory.validate_inputs(folder_prefix=name)
        assert isinstance(told, str) and "want plain folder names" in told and len(told) < 200
    assert trajectory.SaveTrajectory.validate_inputs(folder_prefix="mvg/Contour/a.b") is True


@pytest.mark.parametrize(
    ("listen", "public"),
    [
        ("127.0.0.1", ""),
        ("localhost,::1,127.2.2.2", ""),
        ("0.0.0.0,::", "0.0.0.0,::"),  # --listen alone
        ("127.0.0.1,192.168.0.7", "192.168.0.7"),
        ("hospital.example", "hospital.example"),
    ],
)
def test_which_addresses_make_more_than_a_study_public(listen, public):
    assert study.beyond_this_machine(listen) == public


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_trajectory_that_is_being_written_is_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path))
    modes = []
    mask = os.umask(0o022)
    try:
        folder = trajectory.write_folder("a/b", lambda partial: modes.append(partial.parent.stat().st_mode & 0o777))
        assert modes == [0o700] and folder.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(mask)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_empty_batches_are_named():
    none, some = pictures(1)[:0], pictures(2)
    for call, message in (
        (lambda: CLIPI.execute(Eye(torch.ones(2, 4)), none), "images: got an empty batch, want the input image"),
        (lambda: comparison.CompareImages.execute(none, some[:1], "none", 0), "images: got an empty batch"),
        (lambda: comparison.check_set("real", none, 2), "real: got no picture, want a set"),
        (lambda: comparison.check_set("real", some[:1], 2), "real: got 1 picture, want a set"),
        (
            lambda: trajectory.SaveTrajectory.execute(none, "mvg/none", 8.0),
            "states: got none, want the input image at least",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_embeddings_that_are_no_numbers_are_no_score():
    broken = torch.ones(3, 4)
    broken[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"clip_vision \(embeddings\): got .* not finite .* picture 2 of 3"):
        CLIPI.execute(Eye(broken), pictures(3))


def test_a_blend_says_which_of_size_and_number_differs():
    mask, betas = torch.ones(1, 16, 16), (0.0, 1.0)
    with pytest.raises(ValueError, match="image: got 16 x 16 x 3, want the original's 8 x 8 x 3"):
        ROIBlend.execute(pictures(2), pictures(1, 8), mask, *betas)
    with pytest.raises(ValueError, match="original: got 3 pictures, want 1 or 2, one for each"):
        ROIBlend.execute(pictures(2), pictures(3), mask, *betas)


def test_a_mask_of_nothing_is_refused_where_it_makes_a_run_pointless():
    nothing, region = torch.zeros(1, 16, 16), torch.zeros(1, 16, 16)
    region[0, 4, 4] = 1
    with pytest.raises(ValueError, match="mask: it is 0 everywhere, so that nothing may change; want the region above"):
        check_use(nothing, 0.01, 0.9)
    with pytest.raises(ValueError, match="mask: number 1 of 0 to 1 is 0 everywhere"):
        check_use(torch.cat([region, nothing]), 0.0, 1.0)
    check_use(nothing, 1.0, 0.0)  # what is outside is to change
    check_use(region, 0.01, 0.9)
    check_use(None, 0.01, 0.9)


def test_a_cancel_counts_between_registrations():
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        comparison.CompareImages.execute(pictures(1), pictures(1), "none", 0)


def test_a_network_is_where_its_weights_are(monkeypatch):
    """A host that keeps layers which are not its own off the GPU (--novram) says so by no other sign."""
    patcher = SimpleNamespace(model=torch.nn.Linear(2, 2), load_device=torch.device("meta"))
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *_, **__: None)
    assert model_patcher.load_to_device(patcher) == torch.device("cpu")
    patcher.model.to("meta")
    assert model_patcher.load_to_device(patcher) == torch.device("meta")
    assert model_patcher.load_to_device(None) == torch.device("cpu")


def test_the_flag_of_burned_in_text_is_carried_from_the_sources(tmp_path, monkeypatch):
    stored = noise((20, 20), 8)
    for name, said in (("yes", {"BurnedInAnnotation": "YES"}), ("no", {"BurnedInAnnotation": "NO"}), ("mute", {})):
        save_film(tmp_path, build(stored, **said), f"{name}.dcm")
    monkeypatch.setattr(provenance, "find_input", lambda name, what: tmp_path / name)

    def carried(*names: str, other: str = "MVG_LoadMedicalImage"):
        nodes = [{"class_type": other if n else "MVG_LoadMedicalImage", "inputs": {"image": name}}
                 for n, name in enumerate(names)]  # fmt: skip
        return provenance.burned_in({str(n): node for n, node in enumerate(nodes)})

    assert carried("yes.dcm") is True and carried("no.dcm") is False and carried("mute.dcm") is None
    assert carried("no.dcm", "yes.dcm") is True and carried("no.dcm", "mute.dcm") is None
    assert carried("no.dcm", "photo.png", other="LoadImage") is None and carried("gone.dcm") is None
    assert provenance.burned_in({}) is None


def test_the_record_names_every_file_of_weights(tmp_path, monkeypatch):
    held = {"clip_vision": {"eye.safetensors"}, "text_encoders": {"eye.safetensors", "words.safetensors"}}
    for folder, names in held.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(folder)
    (tmp_path / "mvg" / "inception").mkdir(parents=True)
    (tmp_path / "mvg" / "inception" / "pt.pth").write_text("mvg")
    monkeypatch.setattr(
        folder_paths,
        "get_full_path",
        lambda folder, name: str(tmp_path / folder / name) if name in held.get(folder, ()) else None,
    )
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda folder: ["inception/pt.pth"])
    monkeypatch.setattr(folder_paths, "get_full_path_or_raise", lambda folder, name: str(tmp_path / folder / name))
    prompt = {
        "1": {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": "eye.safetensors"}},
        "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "words.safetensors", "type": "sd3"}},
        "3": {"class_type": "MVG_KID", "inputs": {"inception": "inception/pt.pth", "seed": 0}},
        "4": {"class_type": "MVG_KID", "inputs": {"inception": "none", "seed": 0}},
        "5": {"class_type": "MVG_LoadSEINE", "inputs": {"file": ["9", 0], "weights": "fp16"}},
        "6": {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": ["9", 1]}},
    }
    said = {"clip_vision/eye.safetensors": "clip_vision", "text_encoders/words.safetensors": "text_encoders"}
    said["mvg/inception/pt.pth"] = "mvg"
    assert provenance.models(prompt) == {
        name: hashlib.sha256(content.encode()).hexdigest() for name, content in said.items()
    }
