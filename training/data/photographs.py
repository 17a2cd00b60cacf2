"""Kaggle Diabetic Retinopathy, ISIC 2018 (HAM10000), ISIC 2024 as they lie on disk, and a folder of pictures alone."""

from collections.abc import Mapping
from pathlib import Path

from ...mvg.domains import BUILT_IN
from . import files
from .labels import NO_FINDING, label_value
from .record import TEST, TRAIN, VAL, Record

FUNDUS, SKIN = BUILT_IN["fundus"], BUILT_IN["skin"]
RETINOPATHY = "diabetic retinopathy"
GRADES = {0: 0.0, 1: 0.25, 2: 0.55, 3: 0.85, 4: 0.85}
"""Grade of the International Clinical Diabetic Retinopathy scale -> severity: mild, moderate, severe, and
proliferative, for which prompts have the word of severe, as for reports."""
KAGGLE_LICENCE = "Kaggle Diabetic Retinopathy Detection (EyePACS, 2015): competition rules; non-commercial research"
ISIC_2018_LICENCE = (
    "HAM10000: CC BY-NC 4.0, Tschandl et al., Scientific Data 2018; ISIC 2018, Codella et al., arXiv:1902.03368"
)
ISIC_2018 = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal cell carcinoma",
    "AKIEC": "actinic keratosis",
    "BKL": "benign keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
}
ISIC_2018_PARTS = {"Training": TRAIN, "Validation": VAL, "Test": TEST}
HAM_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata")
ISIC_2024_TABLE = "train-metadata.csv"
ISIC_2024_DIAGNOSES = {
    "melanoma": "melanoma",
    "nevus": "nevus",
    "basal cell carcinoma": "basal cell carcinoma",
    "squamous cell carcinoma": "squamous cell carcinoma",
    "seborrheic keratosis": "seborrheic keratosis",
    "actinic keratosis": "actinic keratosis",
    "dermatofibroma": "dermatofibroma",
    "hemangioma": "vascular lesion",
}
"""Words of the column iddx_full, from the most to the least pressing -> finding."""
MALIGNANT = "malignant"


def read_kaggle_retinopathy(root: Path) -> list[Record]:
    """trainLabels.csv with train/N_left.jpeg and N_right.jpeg, and retinopathy_solution.csv with test/ if there.

    Args:
        root: the folder of trainLabels.csv.

    Returns:
        One record an eye; the two eyes of N are one patient.

    Raises:
        ValueError: a column is missing, a name is no N_left or N_right, or a grade none of 0 to 4.
    """
    records = []
    for name, folder, split in (("trainLabels.csv", "train", TRAIN), ("retinopathy_solution.csv", "test", TEST)):
        if split == TEST and not (root / name).exists():
            continue
        for line, cells in files.rows(root / name, ("image", "level")):
            patient, _, eye = cells["image"].rpartition("_")
            if eye not in ("left", "right") or not patient:
                raise ValueError(f"{name} line {line}, image: got {cells['image']!r}, want N_left or N_right")
            if cells["level"] not in map(str, GRADES):
                raise ValueError(f"{name} line {line}, level: got {cells['level']!r}, want a grade from 0 to 4")
            grade = int(cells["level"])
            records.append(
                Record(
                    image=root / folder / f"{cells['image']}.jpeg",
                    patient=f"{folder} {patient}",
                    labels={RETINOPATHY: float(grade > 0), NO_FINDING: float(grade == 0)},
                    severities={RETINOPATHY: GRADES[grade]},
                    split=split,
                    licence=KAGGLE_LICENCE,
                )
            )
    return records


def read_isic_2018(root: Path) -> list[Record]:
    """Task 3 of ISIC 2018: ISIC2018_Task3_PART_GroundTruth/ and _Input/ for the parts Training, Validation and Test.

    Args:
        root: the folder of these.

    Returns:
        One record a picture. Pictures of one lesion are one patient, which ISIC2018_Task3_Training_LesionGroupings.csv
        tells: patients themselves are not published.

    Raises:
        ValueError: a column is missing or a cell cannot be read.
    """
    groups = next(iter(sorted(root.rglob("ISIC2018_Task3_Training_LesionGroupings.csv"))), None)
    lesions = (
        {} if groups is None else {c["image"]: c["lesion_id"] for _, c in files.rows(groups, ("image", "lesion_id"))}
    )
    records = []
    for part, split in ISIC_2018_PARTS.items():
        base = f"ISIC2018_Task3_{part}"
        table = root / f"{base}_GroundTruth" / f"{base}_GroundTruth.csv"
        if not table.exists():
            continue
        for line, cells in files.rows(table, ("image", *ISIC_2018)):
            where = f"{table.name} line {line}"
            records.append(
                Record(
                    image=root / f"{base}_Input" / f"{cells['image']}.jpg",
                    patient=lesions.get(cells["image"], cells["image"]),
                    labels={label: label_value(cells[code], f"{where}, {code}") for code, label in ISIC_2018.items()},
                    split=split,
                    licence=ISIC_2018_LICENCE,
                )
            )
    return records


def read_ham10000(root: Path) -> list[Record]:
    """HAM10000 as its authors publish it: HAM10000_metadata and HAM10000_images_part_1, _part_2.

    Args:
        root: the folder of these.

    Returns:
        One record a picture; pictures of one lesion are one patient.

    Raises:
        ValueError: a column is missing or a diagnosis unknown.
    """
    table = next(root / name for name in HAM_TABLES if (root / name).exists())
    found = files.pictures_by_name(sorted(root.glob("HAM10000_images_part_*")))
    records = []
    for line, cells in files.rows(table, ("lesion_id", "image_id", "dx")):
        finding = ISIC_2018.get(cells["dx"].upper())
        if finding is None:
            raise ValueError(f"{table.name} line {line}, dx: got {cells['dx']!r}, want {', '.join(ISIC_2018).lower()}")
        name = cells["image_id"]
        records.append(
            Record(
                image=found.get(name, root / "HAM10000_images_part_1" / f"{name}.jpg"),
                patient=cells["lesion_id"],
                labels={label: float(label == finding) for label in ISIC_2018.values()},
                licence=ISIC_2018_LICENCE,
            )
        )
    return records


def read_isic_2024(root: Path) -> list[Record]:
    """The SLICE-3D pictures of ISIC 2024: train-metadata.csv and train-image/image/.

    Args:
        root: the folder of these.

    Returns:
        One record a picture. "malignant" is the column target; the diagnoses are read from iddx_full, and are None for
        a lesion that it calls benign or malignant without saying what it is.

    Raises:
        ValueError: a column is missing or target is neither 0 nor 1.
    """
    columns = ("isic_id", "target", "patient_id", "attribution", "copyright_license", "iddx_full")
    records = []
    for line, cells in files.rows(root / ISIC_2024_TABLE, columns):
        target = label_value(cells["target"], f"{ISIC_2024_TABLE} line {line}, target")
        records.append(
            Record(
                image=root / "train-image" / "image" / f"{cells['isic_id']}.jpg",
                patient=cells["patient_id"] or cells["isic_id"],
                labels={MALIGNANT: target, **_diagnosis(cells["iddx_full"])},
                licence=f"ISIC 2024 ({cells['copyright_license']}; {cells['attribution']})",
            )
        )
    return records


def read_pictures(root: Path) -> list[Record]:
    """A folder of pictures without a table.

    Args:
        root: the folder; its sub-folders are looked through too.

    Returns:
        One record a picture, each a patient of its own, without labels.
    """
    return [Record(image=path, patient=str(path.relative_to(root))) for path in files.pictures(root)]


def _diagnosis(text: str) -> Mapping[str, float | None]:
    """Labels of the words of iddx_full, such as "Malignant::...::Melanoma Invasive"."""
    said = text.lower()
    found = next((finding for words, finding in ISIC_2024_DIAGNOSES.items() if words in said), None)
    return {name: None if found is None else float(name == found) for name in ISIC_2024_DIAGNOSES.values()}
