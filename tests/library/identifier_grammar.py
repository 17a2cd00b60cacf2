"""A grammar of announced identifiers and of findings: sentences whose every part is known to go or to stay."""

# ruff: noqa: E501, SIM905

import random

# fmt: off
FIRST = """John Maria Wei Aisha Fernando Olga Tom Priya Siobhan Ahmed Grace Will May Mark Rose Helen Jane Ruth Peter Anna
Lucas Amina Kwame Yuki Chidi Elena Sven Faith Joy Hope Summer Ivy Ben Jean-Luc Zoë Søren Mary-Ann José Léa Ana Ivan""".split()
PLAIN = """Smith Garcia O'Brien Nguyen Müller Al-Hassan Johnson-Lee McDonald Kowalski Okafor Patel Okonjo D'Angelo Quillfeather
Whitfield O'Neil Fernández Østergaard Papadopoulos Tanaka Yamamoto Kim Lee Ng Wu Cohen Levy Rossi Ferrari Dubois Lefèvre
Schmidt Schröder Weiß Novák Dvořák Jansen Bakker Virtanen Korhonen Ivanova Petrov Kuznetsov Hernandez Lopez Gonzalez Silva
Santos Oliveira Mbeki Achebe Adeyemi Diallo Traoré Haddad Khoury Rahman Begum Singh Kaur Sharma Gupta Reddy Banerjee
Fitzgerald MacLeod McCarthy Sullivan Murphy Gallagher Llewellyn Pritchard Featherstone Throckmorton Cholmondeley Wojciechowski
Szczepański Papanikolaou Bartholomew Abernathy Montgomery Blankenship Castellanos Villanueva Echeverría Bergström""".split()
PARTICLE = ["van der Berg", "de la Cruz", "von Stein", "St. John", "Mc Donald", "de Souza", "van Dijk", "El Masri", "O'Hara",
            "di Marco", "Van Buren", "De La Rosa", "Le Roux", "da Silva", "bin Rashid"]
WORDS = """Short Ward Read Case Heart Rose May Young Long White Black Brown Green Gray Stone Wells Wall Bone Hand Hill Field Head
Foot Rich Poor Best Good Strong Small Large Grant Hope Hall Park Lake Rivers Brook Woods Bush Rice Bean Berry Cook Baker Fisher
Hunter Page Price Cash Banks Booth Bell Rains Snow Frost Winter Summers Day Weeks Knight King Pope Bishop Abbott Sharp Keen
Swift Savage Wild Wise Noble Gentle Meek Moody Merry Love Joy Church Temple Cross Lamb Wolf Fox Bird Crane Swan Finch Peacock
Drake Cage Lane Street House Gates Bridges Towers Marsh Moor Heath Forest Glass Steel Silver Gold Diamond Pearl Coffin Graves
Pain Payne Hurt Harm Blood Chin Back Cold Speed Power Law Judge Mason Carter Cutter Sewell Penny Nickel Sparks Flood Storm""".split()
# fmt: on
TITLES = ["Dr.", "Dr", "Mr.", "Mr", "Mrs.", "Mrs", "Ms.", "Ms", "Prof.", "Professor", "Doctor", "Miss"]
LABELS = [
    *(
        "Patient",
        "Patient name",
        "Name",
        "PATIENT NAME",
        "Patient Name",
        "Pt name",
        "Surname",
        "Attending",
        "Radiologist",
    ),
    *("Referring physician", "Requesting provider", "Dictated by", "Read by", "Electronically signed by", "Signed"),
    *(
        "Interpreted by",
        "Technologist",
        "Consultant",
        "Reported by",
        "Next of kin",
        "Transcribed by",
        "Ordering physician",
    ),
    *("Attending physician", "Reviewed by", "Verified by", "Resident", "PatientName", "Referring Physician's Name"),
]
SIGNS = [": ", ":", " : ", "\t", " = ", ":\t", ":  "]
BY = [
    *(
        "Dictated by {}.",
        "Read by {}.",
        "Reviewed with {}.",
        "Discussed with {} at 3 pm.",
        "Electronically signed by {}",
    ),
    *(
        "Interpreted by {} on call.",
        "Seen by {} today.",
        "cc: {}",
        "Transcribed by {}.",
        "Findings were reported to {}.",
    ),
]
MONTHS = "January February March April May June July August September October November December".split()


def surname(rng):
    return rng.choice(rng.choices([PLAIN, WORDS, PARTICLE], [4, 5, 1])[0])


def name(rng):
    """(sentence, the parts that have to go)."""
    first, last, initial = rng.choice(FIRST), surname(rng), rng.choice("ABCDEFGHJKLMNPRST")
    forms = [
        f"{first} {last}",
        f"{initial}. {last}",
        f"{initial} {last}",
        f"{first} {initial}. {last}",
        f"{initial}.{initial}. {last}",
    ]
    full = rng.choice(forms)
    label, sign = rng.choice(LABELS), rng.choice(SIGNS)
    kind = rng.randrange(9)
    if kind == 0:
        title = rng.choice(TITLES)
        text = rng.choice(
            ["{} was notified.", "{} agrees.", "Discussed with {}.", "{}, 71, admitted.", "Seen with {} today."]
        )
        return text.format(f"{title} {rng.choice([last, full, last])}"), [last]
    if kind == 1:
        return f"{label}{sign}{full}", [last]
    if kind == 2:
        return f"{label}{sign}{last}, {first}", [last, first]
    if kind == 3:
        return f"{label}{sign}{f'{first} {last}'.upper()}", [last.upper(), first.upper()]
    if kind == 4:
        return f"{label}: {f'{first} {last}'.lower()}", [last.lower()]
    if kind == 5:
        return f"{label}{sign}{last.upper()}^{first.upper()}^{initial}", [last.upper(), first.upper()]
    if kind == 6:
        return rng.choice(BY).format(f"{first} {last}"), [last, first]
    if kind == 7:
        degree = rng.choice([", MD", ", M.D.", " MD", ", RN", ", FRCR", ", PhD", ", MBBS", ", D.O.", " MD, PhD"])
        return f"{rng.choice(['', 'Signed ', 'Resident '])}{full}{degree}", [last]
    return f"{label}{sign}{last.upper()}, {first.upper()}", [last.upper(), first.upper()]


def date(rng):
    d, m, y = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1931, 2025)
    month, day = MONTHS[m - 1], rng.choice(["Monday", "Tue", "Wednesday,", "Fri,"])
    yy = f"{y % 100:02}"
    if yy[0] == "0" or int(yy) < 32:
        yy = "87"
    said = rng.choice(
        [
            *(
                f"{m:02}/{y}",
                f"{m}/{y}",
                f"{month} {y}",
                f"{month[:3]}-{y}",
                f"{d:02} / {m:02} / {y}",
                f"{d:02}-{m:02}-{y}",
            ),
            *(
                f"{y}{m:02}{d:02}T1045",
                f"{y}-{m:02}-{d:02}T10:45:00Z",
                f"{y}-{m:02}-{d:02}",
                f"{y}/{m:02}/{d:02}",
                f"{y}{m:02}{d:02}",
            ),
            *(
                f"{day} {d} {month} {y}",
                f"{day} {m}/{d}/{y}",
                f"{d}/{m}/{yy}",
                f"{d}.{m}.{y}",
                f"{d}{month[:3].upper()}{y}",
            ),
            *(
                f"{d} {month[:3]} '{yy}",
                f"{month} {d}, {y}",
                f"{d}th of {month}, {y}",
                f"{d} . {m} . {y}",
                f"{d:02}-{month[:3]}-{yy}",
            ),
            *(
                f"{m:02}/{d:02}/{y} 13:22",
                f"{d} - {m} - {y}",
                f"{y}-{m:02}",
                f"{month[:3]}. {d}, {y}",
                f"{y} {month[:3]} {d}",
            ),
        ]
    )
    text = rng.choice(
        [
            "Compared with {}.",
            "Date: {}",
            "DOB: {}",
            "Signed {}",
            "Film of {} reviewed.",
            "Exam date\t{}",
            "Seen on {}.",
        ]
    )
    return text.format(said), [said]


def number(rng):
    n = rng.randint(10**6, 10**8)
    label = rng.choice(
        [
            *(
                "MRN",
                "MRN:",
                "Medical record number",
                "Accession:",
                "Accession #",
                "Patient ID:",
                "Hospital number",
                "Study ID:",
                "NHS number",
            ),
            *(
                "Insurance ID:",
                "Member ID:",
                "Policy number",
                "Device serial number:",
                "Serial no.",
                "Account no",
                "Episode no:",
                "Case number",
            ),
        ]
    )
    said = rng.choice(
        [
            str(n),
            f"A{n}",
            f"K {n % 10**6:06}",
            f"H-{n % 10**5:05}",
            f"CXR-20-{n % 10**6:06}",
            f"{n % 10**4:04}-{n % 10**5:05}",
            f"AB/{n}",
        ]
    )
    return f"{label} {said}", [said]


def contact(rng):
    a, b, c = rng.randint(200, 989), rng.randint(200, 999), rng.randint(0, 9999)
    n = rng.randint(1000, 9999)
    phone = rng.choice(
        [
            *(
                f"({a}) {b}-{c:04}",
                f"{a}-{b}-{c:04}",
                f"+44 20 {n} {c:04}",
                f"+1 {a} {b} {c:04}",
                f"0{a} {b} {c:04}",
                f"+49 (0)30 {n}{a}",
            ),
            *(
                f"00 44 20 {n} {c:04}",
                f"{a}.{b}.{c:04} ext. 12",
                f"(0{a % 90 + 10}) {n} {c:04}",
                f"07700 {n}{a % 90 + 10}",
                f"+33 1 42 68 53 0{a % 10}",
            ),
        ]
    )
    ssn = f"{rng.randint(100, 899)}-{rng.randint(10, 99)}-{n}"
    return rng.choice(
        [
            *((t.format(phone), [phone]) for t in ("Tel: {}", "Phone {}", "Fax {}", "Please call {}.", "Mobile: {}")),
            (f"Call x{n}", [str(n)]),
            (f"Pager {n}", [str(n)]),
            (f"ext. {n}", [str(n)]),
            (f"E-mail rose.{n}@clinic.example.org", [str(n)]),
            (f"See https://pacs.example.org/s/{n}", [str(n)]),
            (f"pacs{n}.example.com/view", [str(n)]),
            (f"SSN {ssn}", [ssn]),
        ]
    )


def place(rng):
    street = rng.choice("Elm Main Maple Oak King Washington High Mill Station Church".split())
    kind = rng.choice("Street Road Close Avenue Lane Drive Crescent Court Way Gardens St Rd Ave".split())
    house, zip_code = rng.randint(1, 9999), rng.randint(10000, 99999)
    post = f"{rng.choice(['BS', 'LS', 'M', 'SW', 'EH'])}{rng.randint(1, 19)} {rng.randint(1, 9)}{rng.choice(['ND', 'TH', 'AB', 'XY'])}"
    town = rng.choice(["Bristol", "Leeds", "Springfield", "New Haven", "Stoke-on-Trent"])
    ward = rng.choice(["Nightingale", "7B", "Rose", "St. Mary"])
    return rng.choice(
        [
            (f"Lives at {house} {street} {kind}, {town} {post}", [f"{house} {street}", post, town]),
            (f"Address: {house} {street} {kind}", [f"{house} {street}"]),
            (f"{house} {street} {kind}, Springfield, IL {zip_code}", [street, str(zip_code)]),
            (f"P.O. Box {house}", [str(house)]),
            (f"Postcode: {post}", [post]),
            (f"ZIP {zip_code}", [str(zip_code)]),
            (f"City: {town}", [town]),
            (f"Lives in {town}.", [town]),
            (f"Ward: {ward}", [ward]),
            (f"Hospital: {town} General Hospital", [town]),
        ]
    )


def age(rng):
    years = rng.randint(90, 109)
    return rng.choice(
        [
            "{}-year-old woman with edema.",
            "{} yo F with cough.",
            "Age: {}",
            "Patient is {}.",
            "A man aged {}.",
            "Age: 0{}Y" if years < 100 else "Age: {}Y",
            "{} y/o man.",
            "He turned {} last week.",
            "{} yrs old.",
            "Age/Sex: {}/F",
        ]
    ).format(years), [str(years)]


def identifier(rng: random.Random) -> tuple[str, list[str]]:
    """A sentence that announces an identifier, and its parts, none of which may be left."""
    return rng.choices([name, date, number, contact, place, age], [10, 4, 3, 2, 2, 1])[0](rng)


def finding(rng: random.Random) -> str:
    """A sentence of a report without an identifier."""
    side, n, m = rng.choice(["left", "right", "bilateral"]), rng.randint(1, 9), rng.randint(1, 9)
    what = rng.choice(
        [
            "pleural effusion",
            "consolidation",
            "pneumothorax",
            "opacity",
            "nodule",
            "atelectasis",
            "hemorrhage",
            "cardiomegaly",
        ]
    )
    grade = rng.choice(["mild", "moderate", "severe", "small", "large", "tiny"])
    text = rng.choice(
        [
            *(
                "There is a {grade} {side} {what}.",
                "No {what}.",
                "{Grade} {what} on the {side}.",
                "PA and lateral views. {Grade} {what}.",
                "{N} x {m} mm {what}.",
            ),
            *(
                "{n}.{m} x {m}.{n} x 1.2 cm {side} {what}.",
                "Compression fracture of T{n}, L{m} and C5-6; {what}.",
                "Strength 4/5, murmur {n}/6, 1/2 of the lung; {what}.",
            ),
            *(
                "Kerley B lines with {grade} {what}.",
                "Foley catheter and Swan-Ganz line in place; no {what}.",
                "History of Hodgkin lymphoma and Crohn disease; {what}.",
            ),
            *(
                "{GRADE} {SIDE} {WHAT}. NO PNEUMOTHORAX.",
                "Patient: Male, {grade} {what}.",
                "CC: Chest pain and cough, {what}.",
                "Discussed with patient: {grade} {what}.",
            ),
            *(
                "Mild DR. No DME. {Grade} {what}.",
                "NPDR; DR is {grade}.",
                "MR Angiography shows {what}.",
                "MR BRAIN WITHOUT CONTRAST: {WHAT}.",
                "Heart size {grade}ly enlarged, ratio 0.{n}{m}.",
            ),
            *(
                "Patient is 8{n} years old with {grade} {what}.",
                "Follow-up in {n} weeks, {n}-{N} months; {what}.",
                "SpO2 9{n}%, BP 12{n}/8{m}, HR 9{n}; {what}.",
            ),
            *(
                "Furosemide 40 mg and Lasix for {what}.",
                "The tip is {n}.{m} cm above the carina; {what}.",
                "Lesion at {n} o'clock, {N} mm; {what}.",
                "Read by consensus: {what}.",
            ),
            *(
                "Grade {n} of 9 {what}, stage T2N1M0, BI-RADS 4.",
                "Symptoms may recur; {what} will march on.",
                "Hampton hump, Westermark sign, no {what}.",
                "Patient rotated, {what}.",
            ),
            *(
                "Right lung: clear. Left lung: {what}.",
                "Impression: {Grade} {what}.",
                "FINDINGS: HEART: NORMAL. LUNGS: {WHAT}.",
                "Dr. may be asked; {what}.",
                "Performed by Seldinger technique; {what}.",
            ),
            *(
                "Unchanged since 2008, {what}.",
                "Chest radiograph, 2 views, 64 slice CT; {what}.",
                "Ward round: {what}.",
                "Reviewed with prior CT: {what}.",
                "Attending to the {side} base: {what}.",
            ),
        ]
    )
    return text.format(
        grade=grade,
        side=side,
        what=what,
        n=n,
        m=m,
        N=n + 10,
        Grade=grade.capitalize(),
        GRADE=grade.upper(),
        SIDE=side.upper(),
        WHAT=what.upper(),
    )
