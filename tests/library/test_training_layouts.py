"""Readers of published data sets, each on a miniature of its real layout with the real column names and odd values."""

import gzip

import pytest
from mvgen.tests.library.data_files import picture, write
from mvgen.training.data import Pictures, read

CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def chexpert(root):
    """Both layouts of -small: the paths begin with the name that the folder had, whatever it is called now."""
    base = "CheXpert-v1.0-small"
    rows = [
        f"{base}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
        f"{base}/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
        f"{base}/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,",
        f"{base}/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,AP,,,,,,1.0,,,,0.0,,,,",
    ]
    write(root / "train.csv", "\n".join([CHEXPERT, *rows, ""]), "\r\n")
    valid = f"{base}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0{',0.0' * 10}"
    write(root / "valid.csv", f"{CHEXPERT}\n{valid}\n")
    picture(root / "train/patient00001/study1/view1_frontal.jpg", (39, 32))
    picture(root / "train/patient00002/study2/view1_frontal.jpg", (32, 39))
    return root


def test_chexpert(tmp_path):
    table = read(chexpert(tmp_path / "small"))
    first, second, _, val = table.records
    assert (table.name, table.domain) == ("CheXpert", "chest_xray") and "no frontal view" in table.notes[0]
    assert len(table.labels) == 14 and "pleural other" in table.labels and "CheXpert" in table.licences[0]
    assert first.labels["no finding"] == 1 and first.labels["pneumothorax"] == 0 and first.labels["edema"] is None
    assert second.labels["edema"] == -1 and (second.patient, second.order, second.view) == ("patient00002", 2, "PA")
    assert (val.split, val.patient, val.labels["cardiomegaly"]) == ("val", "patient64541", 1)
    assert Pictures([first, second], 16)[1][0].shape == (3, 16, 16)
    with pytest.raises(ValueError, match=r"pictures: 1 of 4 cannot be read, more than the 1\.0% .*patient00003"):
        Pictures(table.records, 16)[2]
    write(tmp_path / "small/train.csv", "Path,Frontal/Lateral,AP/PA,Edema\nx,Frontal,AP,1\n")
    with pytest.raises(ValueError, match=r"train.csv: columns No Finding, .*are missing, got Path, Frontal/Lateral"):
        read(tmp_path / "small")


def test_a_chexpert_patient_in_train_and_valid_is_refused(tmp_path):
    root = chexpert(tmp_path)
    text = (root / "valid.csv").read_text().replace("patient64541", "patient00003")
    write(root / "valid.csv", text)
    with pytest.raises(ValueError, match="patient: 'patient00003' is in the splits train and val"):
        read(root)
    write(root / "valid.csv", text.replace("patient00003/study1/", "lost/"))
    with pytest.raises(ValueError, match=r"valid.csv line 2, Path: got .*want \.\.\./patientN/studyN/"):
        read(root)


PLUS = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
    "section_narrative,section_findings,section_impression,age,sex,race,split"
)


def test_chexpert_plus(tmp_path):
    path = "train/patient42142/study5/view1_frontal.jpg"
    report = '"NARRATIVE:\nRadiograph, 6-1-2009\n\nIMPRESSION: 1. Severe pulmonary edema, ""worse""."'
    rows = [
        f"{path},x.dcm,Frontal,AP,patient42142,5,{report},,,,68.0,Male,White,train",
        f"{path.replace('frontal', 'lateral')},x.dcm,Lateral,,patient42142,5,{report},,,,68.0,Male,White,train",
        "valid/patient64622/study1/view1_frontal.jpg,y.dcm,Frontal,PA,patient64622,1,,,,,41.0,Female,,valid",
    ]
    write(tmp_path / "df_chexpert_plus_240401.csv", "\n".join([PLUS, *rows, ""]), "\r\n")
    names = CHEXPERT.split("AP/PA,")[1].split(",")
    told = ", ".join(
        f'"{n}": {({"Edema": "1.0", "Pneumonia": "-1.0", "Fracture": "0.0"}).get(n, "null")}' for n in names
    )
    (tmp_path / "chexbert_labels").mkdir()
    write(tmp_path / "chexbert_labels/report_fixed.json", f'{{"path_to_image": "{path}", {told}}}\n')
    picture(tmp_path / "PNG/train/patient42142/study5/view1_frontal.png")
    table = read(tmp_path)
    first, val = table.records
    assert table.name == "CheXpert Plus" and table.labels[5] == "edema" and val.split == "val" and val.labels == {}
    assert (first.labels["edema"], first.labels["pneumonia"], first.labels["atelectasis"]) == (1, -1, None)
    assert first.order == 5 and "Severe pulmonary edema" in first.report_text()
    assert Pictures([first], 16)[0][0].shape == (3, 16, 16)
    write(tmp_path / "chexbert_labels/report_fixed.json", '{"path_to_image": "a", "Edema": 1}\n')
    with pytest.raises(ValueError, match=r"report_fixed\.json line 1: cannot be read"):
        read(tmp_path)


def test_mimic_cxr(tmp_path):
    findings = "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,"
    findings += "Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
    tables = {
        "split": "dicom_id,study_id,subject_id,split\nd1,50414267,10000032,train\nd2,50414267,10000032,train\n"
        "d3,53189527,10000764,validate\nd4,53911762,11000001,test\nd5,53911763,11000001,test\n",
        "metadata": "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
        "StudyDate,StudyTime\nd1,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531\n"
        'd2,10000032,50414267,"CHEST (PA, LAT)",LATERAL,3056,2544,21800506,213014.531\n'
        "d3,10000764,53189527,x,AP,1,1,21321015,90000.0\nd4,11000001,53911762,x,PA,1,1,,\n"
        "d5,11000001,53911763,x,,1,1,,\n",
        "chexpert": f"subject_id,study_id,{findings}\n10000032,50414267,,-1.0,,1.0,,,,,,0.0,,,,\n",
    }
    for name, text in tables.items():
        with gzip.open(tmp_path / f"mimic-cxr-2.0.0-{name}.csv.gz", "wt", newline="") as file:
            file.write(text.replace("\n", "\r\n"))
    folder = tmp_path / "files/p10/p10000032"
    picture(folder / "s50414267/d1.jpg")
    write(folder / "s50414267.txt", "FINDINGS: There is mild edema.\nIMPRESSION: Mild edema.\n")
    table = read(tmp_path)
    first, val, test = table.records
    assert [r.split for r in table.records] == ["train", "val", "test"] and table.notes[0].startswith("2 of 5")
    assert (first.labels["edema"], first.labels["cardiomegaly"], first.labels["pneumonia"]) == (1, -1, None)
    assert first.order == pytest.approx(21800506.213014531) and val.labels == {} and test.order is None
    assert "Mild edema" in first.report_text() and val.report == "" and first.image.exists()
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(ValueError, match=r"mimic-cxr-2.0.0-chexpert.csv.gz: cannot be read as CSV in UTF-8"):
        read(tmp_path)


NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


@pytest.mark.parametrize(("name", "end"), [("Data_Entry_2017.csv", ","), ("Data_Entry_2017_v2020.csv", "")])
def test_nih_chestxray14(tmp_path, name, end):
    rows = [
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA,2682,2749,0.143,0.143",
        "00000001_001.png,No Finding,1,1,058Y,M,PA,2894,2729,0.143,0.143",
        "00000002_000.png,Pleural_Thickening,0,2,81,M,AP,2500,2048,0.171,0.171",
        "00000003_000.png,Hernia,0,3,81,F,PA,2582,2991,0.143,0.143",
    ]
    head = NIH if end else NIH.rstrip(",")
    write(tmp_path / name, "\n".join([head, *(row + end for row in rows), ""]), "\r\n")
    picture(tmp_path / "images_001/images/00000001_000.png")
    picture(tmp_path / "images_002/images/00000002_000.png", (64, 48))
    write(tmp_path / "test_list.txt", "00000002_000.png\n00000004_000.png", "\r\n")
    table = read(tmp_path, seed=1)
    assert table.name == "NIH ChestX-ray14" and {r.labels["hernia"] for r in table.records} == {0, 1}
    first, second, third, _ = table.records
    assert first.labels == {"cardiomegaly": 1, "emphysema": 1, "hernia": 0, "no finding": 0, "pleural thickening": 0}
    assert third.split == "test" and third.labels["pleural thickening"] == 1 and third.view == "AP"
    assert first.split == second.split and second.order == 1 and table.count("val") in (1, 2)
    assert first.image.exists() and third.image.exists() and not second.image.exists()


def test_kaggle_diabetic_retinopathy(tmp_path):
    write(tmp_path / "trainLabels.csv", "image,level\n10_left,0\n10_right,0\n13_left,2\n13_right,4\n", "\r\n")
    write(tmp_path / "retinopathy_solution.csv", "image,level,Usage\n1_left,1,Public\n")
    picture(tmp_path / "train/13_left.jpeg", (60, 40))
    table = read(tmp_path, seed=2)
    assert table.domain == "fundus" and table.labels == ("diabetic retinopathy", "no finding")
    by_name = {r.image.name: r for r in table.records}
    assert by_name["10_left.jpeg"].split == by_name["10_right.jpeg"].split != by_name["13_left.jpeg"].split
    assert by_name["13_left.jpeg"].severities == {"diabetic retinopathy": 0.55}
    assert by_name["13_right.jpeg"].labels == {"diabetic retinopathy": 1, "no finding": 0}
    assert by_name["1_left.jpeg"].split == "test" and by_name["13_left.jpeg"].image.exists()
    for row, message in (
        ("10_middle,0", "image: got '10_middle', want N_left"),
        ("10_left,5", "level: got '5', want a"),
    ):
        write(tmp_path / "trainLabels.csv", f"image,level\n{row}\n")
        with pytest.raises(ValueError, match=f"trainLabels.csv line 2, {message}"):
            read(tmp_path)


def test_isic_2018(tmp_path):
    base = "ISIC2018_Task3_Training"
    head = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
    (tmp_path / f"{base}_GroundTruth").mkdir()
    rows = "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,1.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
    rows += "ISIC_0024308,1.0,0,0,0,0,0,0\n"
    write(tmp_path / f"{base}_GroundTruth/{base}_GroundTruth.csv", head + rows)
    groups = "image,lesion_id,diagnosis_confirm_type\nISIC_0024307,HAM_1,histo\nISIC_0024308,HAM_1,histo\n"
    write(tmp_path / f"{base}_LesionGroupings.csv", groups)
    picture(tmp_path / f"{base}_Input/ISIC_0024306.jpg", (60, 45))
    table = read(tmp_path)
    first, second, third = table.records
    assert table.domain == "skin" and table.labels[:2] == ("melanoma", "nevus") and len(table.labels) == 7
    assert first.labels["nevus"] == 1 and first.labels["melanoma"] == 0 and first.image.exists()
    assert second.patient == third.patient == "HAM_1" and second.split == third.split != first.split


@pytest.mark.parametrize("name", ["HAM10000_metadata.csv", "HAM10000_metadata"])
def test_ham10000(tmp_path, name):
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
    write(tmp_path / name, head + "HAM_0,ISIC_1,bkl,histo,80.0,male,scalp,a\nHAM_1,ISIC_2,mel,histo,,female,ear,b\n")
    picture(tmp_path / "HAM10000_images_part_2/ISIC_2.jpg")
    first, second = read(tmp_path, val_share=0).records
    assert first.labels["benign keratosis"] == 1 and second.labels["melanoma"] == 1
    assert second.image.exists() and not first.image.exists() and second.patient == "HAM_1"
    write(tmp_path / name, head + "HAM_0,ISIC_1,wart,histo,80.0,male,scalp,a\n")
    with pytest.raises(ValueError, match=r"line 2, dx: got 'wart', want mel, nv, bcc"):
        read(tmp_path)


def test_isic_2024(tmp_path):
    head = "isic_id,target,patient_id,age_approx,sex,anatom_site_general,image_type,attribution,copyright_license,"
    head += "iddx_full\n"
    rows = (
        "ISIC_0015670,0,IP_1235828,60.0,male,lower extremity,TBP tile: close-up,Memorial Sloan Kettering,CC-BY,Benign\n"
        'ISIC_0082829,1,IP_3249371,,,,x,"Frazer, Dermatology",CC-BY,'
        '"Malignant::Malignant melanocytic proliferations (Melanoma)::Melanoma Invasive"\n'
        "ISIC_0082830,0,IP_3249371,,,,x,ACEMID,CC-0,Benign::Benign melanocytic proliferations::Nevus\n"
    )
    write(tmp_path / "train-metadata.csv", head + rows)
    picture(tmp_path / "train-image/image/ISIC_0015670.jpg", (139, 139))
    table = read(tmp_path)
    first, second, third = table.records
    assert first.labels["malignant"] == 0 and first.labels["melanoma"] is None and first.image.exists()
    assert second.labels["malignant"] == second.labels["melanoma"] == 1 and second.labels["nevus"] == 0
    assert third.labels["nevus"] == 1 and second.split == third.split != first.split
    assert table.licences[1] == "ISIC 2024 (CC-BY; Frazer, Dermatology)"
    write(tmp_path / "train-metadata.csv", head + rows.replace("70,0,", "70,7,"))
    with pytest.raises(ValueError, match=r"train-metadata\.csv line 2, target: got '7', want 1, 0"):
        read(tmp_path)
