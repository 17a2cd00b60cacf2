"""Seeds of phantom patients: those that settings are chosen on and those that are reported are never the same.

A run says what it is for, and is refused seeds of the other kind: by the ranges named here, and by RECORD, where every
run leaves its seeds, a line each.
"""

import argparse
import json
from pathlib import Path

TUNING, REPORT = "tuning", "report"
RANGES = {TUNING: range(7200, 7300), REPORT: range(7300, 60_000)}
"""60,000 and more are of `classifier` and of the sets that stand for real images (`evaluation_setup`)."""
EARLIER = {
    "release 0.1.0, chest: which seeds its settings were chosen on was not recorded": range(0, 5000),
    "release 0.1.0, reports": range(5000, 7000),
    "release 0.1.0, settings of fundus and skin": range(7000, 7100),
    "how much detail is put back (`detail`)": range(7100, 7200),
}
"""What was used before there was a record: for neither any more."""
RECORD = Path(__file__).with_name("seeds.jsonl")


def add_options(parser: argparse.ArgumentParser, patients: int | None, words: str = "") -> None:
    """--patients, --first-seed and --tuning, for `claimed`."""
    parser.add_argument("--patients", type=int, default=patients, help=words or f"default: {patients}")
    parser.add_argument(
        "--tuning",
        action="store_true",
        help=f"a run that settings are chosen by, on seeds {RANGES[TUNING].start} to {RANGES[TUNING].stop - 1}; "
        f"without it one to report, on seeds from {RANGES[REPORT].start} on",
    )
    parser.add_argument("--first-seed", type=int, help="of the patients (default: the first of those seeds)")


def claimed(parser: argparse.ArgumentParser, options: argparse.Namespace, bench: str, domain: str) -> range:
    """The seeds that the options ask for, once they are on record; ends the command where they may not be used."""
    purpose = TUNING if options.tuning else REPORT
    first = RANGES[purpose].start if options.first_seed is None else options.first_seed
    try:
        return claim(purpose, bench, domain, first, options.patients)
    except ValueError as error:
        parser.error(str(error))


def claim(purpose: str, bench: str, domain: str, first: int, count: int, record: Path = RECORD) -> range:
    """Seeds of patients for one purpose, written to the record.

    Args:
        purpose: TUNING or REPORT.
        bench: which asks.
        domain: of the patients.
        first: the first seed.
        count: how many patients.
        record: the file of what was used.

    Returns:
        The seeds.

    Raises:
        ValueError: count is below 1, or a seed is not of this purpose, by its range or by the record.
    """
    if count < 1:
        raise ValueError(f"--patients: got {count}, want an integer >= 1")
    seeds, allowed = range(first, first + count), RANGES[purpose]
    if seeds[0] not in allowed or seeds[-1] not in allowed:
        used = next((words for words, those in EARLIER.items() if seeds[0] in those), "")
        raise ValueError(
            f"--first-seed: got seeds {seeds[0]} to {seeds[-1]}{f' ({used})' if used else ''}, want {allowed.start} to "
            f"{allowed.stop - 1} in a {purpose} run"
        )
    known = [json.loads(line) for line in record.read_text().splitlines()] if record.is_file() else []
    for entry in known:
        low, high = max(first, entry["first"]), min(seeds.stop, entry["first"] + entry["count"])
        if entry["purpose"] != purpose and low < high:
            raise ValueError(
                f"--first-seed: got seed {low}, which {record.name} has from a {entry['purpose']} run of "
                f"{entry['bench']}, want others in a {purpose} run"
            )
    entry = {"purpose": purpose, "bench": bench, "domain": domain, "first": first, "count": count}
    if entry not in known:
        with record.open("a", encoding="utf-8") as file:  # one short line, so that runs side by side do not mix
            file.write(json.dumps(entry) + "\n")
    return seeds
