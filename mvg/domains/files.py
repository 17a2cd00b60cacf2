"""Domains of a user's own: NAME.toml files that add a kind of image, or findings to a built-in one. See README.md."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..validation import validate
from . import BUILT_IN
from .domain import REGION_RULES, Domain, Finding, by_name
from .patterns import NOTHING, any_of, plain
from .severity import SEVERITY_BANDS, SEVERITY_WORDS, band_of

MAX_BYTES = 100_000
MAX_CHOICES = 8  # of a pattern: with more, a sentence may take seconds
NO_FINDING = "no finding"
DEFAULT_REGION = "image"


class DomainError(ValueError):
    """A domain file that cannot be used; the message names the file, the key, what it got and what it wants."""


def _named(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9 -]*[A-Za-z0-9])?", value):
        raise ValueError(f"got {value!r}, want letters, digits, spaces and hyphens only")
    return value


def _pattern(value: str) -> str:
    """A regular expression whose every match takes a short time: no repetition, few choices."""
    unquoted = re.sub(r"\\[^\w\s]", "", value.lower())
    bare = re.sub(r"\[[^\[\]\\]*\]", "x", unquoted).replace("(?:", "(")
    if "\\" in bare or re.search(r"[*+{}^$.]|\(\?", bare):
        raise ValueError(f"got {value!r}, want words with (?:a|b), [ab] and ? only, without repetition")
    if len(re.findall(r"[?|]", bare)) > MAX_CHOICES:
        raise ValueError(f"got {value!r}, want at most {MAX_CHOICES} of ? and |")
    try:
        empty = re.compile(value.lower()).fullmatch("")
    except re.error as error:
        raise ValueError(f"got {value!r}, which is no regular expression ({error})") from None
    if empty:
        raise ValueError(f"got {value!r}, which fits an empty text, want at least one word")
    return value.lower()


def _region(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9 -]*", value.replace("{side}", "")):
        raise ValueError(f"got {value!r}, want letters, digits, spaces, hyphens and {{side}} only")
    return value


Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_named)]
Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]
Severity = Annotated[float, Field(gt=0, le=1)]
Names = Annotated[list[Name], Field(max_length=50)]


class FindingFile(BaseModel):
    """One [findings.NAME] of a file. Words are plain: a plural s, and hyphens for spaces, are understood."""

    model_config = ConfigDict(extra="forbid", strict=True)

    synonyms: Names = []
    patterns: Annotated[list[Pattern], Field(max_length=20)] = []
    normal: Names = []
    sided: bool = False
    zoned: bool = False
    region: Annotated[str, Field(max_length=60), AfterValidator(_region)] = DEFAULT_REGION
    rule: Literal[REGION_RULES] = "whole image"  # type: ignore[valid-type]
    parent: Annotated[str, Field(max_length=60)] = ""
    benign: bool = False

    def finding(self, name: str) -> Finding:
        """The finding that an entry describes.

        Args:
            name: of the entry.

        Returns:
            A finding whose words are patterns.
        """
        words = [plain(word) for word in (name, *self.synonyms)]
        return Finding(
            name,
            present=any_of(*words, *self.patterns),
            synonyms=tuple(self.synonyms),
            region=self.region,
            rule=self.rule,
            sided=self.sided,
            zoned=self.zoned,
            normal=any_of(*map(plain, self.normal)) if self.normal else None,
            parent=self.parent,
            benign=self.benign,
        )


class DomainFile(BaseModel):
    """A whole file. All but ``findings`` is for a domain that is not built in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prefixes: Names = []
    normal: Names = [NO_FINDING]
    clear: Names = []
    words: Annotated[str, Field(max_length=5000)] = ""
    gray: bool = False
    paired: bool = False
    rule: Literal[REGION_RULES] = "whole image"  # type: ignore[valid-type]
    severities: Annotated[dict[Name, Severity], Field(min_length=1, max_length=20)] = dict(SEVERITY_WORDS)
    findings: Annotated[dict[Name, FindingFile], Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class DomainFolder:
    """The domains there are: the built-in ones, those of a user's files, and what is wrong with the other files.

    Attributes:
        domains: name -> domain.
        errors: name of the domain -> why its file cannot be used, in one line.
    """

    domains: Mapping[str, Domain]
    errors: Mapping[str, str]

    def find(self, name: str) -> Domain:
        """The domain of a name.

        Args:
            name: as plans and workflows have it.

        Returns:
            The domain.

        Raises:
            ValueError: where there is none, with the error of its file if there is one.
        """
        if name in self.errors and name not in self.domains:
            raise DomainError(f"domain: got {name!r}, which cannot be used: {self.errors[name]}")
        if name not in self.domains:
            raise ValueError(f"domain: got {name!r}, want one of {', '.join(self.domains)}")
        return self.domains[name]


def load_domains(folders: Iterable[Path]) -> DomainFolder:
    """The built-in domains and those of the TOML files directly in the folders.

    Args:
        folders: those that are not there are passed over; of two files of a name the first counts.

    Returns:
        All domains that can be used. A file that cannot be used harms no other domain, nor a built-in one of its name.
    """
    domains, errors = dict(BUILT_IN), {}
    seen: set[str] = set()
    for path in (path for folder in folders for path in sorted(folder.glob("*.toml")) if path.is_file()):
        if path.stem in seen:
            continue
        seen.add(path.stem)
        try:
            status = path.stat()
            domains[path.stem] = _read(path, status.st_mtime_ns, status.st_size)
        except DomainError as error:
            errors[path.stem] = str(error)
        except OSError as error:
            errors[path.stem] = f"domain file {path.name}: cannot be read ({error.strerror})"
    return DomainFolder(domains, errors)


@lru_cache(maxsize=100)
def _read(path: Path, modified: int, size: int) -> Domain:
    """The domain of a file; ``modified`` and ``size`` tell its versions apart."""
    where = f"domain file {path.name}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", path.stem):
        raise DomainError(f"{where}: got the name {path.stem!r}, want small letters, digits, _ and - only")
    if size > MAX_BYTES:
        raise DomainError(f"{where}: got {size} bytes, want at most {MAX_BYTES}")
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DomainError(f"{where}: is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DomainError(f"{where}: is no TOML ({error})") from None
    file = validate(DomainFile, data, DomainError, where)
    if path.stem in BUILT_IN:
        if other := sorted(set(data) - {"findings"}):
            raise DomainError(f"{where}, {other[0]}: {path.stem} is built in, want findings only")
        domain = BUILT_IN[path.stem]
    else:
        if not file.prefixes:
            raise DomainError(f"{where}, prefixes: is missing, want words for the kind of image")
        domain = _domain(path.stem, file)
    own = {name: entry.finding(name) for name, entry in file.findings.items()}
    _check_findings(where, own, domain)
    return replace(domain, findings=by_name([*domain.findings.values(), *own.values()]))


def _domain(name: str, file: DomainFile) -> Domain:
    """The domain of a file, without its findings."""
    severities = dict(sorted(file.severities.items(), key=lambda item: item[1]))
    return Domain(
        name,
        prefixes=tuple(file.prefixes),
        normal=tuple(file.normal),
        findings={},
        clear=any_of(*NOTHING, *map(plain, (*file.normal, *file.clear))),
        # in reports a severity word of the file's own stands for the band that it lies in
        short_forms=tuple(
            (re.compile(rf"\b{plain(word)}\b"), band_of(max(severity, SEVERITY_BANDS["mild"][0])))
            for word, severity in severities.items()
            if word not in SEVERITY_WORDS
        ),
        paired=file.paired,
        words=file.words,
        gray=file.gray,
        rule=file.rule,
        severities=severities,
    )


def _check_findings(where: str, own: Mapping[str, Finding], domain: Domain) -> None:
    """DomainError where a name is told twice, or a parent is none."""
    known = {_plain_name(word): f.name for f in domain.findings.values() for word in (f.name, *f.synonyms)}
    for finding in own.values():
        place = f"{where}, findings, {finding.name}"
        if _plain_name(finding.name) == NO_FINDING:
            raise DomainError(f"{place}: is a word for no finding, want another name")
        for word in dict.fromkeys(map(_plain_name, (finding.name, *finding.synonyms))):
            if word in known and not (finding.parent and known[word] == finding.parent):
                raise DomainError(f"{place}: got the word {word!r}, which {known[word]} has already")
            known[word] = finding.name
    for finding in own.values():
        if not finding.parent:
            continue
        parent = own.get(finding.parent) or domain.findings.get(finding.parent)
        if parent is None or parent.parent:
            names = ", ".join(f.name for f in (*domain.findings.values(), *own.values()) if not f.parent)
            raise DomainError(f"{where}, findings, {finding.name}, parent: got {finding.parent!r}, want one of {names}")


def _plain_name(word: str) -> str:
    return " ".join(re.split(r"[\s-]+", word.lower()))
