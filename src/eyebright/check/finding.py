"""`Finding`: one thing that a check found in labelled images, with what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from eyebright.sources.source import Source

Severity = Literal["error", "warning", "note"]
"""How much a finding matters.

- ``error``: training fails, or its scores are wrong: unreadable images, the same image for training and validation.
- ``warning``: the model gets worse or learns the wrong thing: duplicates with different labels, a shortcut.
- ``note``: worth knowing, and often as it should be: rare labels, unusual sizes.
"""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst on."""

MAX_FILES = 10_000
"""Images that one finding lists; `eyebright.check.finding.Finding.figure` counts all."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: the kind of finding, one of the names in the guide "Check the data", such as ``"near_duplicates"``.
        severity: see `Severity`.
        sentence: the finding, as a sentence for a person.
        remedy: the remedy, as a sentence for a person.
        figure: how much of it there is: a number of images, or a score whose name ``figure_name`` is.
        figure_name: the unit of the figure, such as ``"images"`` and ``"AUC"``.
        files: the images that it concerns, paths as in `eyebright.sources.source.Source.files`.
        groups: only for duplicates: the files of each group of images that are the same.
        labels: the labels that it concerns.
        details: additional facts by name, as JSON values.
    """

    kind: str
    severity: Severity
    sentence: str
    remedy: str
    figure: float
    figure_name: str = "images"
    files: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    labels: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)


def ranked(findings: "list[Finding]") -> list[Finding]:
    """The findings, the worst first; those of one severity keep their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def files_at(source: Source, rows: "Iterable[int] | np.ndarray[Any, Any]") -> tuple[str, ...]:
    """The files of these images, at most `MAX_FILES`.

    Args:
        source: the labelled images.
        rows: indices, or shape (n,), whether each image is meant.
    """
    if isinstance(rows, np.ndarray):
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        rows = rows[:MAX_FILES].tolist()
    return tuple(str(source.files[row]) for row in list(rows)[:MAX_FILES])
