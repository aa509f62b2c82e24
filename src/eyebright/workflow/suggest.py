"""Suggests which images without labels to label next, and proposes their labels, with a saved model.

The images that the model knows count as labelled, so that dissimilar images come early. Proposed labels are those of
`load_predictor(folder).predict`.
"""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import InputError, count_text
from eyebright.evaluation.teaching_order import TeachingOrder, teaching_order
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluations, load_manifest
from eyebright.io.atomic import write_text
from eyebright.io.files import check_replaceable, folder_content
from eyebright.io.text import valid_unicode
from eyebright.report.report_json import plain
from eyebright.types import Say
from eyebright.workflow.command_options.labelling import SuggestOptions
from eyebright.workflow.model_images import images_of_model
from eyebright.workflow.teaching import Backbone, Progress, Teacher

FIRST_COLUMNS = ("file", "why", "value")
"""The first columns of the CSV file, before those of a prediction."""

_BEGINNING = '{\n "suggested_by":'
_MIN_UNCERTAINTY = 0.5  # uncertainty of a probability from 0.25 to 0.75
_RARE_RATIO = 0.5  # share of the median label's number of images
_UNLIKE_QUANTILE = 0.8  # quantile of the distances


@dataclass(frozen=True, eq=False)
class Suggestion:
    """An image to label.

    Args:
        path: the image.
        why: the reason for suggesting it, one sentence.
        value: the value by which images are ranked, before similar images are spread.
        activated: the model's prediction: probabilities, points or numbers.
    """

    path: Path
    why: str
    value: float
    activated: Float[Tensor, "..."]


@dataclass(frozen=True, eq=False)
class Suggestions:
    """The images to label next.

    Args:
        manifest: the manifest of the model.
        images: the suggested images, in order.
        n_unlabelled: the number of images without labels that could be read.
        skipped: the reason for each image that cannot be read, by its path.
    """

    manifest: Manifest
    images: Sequence[Suggestion]
    n_unlabelled: int
    skipped: Mapping[str, str]


def suggest(options: SuggestOptions, *, say: Say = lambda _: None, progress: Progress = lambda _: None) -> Suggestions:
    """The images to label next; writes the files that the options name.

    Args:
        options: the model folder, the images, and the files to write.
        say: called with each sentence about the images.
        progress: called with the share of the images whose features are computed.

    Raises:
        InputError: there is no image without a label, none can be read, or a file to write exists and has other
            content.
        ArtifactError: the model is missing or damaged, or a file cannot be written.
    """
    for path, beginning in ((options.out, ",".join(FIRST_COLUMNS)), (options.json, _BEGINNING)):
        if path is not None:
            check_replaceable(path, [beginning], "suggestions")
    manifest = load_manifest(options.model)
    new, known = _images(options, manifest, say)
    backbone = Backbone.of_model(options.model, device=options.device)
    teacher = Teacher([*new, *known], backbone, cache=options.cache, device=options.device, seed=options.seed)
    teacher.compute_features(progress=progress)
    for path, reason in teacher.skipped.items():
        say(f"skipped: {path}: {reason}")
    activated = manifest.decision.activate(teacher.outputs(manifest.target))
    order = _order(teacher.features[:], activated, len(new), manifest, options.seed)
    if not len(order.rows):
        raise InputError(f"none of {count_text(len(new), 'image')} without a label can be read; see the reasons above")
    whys = _reasons(order, activated, manifest)
    images = [
        Suggestion(Path(new[row]), why, float(value), activated[row])
        for row, why, value in zip(order.rows.tolist(), whys, order.values, strict=False)
    ][: options.count]
    suggestions = Suggestions(manifest, images, len(order.rows), teacher.skipped)
    if options.out is not None:
        write_text(options.out, _csv(suggestions), "suggestions")
    if options.json is not None:
        write_text(options.json, _json(suggestions, options.model), "suggestions")
    return suggestions


# ------------------------------------------------------------------ the images


def _images(options: SuggestOptions, manifest: Manifest, say: Say) -> tuple[list[str], list[str]]:
    """(images without labels, existing images that the model knows)."""
    given = dict.fromkeys(
        str(file) for path in options.images for file in (folder_content(path).images if path.is_dir() else [path])
    )
    evaluations = load_evaluations(options.model, manifest)
    known = images_of_model(options.model, manifest, evaluations)
    for sentence in known.messages:
        say(sentence)
    seen = {os.path.realpath(path) for path in known.paths}
    new = [path for path in given if os.path.realpath(path) not in seen]
    if len(new) < len(given):
        say(f"left out: {count_text(len(given) - len(new), 'image')} that trained or validated the model")
    if not new:
        raise InputError(
            f"all of {count_text(len(given), 'image')} trained or validated the model, so there is nothing to suggest; "
            "give images without labels"
        )
    here = [path for path in known.paths if os.path.isfile(path.split("::")[0])]  # noqa: PTH113 - no Path for each
    return new, here


def _order(
    features: Float[Tensor, "n d"], activated: Float[Tensor, "n ..."], n_new: int, manifest: Manifest, seed: int
) -> TeachingOrder:
    """The teaching order of the first ``n_new`` images; the others are labelled."""
    target = manifest.target
    has_labels = bool(target.label_names)
    probabilities = activated.flatten(1) if has_labels else activated.new_zeros(len(activated), 1)
    cells = torch.full_like(probabilities, torch.nan)
    cells[n_new:] = 0
    return teaching_order(
        features.numpy(),
        probabilities.numpy() if has_labels else None,
        cells.numpy(),
        exclusive=target.is_exclusive,
        counts=np.array(_counts(manifest), dtype=np.float64) if has_labels else None,
        seed=seed,
    )


def _counts(manifest: Manifest) -> list[float]:
    """The number of training images with each label; zeros if the model does not record it."""
    counts = manifest.targets.get("counts")
    names = manifest.target.label_names
    return (
        [float(count) for count in counts]
        if isinstance(counts, list) and len(counts) == len(names)
        else [0.0] * len(names)
    )


def _reasons(order: TeachingOrder, activated: Float[Tensor, "n ..."], manifest: Manifest) -> list[str]:
    """The reason for the position of each image."""
    names, counts = manifest.target.label_names, _counts(manifest)
    far = float(np.quantile(order.distances, _UNLIKE_QUANTILE)) if len(order.rows) else 1.0
    rare = _RARE_RATIO * float(np.median(counts)) if counts else 0.0
    sentences: list[str] = []
    for row, label, unsure, distance in zip(
        order.rows.tolist(),
        order.labels.tolist(),
        order.uncertainties.tolist(),
        order.distances.tolist(),
        strict=True,
    ):
        parts: list[str] = []
        if label >= 0:
            word = "uncertain: " if unsure >= _MIN_UNCERTAINTY else ""
            parts.append(f"{word}{names[label]} {float(activated[row].flatten()[label]):.2f}")
            if counts[label] <= rare and any(counts):
                parts.append(f"rare: {names[label]} on {count_text(int(counts[label]), 'labelled image')}")
        if distance >= far and distance < 1:
            parts.append("unlike the labelled images")
        sentences.append("; ".join(parts) or "represents a group of similar images")
    return sentences


# ------------------------------------------------------------------ files


def _csv(found: Suggestions) -> str:
    target = found.manifest.target
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*FIRST_COLUMNS, *map(valid_unicode, target.table_columns)])
    for image in found.images:
        cells = (str(image.path), image.why, image.value, *target.table_row(_value(found, image), image.activated))
        rows.writerow([_cell(cell) for cell in cells])
    return file.getvalue()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else valid_unicode(value) if isinstance(value, str) else value


def _value(found: Suggestions, suggestion: Suggestion) -> Any:
    return found.manifest.decision.decode(suggestion.activated)


def _json(found: Suggestions, folder: Path) -> str:
    target = found.manifest.target
    content = {
        "suggested_by": str(folder),
        "unlabelled": found.n_unlabelled,
        "suggestions": [
            {
                "file": str(image.path),
                "why": image.why,
                "value": image.value,
                **target.prediction_json(_value(found, image), image.activated),
            }
            for image in found.images
        ],
        "skipped": dict(found.skipped),
    }
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
