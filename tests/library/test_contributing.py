"""The map of CONTRIBUTING.md leads somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_path_of_the_map_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+/[\w./]*|[\w.]+\.(?:md|toml|txt))`", text))
    assert len(named) > 40
    assert sorted(path for path in named if "NAME" not in path and not (ROOT / path).exists()) == []
