"""`image_findings`: images that cannot be read, and images unlike the others: dark, blurry, of an odd size.

The kinds are called as in the package cleanvision. The limits were chosen on 2,650 photographs (objects, pets, shelves,
faces on blurred backgrounds), so that none of them is found, and on the same images blurred and darkened.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from eyebright.check.facts import FactTable
from eyebright.check.files import MISSING
from eyebright.check.finding import MAX_FILES, Finding, Severity, files_at
from eyebright.errors import count_text, listing
from eyebright.sources.source import Source

MIN_CONTRAST = 0.01
"""Standard deviation of the luma below which an image shows nothing; the lowest of the photographs is 0.037."""

DARK = 0.24
"""Brightness plus twice the contrast: nearly all pixels are darker. The darkest night shot has 0.26."""

LIGHT = 0.8
"""Brightness minus twice the contrast: nearly all pixels are lighter. The lightest of the photographs has 0.48."""

BLURRY = 0.0045
"""Sharpness over contrast. Of the photographs the least is 0.0052, of those blurred by 2 % of their shorter side (the
standard deviation of the Gaussian) the most is 0.0036."""

BLURRY_DETAIL = 0.06
"""Sharpness over the square of the contrast, which fog does not change; blurred photographs have at most 0.035."""

TINY = 32
"""Pixels of the shorter side; a pretrained model expects about 224."""

ODD_SIZE = 3.0
"""Times that the sides are longer or shorter than those of the median image, at least."""

ODD_ASPECT_RATIO = 3.0
"""Longer side over shorter side, at least, and twice that of the median image."""

GREY = 0.005
"""Saturation below which an image is grey; JPEG keeps grey exactly."""

_MEASURED_SIDE = 128  # pixels in which the sharpness was measured: smaller images were enlarged, and look blurry

USUAL = 0.1
"""If at least this share of the images has the property, it is normal for the dataset: a note, not a warning."""

_MAX_DEVIATIONS = 5 * 1.4826  # median absolute deviations; 5 standard deviations of a normal distribution

_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".pgm", ".pnm", ".ppm"),
    "AVIF": (".avif",),
}


class _Check(NamedTuple):
    kind: str
    found: "Callable[[FactTable], Bool[np.ndarray, 'n']]"
    predicate: str  # after "3 images are"
    remedy: str


def image_findings(source: Source, facts: FactTable) -> list[Finding]:
    """Findings on the files and the pixels of images.

    Args:
        source: the labelled images.
        facts: the facts of the same images.
    """
    findings = [*_unreadable(source, facts), *_alike_names(source)]
    n = max(int(facts.is_readable.sum()), 1)
    for check in _CHECKS:
        has_problem = check.found(facts) & facts.is_readable
        if count := int(has_problem.sum()):
            is_usual = count > 1 and count >= USUAL * n
            severity: Severity = "note" if is_usual or check.kind in _NOTES else "warning"
            findings.append(
                Finding(
                    kind=check.kind,
                    severity=severity,
                    sentence=f"{count_text(count, 'image')} {'is' if count == 1 else 'are'} {check.predicate}.",
                    remedy=check.remedy,
                    figure=count,
                    files=files_at(source, has_problem),
                )
            )
    return [*findings, *_wrong_extensions(source, facts), *_mixed(source, facts)]


def _low_information(facts: FactTable) -> Bool[np.ndarray, "n"]:
    return facts.contrast < MIN_CONTRAST


def _dark(facts: FactTable) -> Bool[np.ndarray, "n"]:
    return (facts.brightness + 2 * facts.contrast < DARK) & ~_low_information(facts)


def _light(facts: FactTable) -> Bool[np.ndarray, "n"]:
    return (facts.brightness - 2 * facts.contrast > LIGHT) & ~_low_information(facts)


def _blurry(facts: FactTable) -> Bool[np.ndarray, "n"]:
    contrast = np.maximum(facts.contrast, 1e-6)
    is_blurry = (facts.sharpness / contrast < BLURRY) & (facts.sharpness / contrast**2 < BLURRY_DETAIL)
    return is_blurry & ~_low_information(facts) & (facts.sizes.min(axis=1, initial=2**31 - 1) >= _MEASURED_SIDE)


def _tiny(facts: FactTable) -> Bool[np.ndarray, "n"]:
    return facts.sizes.min(axis=1, initial=2**31 - 1) < TINY


def _odd_size(facts: FactTable) -> Bool[np.ndarray, "n"]:
    sides = np.log(np.maximum(facts.sizes, 1)).mean(axis=1)
    return _outlying(sides, facts, np.log(ODD_SIZE)) & ~_tiny(facts)


def _odd_aspect_ratio(facts: FactTable) -> Bool[np.ndarray, "n"]:
    logs = np.log(np.maximum(facts.sizes, 1))
    ratios = np.abs(logs[:, 0] - logs[:, 1])
    return _outlying(ratios, facts, np.log(2)) & (ratios >= np.log(ODD_ASPECT_RATIO))


def _greyscale(facts: FactTable) -> Bool[np.ndarray, "n"]:
    grey = (facts.saturation < GREY) & facts.is_readable & ~_low_information(facts)
    is_few = 2 * int(grey.sum()) < int(facts.is_readable.sum())
    return grey if is_few else np.zeros(len(facts), dtype=np.bool_)


def _outlying(values: Float64[np.ndarray, "n"], facts: FactTable, least: float) -> Bool[np.ndarray, "n"]:
    """Values that are far from the median, measured in median absolute deviations, and at least so far."""
    readable = values[facts.is_readable]
    if not len(readable):
        return np.zeros(len(values), dtype=np.bool_)
    middle = np.median(readable)
    far = max(_MAX_DEVIATIONS * float(np.median(np.abs(readable - middle))), least)
    return np.abs(values - middle) > far


_CHECKS = (
    _Check(
        "low_information",
        _low_information,
        "of nearly one colour: they show nothing",
        "Look at them: blank images teach the label that they have by mistake. Leave them out, or find the real ones.",
    ),
    _Check(
        "dark",
        _dark,
        "so dark that hardly anything can be seen",
        "Leave them out, or keep them if the model will see such images, too.",
    ),
    _Check(
        "light",
        _light,
        "so light that hardly anything can be seen",
        "Leave them out, or keep them if the model will see such images, too.",
    ),
    _Check(
        "blurry",
        _blurry,
        "blurry: no detail is sharp",
        "Leave them out, or keep them if the model will see such images, too.",
    ),
    _Check(
        "tiny",
        _tiny,
        f"tiny: the shorter side has fewer than {TINY} pixels",
        "A model enlarges them and sees little: use larger versions, or thumbnails may have been taken for images.",
    ),
    _Check(
        "odd_size",
        _odd_size,
        "much larger or smaller than the others",
        "Look whether they belong to the set: screenshots, thumbnails and scans often do not.",
    ),
    _Check(
        "odd_aspect_ratio",
        _odd_aspect_ratio,
        f"much longer or wider than the others: one side is at least {ODD_ASPECT_RATIO:g} times the other",
        "A crop loses most of such an image: cut it into parts, or train with the option `whole`.",
    ),
    _Check(
        "grayscale",
        _greyscale,
        "grey, while most are in colour",
        "If most of them have the same label, the model learns grey for it, which is then reported as a shortcut: "
        "convert all images to grey, or add images in colour.",
    ),
)
_NOTES = frozenset({"odd_size", "odd_aspect_ratio", "grayscale"})


def _unreadable(source: Source, facts: FactTable) -> list[Finding]:
    reasons = {
        str(source.files[row]): why for row, why in sorted(facts.errors.items()) if why != MISSING
    } | source.skipped
    if not reasons:
        return []
    file, why = next(iter(reasons.items()))
    return [
        Finding(
            kind="unreadable",
            severity="error",
            sentence=f"{count_text(len(reasons), 'image')} cannot be read: '{file}' ({why})"
            f"{', ...' if len(reasons) > 1 else ''}.",
            remedy="Training ends at the first one: get these files again from their origin, or remove them; the "
            "option `skip_bad` leaves them out.",
            figure=len(reasons),
            files=tuple(reasons)[:MAX_FILES],
            details={"reasons": dict(list(reasons.items())[:MAX_FILES])},
        )
    ]


def _alike_names(source: Source) -> list[Finding]:
    """Names that are the same for a file system that ignores case (Windows, macOS) or composes characters (macOS)."""
    by_name: dict[str, list[int]] = {}
    for row, file in enumerate(source.files):
        by_name.setdefault(unicodedata.normalize("NFC", str(file)).casefold(), []).append(row)
    groups = [rows for rows in by_name.values() if len(rows) > 1]
    if not groups:
        return []
    files = [files_at(source, rows) for rows in groups[:MAX_FILES]]
    return [
        Finding(
            kind="file_names_alike",
            severity="warning",
            sentence=f"{count_text(len(groups), 'name')} of files differ only in case or in the Unicode form of their "
            f"characters: {listing(files[0])}.",
            remedy="On Windows and macOS one of these files replaces the other when they are copied: rename them.",
            figure=sum(map(len, groups)),
            files=tuple(file for group in files for file in group)[:MAX_FILES],
            groups=tuple(files),
        )
    ]


def _wrong_extensions(source: Source, facts: FactTable) -> list[Finding]:
    expected = [_FORMATS.get(name, ()) for name in facts.formats.categories]
    known = np.array([bool(endings) for endings in expected], dtype=np.bool_)
    wrong: list[int] = []
    counts: Counter[str] = Counter()
    for row in np.flatnonzero(known[facts.formats.codes]).tolist():
        code = int(facts.formats.codes[row])
        stem, dot, ending = str(source.files[row]).rpartition(".")
        if dot and "/" not in ending and stem and f".{ending.lower()}" not in expected[code]:
            wrong.append(row)
            counts[f".{ending} is {facts.formats.categories[code]}"] += 1
    if not wrong:
        return []
    what = ", ".join(f"{text} ({count:,})" for text, count in counts.most_common(5))
    return [
        Finding(
            kind="wrong_extension",
            severity="note",
            sentence=f"{count_text(len(wrong), 'file')} with the extension of another format: {what}.",
            remedy="They are read by their content, so nothing needs to be done here; other programs may refuse them.",
            figure=len(wrong),
            files=files_at(source, wrong),
            details={"counts": dict(counts)},
        )
    ]


_MODES = {
    "CMYK": "converted without its colour profile, so its colours may differ from those of the print",
    "P": "a palette, which is resolved",
    "PA": "a palette with transparency, which is laid over white",
    "RGBA": "transparency, which is laid over white",
    "LA": "grey with transparency, which is laid over white",
    "1": "black and white",
    "I": "16 or 32 bits, reduced to 8",
    "I;16": "16 bits, of which 8 are kept",
    "I;16B": "16 bits, of which 8 are kept",
    "I;16L": "16 bits, of which 8 are kept",
    "F": "floats, which are scaled to 8 bits",
    "LAB": "converted to RGB",
    "YCbCr": "converted to RGB",
}


def _mixed(source: Source, facts: FactTable) -> list[Finding]:
    """Formats and modes that differ between the images, and modes that are converted."""
    findings: list[Finding] = []
    readable = facts.is_readable
    formats = _counts(facts.formats.codes[readable], facts.formats.categories)
    if len(formats) > 1:
        findings.append(
            Finding(
                kind="mixed_formats",
                severity="note",
                sentence=f"Files of several formats: {_listed(formats)}.",
                remedy="Formats leave different traces of compression. Nothing needs to be done unless a label has "
                "another format than the others, which is then reported as a shortcut.",
                figure=len(formats),
                figure_name="formats",
                details={"counts": formats},
            )
        )
    modes = _counts(facts.modes.codes[readable], facts.modes.categories)
    converted = {mode: _MODES[mode] for mode in modes if mode in _MODES}
    if len(modes) > 1 or converted:
        says = "".join(f"; {mode}: {text}" for mode, text in converted.items())
        rows = facts.modes.isin(converted) & readable
        findings.append(
            Finding(
                kind="colour_modes",
                severity="note",
                sentence=f"Colour modes: {_listed(modes)}{says}.",
                remedy="All images become 8-bit RGB. Look at some of them, and convert them if they look wrong.",
                figure=int(rows.sum()) if converted else len(facts),
                files=files_at(source, rows),
                details={"counts": modes},
            )
        )
    return findings


def _counts(codes: "np.ndarray[Any, Any]", names: tuple[str, ...]) -> dict[str, int]:
    counts = zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)
    return dict(sorted(((name, count) for name, count in counts if count), key=lambda pair: (-pair[1], pair[0])))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
