"""DICOM in, stages, DICOM out in the real host; the visible label on what is saved; no identifier anywhere."""

import csv
import json
import shutil
import uuid
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from mvgen.mvg.label import label_size
from mvgen.tests.host.hosting import ROOT
from mvgen.tests.library.dicom_files import PLANTED, build, encode, noise
from PIL import Image
from pydicom import uid

REAL = ROOT.parent / "shared" / "data" / "dicom" / "RG1_chest_640_MONOCHROME1_explicitLE_derived.dcm"
COLOUR = {"SOPClassUID": uid.VLPhotographicImageStorage, "Modality": "XC"}


@pytest.fixture(scope="module")
def films(server) -> dict[str, np.ndarray]:
    """A 12-bit film as a DICOM file under three names, and files to refuse -> what the film is to look like."""
    folder = server.base / "input"
    shown = np.asarray(Image.open(folder / "film16.png")).astype(float) / 65535
    stored = (4095 - np.round(shown * 4095)).astype(np.uint16)  # MONOCHROME1: white is 0
    film = encode(build(stored, "MONOCHROME1", 12, WindowCenter=2048, WindowWidth=4096, PixelSpacing=[0.2, 0.4]))
    for name in ("series.dcm", "IM0001", "1.2.840.99.5"):
        (folder / name).write_bytes(film)
    gray = noise((32, 32), 8)
    files = {
        "frames.dcm": encode(build(gray, NumberOfFrames=12)),
        "slice.dcm": encode(build(gray, Modality="CT", SOPClassUID=uid.CTImageStorage)),
        "photo.dcm": encode(build(noise((32, 32, 3), 8), "RGB", **COLOUR)),
        "tiny.dcm": encode(build(noise((8, 8), 8))),
        "header.dcm": film[:300],
        "cut.dcm": film[:-5000],
        "burned.dcm": encode(build(noise((32, 32), 8), BurnedInAnnotation="YES")),
        "text.dcm": b"Patient Petra Geheimnis",
        "bare": b"Patient Petra Geheimnis",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {"film": shown}


def load(name: str, **more) -> dict:
    return {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": name, "size": 64, "fit": "crop", **more}}


def preview(node: str, output: int) -> dict:
    return {"class_type": "PreviewAny", "inputs": {"source": [node, output]}}


@pytest.fixture
def two_stages(request, films) -> dict:
    """The film and its negative as a stage, saved by us and by the host."""
    return {
        "film": load("series.dcm", size=0),
        "negative": {"class_type": "ImageInvert", "inputs": {"image": ["film", 0]}},
        "states": {"class_type": "ImageBatch", "inputs": {"image1": ["film", 0], "image2": ["negative", 0]}},
        "host": {"class_type": "SaveImage", "inputs": {"images": ["states", 0], "filename_prefix": request.node.name}},
        "save": {
            "class_type": "MVG_SaveTrajectory",
            "inputs": {"states": ["states", 0], "folder_prefix": f"label/{uuid.uuid4().hex[:8]}", "fps": 8.0},
        },
    }


def saved(server, run, name: str) -> np.ndarray:
    (folder,) = run.outputs["save"]["mvg_trajectory"]
    return np.asarray(Image.open(server.base / "output" / folder["subfolder"] / name)).astype(int)


def by_host(server, run) -> list[np.ndarray]:
    files = [server.base / "output" / file["filename"] for file in run.outputs["host"]["images"]]
    return [np.asarray(Image.open(file)).astype(int) for file in files]


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]).astype(int)


def check_label(picture: np.ndarray, without: np.ndarray, tolerance: int = 0) -> None:
    height, width = label_size(*picture.shape[:2])
    rest = abs(picture - without)
    rest[:height, :width] = 0
    assert rest.mean() < 2 and rest.max() <= tolerance
    label = picture[:height, :width, 0]
    assert (label < 40).mean() > 0.4 and (label > 180).mean() > 0.1, "white letters on black"


def check_private(server, run, planted=PLANTED) -> None:
    """Neither in what was written, nor in the log, nor in what the host tells of the run."""
    told = [server.get(f"/history/{run.prompt_id}"), run.outputs, run.error]
    texts = {"history": json.dumps(told), "log": (server.base / "server.log").read_text(errors="replace")}
    for name, text in texts.items():
        assert not [word for word in planted if word in text], name
    for folder in ("output", "temp"):
        for file in (server.base / folder).rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not [word for word in planted if word.encode() in content], file.name
            if file.suffix == ".png":
                text = json.dumps(Image.open(file).text)
                assert not [word for word in planted if word in text], file.name


def test_the_node_offers_dicom_files_by_name_or_by_mark(server, films):
    (options, _) = server.get("/object_info/MVG_LoadMedicalImage")["MVG_LoadMedicalImage"]["input"]["required"]["image"]
    offered = set(options if isinstance(options, list) else _["options"])
    assert {"series.dcm", "IM0001", "1.2.840.99.5", "film.png", "text.dcm"} <= offered
    assert not {"bare", "report.txt"} & offered


@pytest.mark.parametrize("name", ["series.dcm", "IM0001", "1.2.840.99.5"])
def test_a_film_comes_in_as_it_is_meant_to_be_seen(server, films, name):
    graph = {
        "film": load(name, size=0, gray=True),
        "half": load(name, size=80, fit="stretch"),
        "notes": preview("film", 1),
        "spacing": preview("film", 2),
        "spacing_half": preview("half", 2),
        "host": {"class_type": "SaveImage", "inputs": {"images": ["film", 0], "filename_prefix": "dicom"}},
    }
    run = server.run(graph)
    assert run.error is None, run.error
    assert abs(by_host(server, run)[0] - films["film"][..., None] * 255).max() < 1.1, "the host's node rounds down"
    (notes,) = run.outputs["notes"]["text"]
    for words in ("160 x 160 DICOM DX, 12-bit gray", "window: centre 2048", "MONOCHROME1 inverted", "size kept"):
        assert words in notes
    assert run.outputs["spacing"]["text"] == ["0.2 x 0.4 mm"]
    assert run.outputs["spacing_half"]["text"] == ["0.4 x 0.8 mm"]
    assert run.outputs["film"]["images"], "the page cannot show a DICOM file by itself"
    check_private(server, run)


def test_a_run_from_dicom_to_dicom(server, films, workflow, inputs):
    inputs("MVG_LoadMedicalImage").update(image="series.dcm", gray=True)
    image = next(key for key, node in workflow.items() if node["class_type"] == "MVG_LoadMedicalImage")
    inputs("MVG_SaveTrajectory").update(dicom=True, spacing=[image, 2])
    run = server.run(workflow)
    assert run.error is None, run.error
    folder = server.base / "output" / inputs("MVG_SaveTrajectory")["folder_prefix"]
    stages = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    assert [ds.InstanceNumber for ds in stages] == [1, 2, 3]
    assert len({ds.StudyInstanceUID for ds in stages}) == len({ds.SeriesInstanceUID for ds in stages}) == 1
    assert len({ds.SOPInstanceUID for ds in stages}) == 3
    assert {str(ds.PatientName) for ds in stages} == {"SYNTHETIC^MVG"}
    assert [ds.get("SyntheticData") for ds in stages] == [None, "YES", "YES"]
    assert [ds.get("BurnedInAnnotation") for ds in stages] == [None, "YES", "YES"]
    assert not any("PatientIdentityRemoved" in ds for ds in stages), "nobody has looked at the pixels"
    for n, ds in enumerate(stages):
        assert ds.SOPClassUID == uid.SecondaryCaptureImageStorage and "DERIVED" in ds.ImageType
        assert [float(mm) for mm in ds.PixelSpacing] == pytest.approx([0.2 * 160 / 256, 0.4 * 160 / 256])
        picture = np.asarray(Image.open(folder / f"stage_{n:02d}.png"))
        assert (ds.pixel_array == (picture[..., 0] if ds.pixel_array.ndim == 2 else picture)).all()
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert {"stage_00.dcm", "stage_02.dcm"} <= set(record["files"])
    check_private(server, run)

    inputs("MVG_SaveTrajectory").update(folder_prefix=f"test/{uuid.uuid4().hex[:8]}", fps=4.0)
    assert server.run(workflow).error is None
    again = server.base / "output" / inputs("MVG_SaveTrajectory")["folder_prefix"]
    for file in folder.glob("*.dcm"):
        assert (again / file.name).read_bytes() == file.read_bytes(), "one run is one series, however often it is saved"


def test_a_real_film_to_dicom(server, two_stages):
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not among the shared data")
    shutil.copy(REAL, server.base / "input" / "real.dcm")
    two_stages["film"]["inputs"].update(image="real.dcm", size=128)
    two_stages["notes"] = preview("film", 1)
    two_stages["spacing"] = preview("film", 2)
    two_stages["save"]["inputs"].update(dicom=True, spacing=["film", 2])
    run = server.run(two_stages)
    assert run.error is None, run.error
    assert "MONOCHROME1 inverted" in run.outputs["notes"]["text"][0]
    assert run.outputs["spacing"]["text"] == [""], "this file says 0 mm"
    real, first = pydicom.dcmread(REAL), saved(server, run, "stage_00.png")
    assert first[35:55, 38:52].mean() + 50 < first[70:100, 60:70].mean(), "the lung is darker than the spine"
    (folder,) = run.outputs["save"]["mvg_trajectory"]
    written = pydicom.dcmread(server.base / "output" / folder["subfolder"] / "stage_01.dcm")
    assert written.Manufacturer == "MVG" and "PixelSpacing" not in written
    check_private(server, run, [str(real.PatientName), real.StudyInstanceUID, real.SOPInstanceUID, real.Manufacturer])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("frames.dcm", "has 12 frames, want a single image"),
        ("slice.dcm", "is a slice or volume (CT), want a projection image"),
        ("photo.dcm", "is a colour image, want a gray one (or switch `gray` off)"),
        ("tiny.dcm", "is 8 x 8 pixels, want at least 16 x 16"),
        ("header.dcm", "want"),
        ("text.dcm", "is no DICOM file, want one with the DICM mark"),
        ("bare", "no PNG, JPEG, TIFF or DICOM image"),
        ("cut.dcm", "the file is cut off"),
        ("../server.dcm", "image"),
    ],
)
def test_what_is_no_film_is_refused_before_anything_runs(server, films, name, words):
    answer = server.refuse({"film": load(name, gray=True), "notes": preview("film", 1)})
    said = json.dumps(answer)
    assert words in said and name in said
    assert not [word for word in PLANTED if word in said]


def test_colour_is_welcome_where_gray_is_not_asked_for(server, films):
    run = server.run({"film": load("photo.dcm"), "notes": preview("film", 1)})
    assert run.error is None and "colour" in run.outputs["notes"]["text"][0]


def test_a_colour_picture_is_refused_where_gray_is_asked_for(server, films):
    Image.fromarray(noise((32, 32, 3), 8)).save(server.base / "input" / "colour.png")
    Image.open(server.base / "input" / "film.png").convert("RGB").save(server.base / "input" / "gray_rgb.png")
    run = server.run({"film": load("colour.png", gray=True), "notes": preview("film", 1)})
    assert "'colour.png' is a colour image" in run.error["exception_message"]
    assert server.run({"film": load("gray_rgb.png", gray=True), "notes": preview("film", 1)}).error is None


def test_the_label_is_on_what_is_simulated_and_nowhere_else(server, two_stages):
    two_stages["map"] = {"class_type": "MVG_DifferenceMap", "inputs": {"images": ["states", 0], "reference": "first"}}
    two_stages["save"]["inputs"]["difference"] = ["map", 0]
    run = server.run(two_stages)
    assert run.error is None, run.error
    first, second = by_host(server, run)
    assert abs(saved(server, run, "stage_00.png") - first).max() <= 1, "the input image"
    check_label(saved(server, run, "stage_01.png"), second, tolerance=1)
    (folder,) = run.outputs["save"]["mvg_trajectory"]
    film = frames_of(server.base / "output" / folder["subfolder"] / "video.mp4")
    assert len(film) == 2
    for frame, picture in zip(film, (first, second), strict=True):
        check_label(frame, picture, tolerance=60)  # H.264 rings at the label's edge


def test_the_label_can_be_switched_off(server, films, two_stages):
    """Of a film that says it has text burned into it, which its stages then say too."""
    two_stages["film"]["inputs"].update(image="burned.dcm")
    two_stages["save"]["inputs"].update(label=False, dicom=True)
    run = server.run(two_stages)
    assert run.error is None, run.error
    for n, picture in enumerate(by_host(server, run)):
        assert abs(saved(server, run, f"stage_{n:02d}.png") - picture).max() <= 1
    (folder,) = run.outputs["save"]["mvg_trajectory"]
    written = pydicom.dcmread(server.base / "output" / folder["subfolder"] / "stage_01.dcm")
    assert (written.BurnedInAnnotation, written.PatientIdentityRemoved, written.SyntheticData) == ("YES", "NO", "YES")


def test_a_finished_video_gets_the_label_too(server, two_stages):
    two_stages["video"] = {"class_type": "CreateVideo", "inputs": {"images": ["states", 0], "fps": 4.0, "bit_depth": 8}}
    two_stages["save"]["inputs"]["video"] = ["video", 0]
    run = server.run(two_stages)
    assert run.error is None, run.error
    (folder,) = run.outputs["save"]["mvg_trajectory"]
    path = server.base / "output" / folder["subfolder"] / "video.mp4"
    check_label(frames_of(path)[1], by_host(server, run)[1], tolerance=60)
    with av.open(str(path)) as video:
        assert video.streams.video[0].average_rate == 4 and "synthetic" in video.metadata


@pytest.mark.parametrize("keep", [False, True])
def test_the_node_labels_for_the_hosts_own_savers(server, two_stages, keep):
    two_stages["label"] = {
        "class_type": "MVG_SyntheticLabel",
        "inputs": {"images": ["states", 0], "keep_first": keep},
    }
    two_stages["save"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["label", 0], "filename_prefix": f"labelled_{keep}"},
    }
    run = server.run(two_stages)
    assert run.error is None, run.error
    plain = by_host(server, run)
    files = [server.base / "output" / file["filename"] for file in run.outputs["save"]["images"]]
    first, second = (np.asarray(Image.open(file)).astype(int) for file in files)
    check_label(second, plain[1])
    if keep:
        assert (first == plain[0]).all()
    else:
        check_label(first, plain[0])


def test_every_format_says_that_it_is_synthetic(server, two_stages):
    scores = {"metric": "conf", "model": "none", "finding": "edema", "values": [0.1, 0.9]}
    two_stages["save"]["inputs"].update(dicom=True, plot=["film", 0], conf=json.dumps(scores))
    run = server.run(two_stages)
    assert run.error is None, run.error
    (listed,) = run.outputs["save"]["mvg_trajectory"]
    folder = server.base / "output" / listed["subfolder"]
    for name in ("stage_01.png", "contact_sheet.png", "plot.png"):
        marks = Image.open(folder / name).text
        assert marks["Synthetic"] == "true" and "not for diagnosis" in marks["Comment"], name
    for name in ("scores.json", "provenance.json"):
        assert json.loads((folder / name).read_text(encoding="utf-8"))["synthetic"] is True, name
    with av.open(str(folder / "video.mp4")) as video:
        assert video.metadata["synthetic"] == "true" and "not for diagnosis" in video.metadata["comment"]
    with open(folder / "scores.csv", newline="", encoding="utf-8") as file:
        settings = [json.loads(row["settings"])["synthetic"] for row in csv.DictReader(file)]
    assert settings == [False, True], "stage 0 is the input image"
    assert "SYNTHETIC" in pydicom.dcmread(folder / "stage_01.dcm").ImageComments
    assert {file.suffix for file in folder.iterdir()} == {".png", ".json", ".mp4", ".csv", ".dcm"}


def test_a_folder_that_fails_leaves_nothing(server, two_stages):
    two_stages["save"]["inputs"].update(dicom=True, spacing="wide")
    run = server.run(two_stages)
    assert "spacing: got 'wide'" in run.error["exception_message"]
    folder = server.base / "output" / two_stages["save"]["inputs"]["folder_prefix"]
    assert not folder.exists() and not list(folder.parent.glob(".*"))
