"""The common table: CSVs with named columns, splits by patient, label policies, captions, streaming."""

import re

import numpy as np
import pytest
import torch
from mvgen.mvg.domains import BUILT_IN
from mvgen.tests.library.data_files import picture, write
from mvgen.training.data import Pictures, Record, Samples, balance, caption, check_labels, make_table, read, targets

CHEST = BUILT_IN["chest_xray"]


@pytest.fixture
def films(tmp_path):
    for name in "abcdef":
        picture(tmp_path / "films" / f"{name}.png", size=(40 + ord(name) % 7, 32))
    return tmp_path


LISTED = """file,patient,offset,view,labels,licence,split
films/a.png,p1,0,AP,Edema|Effusion,CC0,train
films/b.png,p1,3,PA,No Finding,CC0,train
films/c.png,p2,2026-01-05,,COVID-19,CC BY,train
films/d.png,p3,,LATERAL,Edema,CC0,train
films/e.png,p4,,AP,Pleural_Thickening;Nodule,CC0,validation
films/f.png,p5,,AP,Edema,CC0,unlabelled
"""


def test_a_list_of_labels_says_what_is_absent_too_unless_nobody_read_the_film(films):
    table = read(write(films / "films.csv", LISTED, "\r\n"))
    a, b, c, e, f = table.records
    assert (table.domain, table.name) == ("chest_xray", "films.csv")
    assert table.labels == ("edema", "pleural effusion", "no finding", "covid-19", "pleural thickening", "nodule")
    assert a.labels == {**dict.fromkeys(table.labels, 0.0), "edema": 1.0, "pleural effusion": 1.0}
    assert b.labels["no finding"] == 1 and b.labels["edema"] == 0 and (b.order, b.view) == (3.0, "PA")
    assert c.labels == {"covid-19": 1.0} and c.order == 739621.0
    assert (e.split, e.labels["pleural thickening"], e.labels["nodule"]) == ("val", 1, 1)
    assert f.labels == {} and table.licences == ("CC0", "CC BY")
    assert table.notes == ("1 of 6 pictures left out: no frontal view",)
    assert a.image == films / "films" / "a.png"


def test_a_column_a_finding_has_uncertain_and_missing_values(films):
    text = (
        "image,Edema,Pleural Effusion,covid,age\nfilms/a.png,1.0,-1,1,7\nfilms/b.png,,0,,9\nfilms/c.png,-1.0,0.3,0,1\n"
    )
    table = read(write(films / "t.csv", text), labels=["covid"], val_share=0)
    assert [r.labels for r in table.records] == [
        {"edema": 1, "pleural effusion": -1, "covid": 1},
        {"edema": None, "pleural effusion": 0, "covid": None},
        {"edema": -1, "pleural effusion": pytest.approx(0.3), "covid": 0},
    ]
    names = ("edema", "pleural effusion")
    values, weights = targets(table.records, names)
    assert values.tolist() == [[1, 0], [0, 0], [0, pytest.approx(0.3)]]
    assert weights.tolist() == [[1, 0], [0, 1], [0, 1]]
    for policy, value in (("zeros", 0.0), ("ones", 1.0), ("soft", 0.7)):
        values, weights = targets(table.records, names, uncertain=policy, missing="zeros")
        assert weights.eq(1).all() and values[0, 1].item() == pytest.approx(value) and values[1, 0] == 0
    with pytest.raises(ValueError, match="uncertain: got 'maybe', want one of ignore, zeros, ones, soft"):
        targets(table.records, names, uncertain="maybe")
    assert check_labels((), table.labels, CHEST) == table.labels
    assert check_labels(["Effusion"], table.labels, CHEST) == ("pleural effusion",)
    with pytest.raises(ValueError, match="labels: got 'hernia', want some of edema, pleural effusion, covid"):
        check_labels(["hernia"], table.labels, CHEST)


def test_patients_are_drawn_for_val_whole_and_alike_for_one_seed(tmp_path):
    records = [Record(tmp_path / f"{n}.png", patient=f"p{n // 3}") for n in range(60)]
    table = make_table("t", "skin", records, val_share=0.2, seed=5)
    val = {r.patient for r in table.part("val")}
    assert len(val) == 4 and val.isdisjoint({r.patient for r in table.part("train")}) and table.count("val") == 12
    assert table.notes == ("4 of 20 patients drawn for val by seed 5",)
    again = make_table("t", "skin", records[::-1], val_share=0.2, seed=5)
    assert {r.patient for r in again.part("val")} == val
    assert {r.patient for r in make_table("t", "skin", records, val_share=0.2, seed=6).part("val")} != val
    with pytest.raises(
        ValueError, match=r"split: got no picture in 'test' of t \(train 48, val 12\), want at least one"
    ):
        table.part("test")


@pytest.mark.parametrize(("text", "message"), [
    ("name,labels\na,Edema\n", "t.csv: columns image or file or path or filename are missing, got name, labels"),
    ("file,labels\n", "t.csv: has no row, want one a picture"),
    ("", "t.csv: has no row"),
    ("file,labels\na.png,Edema,x\n", "t.csv: line 2 has 3 cells, want 2"),
    ("file,labels\n,Edema\n", "t.csv line 2, file: is empty, want a picture"),
    ("file,edema\na.png,yes\n", r"t.csv line 2, edema: got 'yes', want 1, 0, -1 \(uncertain\) or nothing"),
    ("file,edema\na.png,2\n", "t.csv line 2, edema: got '2', want 1"),
    ("file,edema,split\na.png,1,tain\n", "t.csv line 2, split: got 'tain', want one of train, val, test, unlabelled"),
    ("file,edema,offset\na.png,1,soon\n", "t.csv line 2, order: got 'soon', want a number"),
    ("file,labels\na.png,foo\n", "domain: t.csv does not tell it, want one of chest_xray, fundus, skin"),
    ("file,labels\na.png,Edema\na.png,Edema\n", "a.png is listed twice, want each picture once"),
    ("file,edema,patient,split\na.png,1,p7,train\nb.png,1,p7,val\n",
     "patient: 'p7' is in the splits train and val, want each patient in one"),
])  # fmt: skip
def test_a_table_that_makes_no_sense_is_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(write(tmp_path / "t.csv", text))
    assert "\n" not in str(caught.value)


def test_a_place_that_is_no_data_set_is_one_line(films):
    write(films / "other.csv", "a\n1\n")
    for path, options, message in (
        (films / "nowhere", {}, r"data: got .*nowhere, want a folder or a CSV file that exists"),
        (films / "nowhere.csv", {}, r"data: there is no file .*nowhere.csv"),
        (films, {}, r"data: .* is no folder of CheXpert Plus \(df_.*, nor of pictures; or give one of its tables, oth"),
        (films / "films", {}, "domain: .*films holds pictures alone, want one of chest_xray, fundus, skin"),
        (films / "films", {"domain": "knee"}, "domain: got 'knee', want one of"),
        (films / "films", {"domain": "skin", "val_share": 1}, "val_share: got 1, want a share from 0 to below 1"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            read(path, **options)
        assert "\n" not in str(caught.value)
    write(films / "t.csv", "file,labels\na.png,Edema\n")
    table = read(films / "t.csv", domain="skin")
    assert table.domain == "skin" and table.labels == ("edema",)
    assert [r.image.name for r in read(films / "films", domain="fundus", val_share=0).records] == [
        f"{n}.png" for n in "abcdef"
    ]


def test_captions_are_the_domains_words(tmp_path):
    def said(**known):
        return caption(Record(tmp_path / "a.png", "p", **known), CHEST)

    assert said(labels={"edema": 1.0, "infiltration": 1.0, "nodule": -1.0, "hernia": 1.0, "no finding": 0.0}) == (
        "frontal chest x-ray, edema, lung opacity"
    )
    assert said(labels={"no finding": 1.0, "edema": 0.0}) == "frontal chest x-ray, no finding"
    assert said(labels={"covid-19": 1.0}) == said() == "frontal chest x-ray"
    report = "FINDINGS: Moderate left pleural effusion. Possible edema. No pneumothorax."
    assert said(report=report, labels={"edema": 1.0}) == "frontal chest x-ray, moderate left pleural effusion"
    assert said(report="Normal chest radiograph.") == "frontal chest x-ray, no finding"
    file = write(tmp_path / "r.txt", "IMPRESSION: Severe cardiomegaly.")
    assert said(report=file) == "frontal chest x-ray, severe cardiomegaly"
    with pytest.raises(ValueError, match=r"report: 'none.txt' cannot be opened"):
        said(report=tmp_path / "none.txt")
    grade = Record(tmp_path / "a.png", "p", {"diabetic retinopathy": 1.0}, severities={"diabetic retinopathy": 0.55})
    assert caption(grade, BUILT_IN["fundus"]) == "fundus photograph, moderate diabetic retinopathy"
    rng = np.random.default_rng(0)
    record = Record(tmp_path / "a.png", "p", {"edema": 1.0, "pleural effusion": 1.0})
    varied = {caption(record, CHEST, rng) for _ in range(60)}
    assert len(varied) > 5 and {v for v in varied if "pulmonary edema" in v}
    assert caption(record, CHEST, known=("edema",)) == "frontal chest x-ray, edema"


def test_pictures_of_any_size_come_as_squares_and_draws_are_repeatable(films):
    table = read(write(films / "films.csv", LISTED))

    def noise(image, generator):
        return image + 0.1 * torch.randn(image.shape, generator=generator)

    plain = Pictures(table.records, 16, gray=True)
    image, index = plain[2]
    assert image.shape == (1, 16, 16) and index == 2 and image.min() >= 0 and image.max() <= 1
    assert Pictures(table.records, 16)[0][0].shape == (3, 16, 16)
    drawn = Pictures(table.records, 16, transform=noise, seed=4)
    assert torch.equal(drawn[1, 7][0], Pictures(table.records, 16, transform=noise, seed=4)[1, 7][0])
    assert not torch.equal(drawn[1, 7][0], drawn[1, 8][0])


def test_a_number_is_always_the_same_sample(films):
    pictures = Pictures(read(films / "films", domain="fundus", val_share=0).records, 16)
    samples = Samples(pictures, seed=3)
    places = [samples.place(n) for n in range(18)]
    assert [Samples(pictures, seed=3).place(n) for n in (17, 4, 9)] == [places[n] for n in (17, 4, 9)]
    assert sorted(i for i, epoch in places if epoch == 1) == list(range(6))
    sample = samples[7]
    assert sample["number"] == 7 and sample["index"] == places[7][0] and sample["image"].shape == (3, 16, 16)
    values = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 0.0]] * 2 + [[1.0, 1.0]])
    assert torch.allclose(balance(values), torch.tensor([0.5, 0.5, 0.5, 1, 1, 2]) * 12 / 11)
    drawn = [Samples(pictures, weights=balance(values)).place(n)[0] for n in range(0, 6000, 6)]
    assert drawn.count(5) / 1000 == pytest.approx(4 / 11, abs=0.05)
    with pytest.raises(ValueError, match="pictures: got none"):
        Samples(Pictures([], 16))


def test_unreadable_pictures_are_counted_and_too_many_are_an_error(films):
    write(films / "films" / "b.png", "no picture")
    (films / "films" / "e.png").unlink()
    table = read(write(films / "films.csv", LISTED))
    pictures = Pictures(table.records, 16, max_unreadable=0.5)
    loader = torch.utils.data.DataLoader(pictures, batch_size=2, num_workers=1)
    assert [i for _, indices in loader for i in indices.tolist()] == [0, 2, 2, 4, 4]
    assert [r.image.name for r in pictures.unreadable] == ["b.png", "e.png"]
    strict = Pictures(table.records, 16)
    with pytest.raises(ValueError, match=re.escape("pictures: 1 of 5 cannot be read, more than the 1.0% that")):
        strict[1]
    for name in "acdf":
        (films / "films" / f"{name}.png").unlink()
    with pytest.raises(ValueError, match=r"pictures: 5 of 5 cannot be read.*cannot be"):
        Pictures(table.records, 16, max_unreadable=1.0)[0]
