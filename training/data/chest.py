"""CheXpert, CheXpert Plus, MIMIC-CXR and NIH ChestX-ray14 as they lie on disk."""

import json
import re
from pathlib import Path

from ...mvg.domains import BUILT_IN
from . import files
from .labels import label_value, standard_name
from .record import TEST, TRAIN, VAL, Record

DOMAIN = BUILT_IN["chest_xray"]
FINDINGS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)
"""The 14 observations of the CheXpert labeller, which also labelled MIMIC-CXR (Irvin et al. 2019, table 1)."""
STANDARD = {name: standard_name(name, DOMAIN) for name in FINDINGS}
LATERAL = "lateral"
STUDY = re.compile(r"(patient\d+)/study(\d+)/")
CHEXPERT_LICENCE = "CheXpert (Stanford): research use agreement; cite Irvin et al., AAAI 2019"
PLUS_LICENCE = "CheXpert Plus (Stanford): research use agreement; cite Chambon et al., arXiv:2405.19538"
MIMIC_LICENCE = "MIMIC-CXR: PhysioNet credentialed data use agreement; cite Johnson et al., Scientific Data 2019"
NIH_LICENCE = (
    "NIH ChestX-ray14: no restriction; data by the NIH Clinical Center, https://nihcc.app.box.com/v/ChestXray-NIHCC; "
    "cite Wang et al., CVPR 2017"
)
PLUS_TABLE, PLUS_LABELS = "df_chexpert_plus_240401.csv", "report_fixed.json"
MIMIC_SPLITS = {"train": TRAIN, "validate": VAL, "test": TEST}


def read_chexpert(root: Path) -> list[Record]:
    """CheXpert-v1.0 or -small: train.csv and valid.csv, whose Path begins with the name of the original folder.

    Args:
        root: the folder of the two.

    Returns:
        One record a picture, laterals too. The study number is the order: CheXpert gives no dates.

    Raises:
        ValueError: a column is missing or a cell cannot be read.
    """
    records = []
    for split, name in ((TRAIN, "train.csv"), (VAL, "valid.csv")):
        if split == VAL and not (root / name).exists():
            continue
        for line, cells in files.rows(root / name, ("Path", "Frontal/Lateral", "AP/PA", *FINDINGS)):
            patient, study = _study(cells["Path"], f"{name} line {line}")
            _, _, inside = cells["Path"].partition("/")
            records.append(
                Record(
                    image=root / inside,
                    patient=patient,
                    labels=_labels(cells, f"{name} line {line}"),
                    order=study,
                    view=_view(cells["Frontal/Lateral"], cells["AP/PA"]),
                    split=split,
                    licence=CHEXPERT_LICENCE,
                )
            )
    return records


def read_chexpert_plus(root: Path) -> list[Record]:
    """CheXpert Plus: its table, the PNG files under PNG/, and the CheXbert labels of the whole report.

    Args:
        root: the folder of df_chexpert_plus_240401.csv.

    Returns:
        One record a picture, laterals too; without chexbert_labels/report_fixed.json they have no labels.

    Raises:
        ValueError: a column is missing or a cell cannot be read.
    """
    labels = _plus_labels(root / "chexbert_labels" / PLUS_LABELS)
    pictures = next((p for p in (root / "PNG" / "PNG", root / "PNG") if (p / "train").is_dir()), root)
    columns = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order", "report",
               "split")  # fmt: skip
    records = []
    for line, cells in files.rows(root / PLUS_TABLE, columns):
        where = f"{PLUS_TABLE} line {line}"
        path, order = cells["path_to_image"], cells["patient_report_date_order"]
        image = pictures / path if pictures == root else (pictures / path).with_suffix(".png")
        records.append(
            Record(
                image=image,
                patient=cells["deid_patient_id"],
                labels=labels.get(path, {}),
                order=files.number(order, f"{where}, patient_report_date_order") if order else None,
                view=_view(cells["frontal_lateral"], cells["ap_pa"]),
                report=cells["report"],
                split={"train": TRAIN, "valid": VAL}.get(cells["split"], ""),
                licence=PLUS_LICENCE,
            )
        )
    return records


def read_mimic(root: Path) -> list[Record]:
    """MIMIC-CXR-JPG with the reports of MIMIC-CXR laid beside the study folders, where there are any.

    Args:
        root: the folder of mimic-cxr-2.0.0-split.csv.gz (or .csv) and files/.

    Returns:
        One record a picture of the split table, laterals too; the order is the study's date and time.

    Raises:
        ValueError: a column is missing or a cell cannot be read.
    """
    table = {name: _plain_or_gzip(root, f"mimic-cxr-2.0.0-{name}.csv") for name in ("split", "metadata", "chexpert")}
    views = {
        cells["dicom_id"]: (cells["ViewPosition"], cells["StudyDate"], cells["StudyTime"])
        for _, cells in files.rows(table["metadata"], ("dicom_id", "ViewPosition", "StudyDate", "StudyTime"))
    }
    labels = {
        cells["study_id"]: _labels(cells, f"{table['chexpert'].name} line {line}")
        for line, cells in files.rows(table["chexpert"], ("study_id", *FINDINGS))
    }
    records = []
    for line, cells in files.rows(table["split"], ("dicom_id", "study_id", "subject_id", "split")):
        where = f"{table['split'].name} line {line}"
        picture, study, patient = cells["dicom_id"], cells["study_id"], cells["subject_id"]
        if cells["split"] not in MIMIC_SPLITS:
            raise ValueError(f"{where}, split: got {cells['split']!r}, want {', '.join(MIMIC_SPLITS)}")
        view, date, time = views.get(picture, ("", "", ""))
        folder = root / "files" / f"p{patient[:2]}" / f"p{patient}"
        report = folder / f"s{study}.txt"
        records.append(
            Record(
                image=folder / f"s{study}" / f"{picture}.jpg",
                patient=patient,
                labels=labels.get(study, {}),
                order=files.number(date, where) + files.number(time or "0", where) / 1e6 if date else None,
                view=view or "unknown",
                report=report if report.exists() else "",
                split=MIMIC_SPLITS[cells["split"]],
                licence=MIMIC_LICENCE,
            )
        )
    return records


def read_nih(root: Path) -> list[Record]:
    """ChestX-ray14: Data_Entry_2017 (or its _v2020), images/ or images_001/images/ and so on, and the two split lists.

    Args:
        root: the folder of Data_Entry_2017.csv.

    Returns:
        One record a picture; those of train_val_list.txt are train, as val is drawn from it by patient.

    Raises:
        ValueError: a column is missing or a cell cannot be read.
    """
    entry = next(path for path in sorted(root.glob("Data_Entry_2017*.csv"), reverse=True))
    columns = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "View Position")
    found = files.pictures_by_name([path for path in sorted(root.glob("images*")) if path.is_dir()])
    tested = _lines(root / "test_list.txt")
    read = [
        (line, cells, {standard_name(word, DOMAIN) for word in cells["Finding Labels"].split("|")})
        for line, cells in files.rows(entry, columns)
    ]
    vocabulary = sorted({word for _, _, words in read for word in words})
    return [
        Record(
            image=found.get(Path(cells["Image Index"]).stem, root / "images" / cells["Image Index"]),
            patient=cells["Patient ID"],
            labels={name: float(name in words) for name in vocabulary},
            order=files.number(cells["Follow-up #"], f"{entry.name} line {line}, Follow-up #"),
            view=cells["View Position"],
            split=TEST if cells["Image Index"] in tested else TRAIN,
            licence=NIH_LICENCE,
        )
        for line, cells, words in read
    ]


def _study(path: str, where: str) -> tuple[str, float]:
    found = STUDY.search(path)
    if not found:
        raise ValueError(f"{where}, Path: got {path!r}, want .../patientN/studyN/...")
    return found[1], float(found[2])


def _view(frontal: str, position: str) -> str:
    return LATERAL if frontal.lower() == LATERAL else position or "frontal"


def _labels(cells: dict[str, str], where: str) -> dict[str, float | None]:
    return {label: label_value(cells[name], f"{where}, {name}") for name, label in STANDARD.items()}


def _plus_labels(path: Path) -> dict[str, dict[str, float | None]]:
    """path_to_image -> labels, of a file with one JSON object a line."""
    if not path.exists():
        return {}
    labels = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                told = json.loads(line)
                labels[told["path_to_image"]] = {
                    label: None if told[name] is None else label_value(str(told[name]), name)
                    for name, label in STANDARD.items()
                }
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path.name} line {number}: cannot be read ({error}), want path_to_image and the 14 "
                                 "labels of CheXbert") from error  # fmt: skip
    return labels


def _plain_or_gzip(root: Path, name: str) -> Path:
    return root / name if (root / name).exists() else root / f"{name}.gz"


def _lines(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
