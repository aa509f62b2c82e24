"""`check_source` and `write_check`: checks labelled images before a model is trained, and writes the result as JSON."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eyebright.check.copies import copy_findings, group_findings
from eyebright.check.duplicates import Duplicates, find_duplicates
from eyebright.check.facts import FactTable, read_facts
from eyebright.check.files import file_findings
from eyebright.check.finding import SEVERITIES, Finding, ranked
from eyebright.check.images import image_findings
from eyebright.check.overview import overview
from eyebright.check.overview_page import overview_sections
from eyebright.check.page import check_page
from eyebright.check.reading import counts as source_counts, reading as source_reading
from eyebright.check.shortcuts import shortcut_findings
from eyebright.check.targets import target_findings
from eyebright.errors import count_text
from eyebright.image.cache import ImageCache
from eyebright.io.atomic import write_text
from eyebright.io.files import check_replaceable
from eyebright.sources.categorical import Codes
from eyebright.sources.source import Source
from eyebright.web.page import write_page

Advance = Callable[[str, int, int], None]
"""Called with the step (``"images"`` or ``"pairs"``), the number that is done, and the total."""


@dataclass(frozen=True)
class Check:
    """The result of a check of labelled images.

    Args:
        source: the labelled images.
        findings: the findings, the worst first.
        facts: the facts of each image; None if no image was read.
        duplicates: the duplicate images; None if no image was read.
    """

    source: Source
    findings: tuple[Finding, ...]
    facts: FactTable | None
    duplicates: Duplicates | None

    @cached_property
    def reading(self) -> dict[str, Any]:
        """The interpretation of the data, see `eyebright.check.reading.reading`."""
        return source_reading(self.source)

    @property
    def summary(self) -> str:
        """The numbers of images, labels and unknown targets, as a sentence."""
        read = source_counts(self.source)
        phrases = [count_text(read["count"], "image")]
        if read["classes"]:
            phrases.append(count_text(len(read["classes"]), "label"))
        if split := read["split"]:
            phrases.append(", ".join(f"{part} {count:,}" for part, count in split.items()))
        if read["unknown"]:
            masked = "which is masked" if read["unknown"] == 1 else "which are masked"
            phrases.append(f"{count_text(read['unknown'], 'unknown target')}, {masked}")
        if self.source.left_out:
            phrases.append(f"{count_text(len(self.source.left_out), 'image')} left out")
        return "; ".join(phrases)

    def messages(self, *, without: Collection[str] = ()) -> list[str]:
        """The errors and warnings, a sentence each, except those on groups and copies that are in several parts.

        These are reported by `split_source`.

        Args:
            without: the kinds of findings to leave out.
        """
        return [
            f"{found.severity}: {found.sentence} {found.remedy}"
            for found in self.findings
            if found.severity != "note" and not found.kind.endswith("_across_parts") and found.kind not in without
        ]

    @property
    def counts(self) -> str:
        """The number of findings of each severity: ``"2 errors, 1 warning"``; ``"nothing found"``."""
        by_severity = {severity: sum(found.severity == severity for found in self.findings) for severity in SEVERITIES}
        return (
            ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in by_severity.items() if n)
            or "nothing found"
        )

    @property
    def is_clean(self) -> bool:
        """Whether there is no error and no warning."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """``reading``, the interpretation of the data, and ``findings``."""
        return {"reading": self.reading, "findings": [finding.to_json() for finding in self.findings]}


def check_source(
    source: Source,
    *,
    pixels: bool = True,
    unnamed: bool = True,
    cache: ImageCache | None = None,
    threads: int | None = None,
    advance: Advance = lambda _what, _done, _total: None,
) -> Check:
    """Checks labelled images.

    Args:
        source: the labelled images.
        pixels: False to check only the labels and read no image.
        unnamed: False to skip the search of all folders for images that no row names.
        cache: the cache of the facts of each image; None: no cache.
        threads: number of images that are read in parallel; None: the number of CPUs.
        advance: called as the images are read and compared.
    """
    facts = duplicates = None
    findings = group_findings(source)
    if pixels and len(source):
        facts, duplicates = _facts_and_duplicates(source, cache, threads, advance)
        findings += [
            *copy_findings(source, duplicates),
            *image_findings(source, facts),
            *shortcut_findings(source, facts),
        ]
    findings += [
        *target_findings(source, None if facts is None else facts.sizes),
        *file_findings(source, facts, unnamed=unnamed),
    ]
    return Check(source, tuple(ranked(findings)), facts, duplicates)


def write_check_page(check: Check, path: Path, *, worded: Callable[[str], str] = lambda text: text) -> None:
    """Writes the result of a check as an HTML page with thumbnails.

    Args:
        check: the result of the check.
        path: the file.
        worded: words a message for the reader, such as with the options of the command line.

    Raises:
        ArtifactError: the file cannot be written.
        InputError: the file exists and is not an HTML page.
    """
    sections = overview_sections(overview(check.source, check.facts))
    write_page(check_page(check.source, check.findings, check.summary, overview=sections, worded=worded), path, "check")


def same_images(
    source: Source,
    *,
    cache: ImageCache | None = None,
    threads: int | None = None,
    advance: Advance = lambda _what, _done, _total: None,
) -> Codes:
    """Shape (n,): a code for each image, equal for copies of an image, see `Duplicates.codes`.

    Args:
        source: the labelled images.
        cache: the cache of the facts of each image; None: no cache.
        threads: number of images that are read in parallel; None: the number of CPUs.
        advance: called as the images are read and compared.
    """
    _, duplicates = _facts_and_duplicates(source, cache, threads, advance)
    return duplicates.codes()


def _facts_and_duplicates(
    source: Source, cache: ImageCache | None, threads: int | None, advance: Advance
) -> tuple[FactTable, Duplicates]:
    return facts_and_duplicates([str(source.root / file) for file in source.files], cache, threads, advance)


def facts_and_duplicates(
    paths: list[str], cache: ImageCache | None, threads: int | None, advance: Advance
) -> tuple[FactTable, Duplicates]:
    """The facts of these images, and their duplicates; arguments as in `check_source`."""
    facts = _facts(paths, cache, threads, advance)
    return facts, find_duplicates(
        paths, facts, threads=threads, advance=lambda done, total: advance("pairs", done, total)
    )


def _facts(paths: list[str], cache: ImageCache | None, threads: int | None, advance: Advance) -> FactTable:
    done = 0

    def count(read: int) -> None:
        nonlocal done
        done += read
        advance("images", done, len(paths))

    return read_facts(paths, cache=cache, threads=threads, advance=count)


def check_json_file(path: Path) -> None:
    """Raises `InputError` if the file exists and is not the JSON of a check, so that it is not replaced."""
    check_replaceable(path, ('{"reading"',), "result of a check")


def write_check(check: Check, path: Path) -> None:
    """Writes the result of a check as JSON; an older file is kept until the new one is complete.

    Raises:
        ArtifactError: the file cannot be written.
        InputError: the file exists and is not the JSON of a check.
    """
    check_json_file(path)
    text = json.dumps(check.to_json(), ensure_ascii=False)
    write_text(path, text, "result of the check", errors="backslashreplace")
