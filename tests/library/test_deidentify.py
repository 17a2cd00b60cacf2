"""deidentify: made-up identifiers in many notations, put into real reports, and what must stay as it is."""

import json
import random
import re
import time
from pathlib import Path

import pytest
from mvgen.mvg.recaption.deidentify import KINDS, deidentify, describe
from mvgen.research.bench import recaption as bench

SENTENCES = json.loads(Path(__file__).with_name("report_sentences.json").read_text(encoding="utf-8"))
# fmt: off
FIRST = (
    "John", "Maria", "Wei", "Aisha", "Fernando", "Olga", "Tom", "Priya", "Jean-Luc",
    "Siobhan", "Ahmed", "Grace", "Will", "May", "Mark", "Rose", "Søren", "Zoë",
)
LAST = (
    "Smith", "Garcia", "O'Brien", "van der Berg", "Nguyen", "Müller", "Al-Hassan", "Johnson-Lee", "McDonald",
    "Kowalski", "Okafor", "Li", "Patel", "de la Cruz", "Brown", "Young", "Stone", "Reed",
    "Fielding", "Whitfield", "Ng", "D'Angelo",
)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)
STREETS = (
    "Elm", "Main", "Maple", "Oak", "King", "Washington", "High", "Mill",
)
# fmt: on


def identifiers(rng):
    """(sentence, the parts of it that may not be left, kind), a fresh one of every notation."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    initial = rng.choice("ABCDEFGHJKLMNPRSTW")
    full, caps = f"{first} {last}", f"{last.upper()}, {first.upper()}"
    names = [
        (f"Mr. {last} is a 54-year-old man.", last),
        (f"Mrs {full} presents with cough.", full),
        (f"Ms. {initial}. {last} was seen.", last),
        (f"Findings were discussed with Dr. {full} at 3 pm.", full),
        (f"Dr {last} was notified.", last),
        (f"DR. {last.upper()} WAS NOTIFIED.", last.upper()),
        (f"dr. {last.lower()} agrees.", last.lower()) if " " not in last else (f"Doctor {last} agrees.", last),
        (f"Prof. Dr. {last} reviewed the images.", last),
        (f"Patient: {full}", full),
        (f"Patient Name: {caps}", caps),
        (f"PATIENT: {caps} {initial}", caps),
        (f"Name: {last}, {first} {initial}.", f"{last}, {first}"),
        (f"name: {full.lower()}" if " " not in last else f"name: {full}", full.lower() if " " not in last else full),
        (f"Patient {full} was examined.", full),
        (f"Electronically signed by: {full}, MD", full),
        (f"Dictated by {full}.", full),
        (f"Radiologist: {full}", full),
        (f"Referring physician: {initial}. {last}", last),
        (f"{full}, M.D.", full),
        (f"Miss {last}'s earlier film was compared.", last),
    ]
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1931, 2025)
    name = MONTHS[month - 1]
    dates = [
        f"{month}/{day}/{year}",
        f"{month:02}/{day:02}/{year % 100:02}",
        f"{year}-{month:02}-{day:02}",
        f"{day}.{month}.{year}",
        f"{day:02}-{name[:3].upper()}-{year}",
        f"{name} {day}, {year}",
        f"{day} {name[:3]} {year}",
        f"{day}th of {name} {year}",
        f"{name} {year}",
        f"{name} {day}",
        f"{year}/{month:02}/{day:02}",
        f"{year}-{month:02}-{day:02}T14:05:00",
        f"{year}{month:02}{day:02}",
    ]
    date = rng.choice(
        ["COMPARISON: Chest radiograph dated {}.", "DOB: {}", "Compared with {}, unchanged.", "Admitted {}."]
    )
    number = rng.randint(10**6, 10**8)
    numbers = [
        ("MRN: {}", f"{number}"),
        ("MRN {}", f"{number % 10**5:05}"),
        ("Medical record number {}", f"{number}"),
        ("Medical Record No. {}", f"A{number}"),
        ("Accession #: {}", f"ACC-{number}"),
        ("Accession Number: {}", f"{rng.randint(2000, 2024)}-{number % 10**6}"),
        ("Patient ID: {}", f"P{number % 10**6:06}"),
        ("Hospital ID {}", f"H-{number % 10**5:05}"),
        ("Record no: {}", f"{number}"),
        ("Case number {}", f"S{rng.randint(10, 24)}-{number % 10**5:05}"),
        ("NHS number {}", f"{rng.randint(100, 999)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"),
        ("Study UID {}.", f"1.2.840.{number}.{rng.randint(1, 99)}.{rng.randint(1, 99)}.{rng.randint(1, 999)}"),
        ("Account number: {}", f"{number}"),
    ]
    a, b, c = rng.randint(200, 989), rng.randint(200, 999), rng.randint(0, 9999)
    phones = [
        f"({a}) {b}-{c:04}",
        f"{a}-{b}-{c:04}",
        f"{a}.{b}.{c:04}",
        f"+1 {a} {b} {c:04}",
        f"+44 20 {rng.randint(1000, 9999)} {c:04}",
        f"1-{a}-{b}-{c:04}",
        f"+49 (0)30 {rng.randint(100000, 999999)}",
    ]
    phone = rng.choice(["Tel: {}.", "Please call {} with questions.", "Contact {}", "Phone {}"])
    mail = (
        f"{first.lower()}.{last.split()[-1].lower()}@{rng.choice(['clinic.org', 'st-mary.nhs.uk', 'mail.example.com'])}"
    )
    street, house, code = rng.choice(STREETS), rng.randint(1, 9999), rng.randint(10000, 99999)
    addresses = [
        (f"Lives at {house} {street} Street.", f"{house} {street}"),
        (f"{house} N. {street} Ave, Apt 4B, Springfield, IL {code}", f"{house} N. {street}|{code}"),
        (f"Address: {house} {street} Road, Bristol BS8 1TH", f"{house} {street}|BS8 1TH"),
        (f"Home address: {street} Lodge, Leeds", f"{street} Lodge"),
        (f"P.O. Box {house}", str(house)),
        (f"Moved to Springfield, IL {code}.", str(code)),
        (f"{house} {street.upper()} BLVD", f"{house} {street.upper()}"),
    ]
    age = rng.randint(90, 109)
    ages = [
        "{}-year-old woman with edema.",
        "{} year old male.",
        "{} yo F with cough.",
        "Age: {}",
        "{} y/o man.",
        "The patient is {} years old.",
        "A man aged {} with fever.",
        "{}F with dyspnea.",
    ]
    ssn = f"{rng.randint(100, 899)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"
    out = [(text, part, "name") for text, part in names]
    out += [(date.format(d), d, "date") for d in dates]
    out += [(text.format(n), n, "record number") for text, n in numbers]
    out += [(phone.format(n), n, "phone number") for n in phones]
    out += [
        (f"Copy to {mail}.", mail, "e-mail address"),
        (f"See https://pacs.example.org/{number}", str(number), "web address"),
    ]
    out += [(text, part, "address") for text, part in addresses]
    out += [(text.format(age), str(age), "age over 89") for text in ages]
    return [
        *out,
        (f"SSN: {ssn}", ssn, "social security number"),
        (f"SSN {ssn.replace('-', '')}", ssn.replace("-", ""), ""),
    ]


def missed(clean, parts):
    """Whether a word of 2 letters or a number of the identifier is still there."""
    clean = re.sub(r"\[[a-z0-9 -]+\]", "[]", clean)
    words = [w for part in parts.split("|") for w in re.findall(r"[^\W_]{2,}|\d", part)]
    return [w for w in words if re.search(rf"(?<![^\W_]){re.escape(w)}(?![^\W_])", clean)]


def real_reports():
    reports = [text for text, _ in bench.openi_reports(bench.DATA).values()]
    return [*reports, *bench.clinical_notes(bench.DATA).values()]


def recall(hosts, rounds):
    rng = random.Random(7)
    found, total, left = 0, 0, []
    for _ in range(rounds):
        for text, parts, kind in identifiers(rng):
            host = rng.choice(hosts).split("\n")
            at = rng.randint(0, len(host))
            clean, removed = deidentify("\n".join([*host[:at], text, *host[at:]]))
            # what the report says itself, "May" or "2", is not left over
            over = [w for w in missed(clean, parts) if not missed("\n".join(host), w)]
            hit = not over and bool(removed) and (not kind or kind in dict(removed))
            found, total = found + hit, total + 1
            left += [] if hit else [(text, over, removed)]
    return found / total, total, left


@pytest.mark.skipif(not (bench.DATA / "reports").is_dir(), reason=f"no reports in {bench.DATA}")
def test_recall_in_real_reports():
    share, total, left = recall(real_reports(), 12)
    assert total > 500
    assert share >= 0.99, [text for text, *_ in left]


@pytest.mark.skipif(not (bench.DATA / "reports").is_dir(), reason=f"no reports in {bench.DATA}")
def test_real_reports_stay_as_they_are():
    """They are public, without identifiers; XXXX stands where one was."""
    reports = real_reports()
    assert len(reports) > 80
    assert [text for text in reports if deidentify(text) != (text, [])] == []


def test_recall_in_written_sentences():
    assert recall([" ".join(text for text, _ in SENTENCES[:20])], 6)[0] >= 0.99


def test_written_sentences_stay_as_they_are():
    assert [text for text, _ in SENTENCES if deidentify(text) != (text, [])] == []


@pytest.mark.parametrize(
    "text",
    [
        "A 5 cm mass, 3.5 x 2.1 x 1.2 cm, 12-14 mm, 1.5/2.0 cm.",
        "Compression fracture of T4, L1 and L4-L5; C7/T1; T12-L2.",
        "Stage T2N1M0, Fleischner 2017, BI-RADS 4, grade 3/6 murmur, strength 5/5, 1/2 of the lung.",
        "Follow-up in 2 weeks, 3-6 months or 1 year; for 10/12 days, 2/7 history of fever.",
        "Clear in 2019; since 2008. Symptoms may 5 times a day come back. SpO2 89%, CRP 42.2 mg/dl, WBC 14.000 mm3.",
        "An 89-year-old woman; a 45 y/o man; 67F with cough. 95 year history. Temperature 99 F with chills.",
        "MR angiography and MR imaging of the brain; MR Spectroscopy. DR is mild. Moderate DR with DME. MS since 2011.",
        "DR SEVERE, NPDR. MR SHOWS EDEMA. PATIENT HAS EDEMA. PATIENT ROTATED. Patient Rotated. Patient: Male",
        "Kerley B lines, Hampton hump, Swan-Ganz catheter, Dobhoff tube, Ranke complex, Morgagni hernia.",
        "Drains in place. 64 slice CT. 2 views. Chest CT 12 hours later. The tip is 4 cm above the carina.",
        "The patient was intubated. Patients with heart failure. Reviewed with the team. Seen by the clinic.",
        "Ribs 4, 5 and 6; 5th rib; left 3rd-7th ribs; lines at 10 o'clock. March fracture. pH 7.35-7.45, 1.025.",
        "SARS-CoV-2, CA125, B12, HLA-B27, ICD-10 J18.9, 18F-FDG, Tc99m, pO2 60 mmHg, 120/80 mmHg, 37.5 C.",
        "Ordered by severity. Read by consensus. Discussed with patient. Reported to be stable. Called at 10:30.",
    ],
)
def test_medical_text_stays(text):
    assert deidentify(text) == (text, [])


def test_the_words_around_an_identifier_stay():
    text = (
        "Mr. John Smith, 93-year-old, MRN: 1234567, seen 2/3/2021 with a 5 cm mass at T4. Smith's film of 2 weeks ago."
    )
    clean, removed = deidentify(text)
    assert clean == (
        "Mr. [name], [age over 89]-year-old, MRN: [record number], seen [date] with a 5 cm mass at T4. "
        "[name] film of 2 weeks ago."
    )
    assert removed == [("name", 2), ("date", 1), ("record number", 1), ("age over 89", 1)]
    assert describe(removed) == "2 names, 1 date, 1 record number, 1 age over 89"
    assert deidentify(clean) == (clean, [])


def test_removed_says_kinds_and_counts_only():
    rng = random.Random(3)
    for text, _, _ in identifiers(rng):
        assert {kind for kind, _ in deidentify(text)[1]} <= set(KINDS)
    with pytest.raises(ValueError, match=r"^text: got bytes, want text"):
        deidentify(b"x")


@pytest.mark.parametrize(
    "unit", ["1", "1-", "A ", "Smith, ", "Dr. ", "1 Elm ", "a.", "a@", "May ", "Mr. A. ", "x" * 50 + "1.", "(5"]
)
def test_a_long_text_takes_a_bounded_time(unit):
    start = time.process_time()
    deidentify((unit * 100_000)[:100_000])
    assert time.process_time() - start < 10
