"""Evaluates a saved model on new labelled images, and saves the evaluation as one of its parts if requested.

The outputs are those of `load_predictor(folder)` in float32. Saved as the part promise, the evaluation can be used for
promises; saved as the part test, its scores are in the report.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eyebright._choices import EvaluatedPart, HeldOutPart
from eyebright.errors import InputError, TableError, count_text, listing
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.cache import ImageCache
from eyebright.inference.change_manifest import check_free, locked_folder, restored_on_failure, save_part
from eyebright.inference.evaluate import evaluate_images
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import (
    load_manifest,
)
from eyebright.io.atomic import write_text
from eyebright.io.files import check_replaceable
from eyebright.report.build import build_report, leak_notices
from eyebright.report.data import MetricRow, ReportFacts, TaskReport
from eyebright.report.kinds import task_report
from eyebright.report.report_json import metric_json, plain
from eyebright.sources.headers import readable
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.sources.target_columns import NO_TARGETS
from eyebright.types import Say
from eyebright.web.page import check_page_file, write_page
from eyebright.workflow.check import Advance
from eyebright.workflow.command_options.evaluation import EvaluateOptions
from eyebright.workflow.held_out import HeldOut, group_names, rows_of_part
from eyebright.workflow.model_images import Overlap, find_overlap, images_of_model, saved_evaluations
from eyebright.workflow.model_targets import with_targets_of_model
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.reading import read
from eyebright.workflow.report import DESCRIPTIONS, make_report

_BEGINNING = '{\n "model":'


@dataclass(frozen=True, eq=False)
class NewScores:
    """The scores of a saved model on labelled images.

    Args:
        evaluation: the model's outputs for the images, with their targets.
        rows: the metrics.
        outputs: the scores of each label, class, point or number, see `TaskReport.output_rows`.
        notices: sentences to show before the scores.
    """

    evaluation: Evaluation
    rows: Sequence[MetricRow]
    outputs: Sequence[Mapping[str, Any]]
    notices: Sequence[str]


def evaluate_model(
    options: EvaluateOptions,
    reading: ReadOptions | None = None,
    *,
    say: Say = lambda _: None,
    advance: Advance = lambda _what, _done, _total: None,
) -> NewScores:
    """Evaluates a saved model on labelled images; writes the requested files, and returns the scores.

    Args:
        options: the model folder, the labelled images, and the files to write.
        reading: the options of reading; None: detected. The kind of target is that of the model.
        say: called with each sentence about the images.
        advance: called as images are read and compared.

    Raises:
        InputError: the images cannot be read, have no targets of the model, or are all known to it; the model already
            has images of the part; or a file to write exists and has other content.
        ArtifactError: the model is missing or damaged, or a file cannot be written; the saved model is unchanged.
    """
    _check_files(options)
    manifest = load_manifest(options.model)
    if options.part is not None:
        check_free(options.model, options.part, replace=options.replace)
    source = _read(options.source, reading or ReadOptions(), manifest)
    n_reported = len(source.messages)
    for sentence in source.messages:
        say(sentence)
    source = readable(source, skip_bad=True)
    source = with_targets_of_model(source, manifest.target)
    held_out, overlap = _chosen(source, options, manifest, say, advance)
    for sentence in (*source.messages[n_reported:], *held_out.left_out_messages):
        say(sentence)
    if not len(held_out.rows):
        raise InputError("no image is left to evaluate; see the reasons above")
    evaluation, skipped = _evaluated(source, held_out, overlap, options)
    for path, reason in {**source.skipped, **skipped}.items():
        say(f"skipped: {path}: {reason}")
    scores = _scores(evaluation, _facts(options, manifest, source, held_out, overlap))
    _write(options, scores, say)
    return scores.found


# ------------------------------------------------------------------ the images


def _check_files(options: EvaluateOptions) -> None:
    if options.out is not None:
        check_page_file(options.out, "evaluation")
    if options.json is not None:
        check_replaceable(options.json, [_BEGINNING], "scores of an evaluation")


def _read(path: Path, reading: ReadOptions, manifest: Manifest) -> Source:
    """The labelled images, with targets of the model's kind.

    Raises:
        InputError: the images cannot be read.
    """
    try:
        return read(path, reading if reading.kind is not None else replace(reading, kind=manifest.target.name))
    except TableError as error:
        if NO_TARGETS not in str(error) or f"{NO_TARGETS} names of images" in str(error):
            raise
        raise InputError(f"{error}; `eyebright predict` is for images without labels") from None


def _chosen(
    source: Source, options: EvaluateOptions, manifest: Manifest, say: Say, advance: Advance
) -> tuple[HeldOut, Overlap]:
    """(images to evaluate, their overlap with the model's images): a part leaves out known or reserved images."""
    part: HeldOutPart | None = "promise" if options.part == "promise" else "test" if options.part else None
    chosen = rows_of_part(source, manifest.target, part, _rows(source, part))
    evaluations = saved_evaluations(options.model, manifest)
    seen = images_of_model(options.model, manifest, evaluations)
    for sentence in seen.messages:
        say(sentence)
    other: HeldOutPart = "test" if part == "promise" else "promise"
    others = [str(path) for path in evaluations[other].paths] if part is not None and other in evaluations else []
    cache = ImageCache.from_option(options.cache)
    overlap = find_overlap(
        source, seen, others=others, is_split=part is not None, pixels=options.pixels, cache=cache, advance=advance
    )
    for sentence in overlap.messages:
        say(sentence)
    reserved = np.array(overlap.reserved[chosen.rows])
    if reserved.any():
        count = count_text(int(reserved.sum()), "image")
        say(
            f"left out of {PART_WORDS[part or 'test']}: {count} that the model has for {PART_WORDS[other]}, "
            "or copies of them"
        )
    chosen = replace(chosen, rows=chosen.rows[~reserved])
    return chosen.with_leaks(overlap.seen[chosen.rows], keep=part is None), overlap


def _rows(source: Source, part: HeldOutPart | None) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The images of the part, if the data name parts; otherwise all.

    Raises:
        InputError: the data name parts, but not this one.
    """
    if source.part is None or part is None:
        return np.arange(len(source))
    rows = np.flatnonzero(source.part.isin([part]))
    if not len(rows):
        counts = {name: int(source.part.isin([name]).sum()) for name in PART_WORDS}
        named = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        raise InputError(
            f"the data name the parts of their images ({named}), but none is of the part '{part}'; `split='none'` "
            f"uses all images"
        )
    return rows


def _evaluated(
    source: Source, held_out: HeldOut, found: Overlap, options: EvaluateOptions
) -> tuple[Evaluation, Mapping[str, str]]:
    """(evaluation, skipped images): with the groups of the images, and the other columns of the data."""
    chosen = source.take(held_out.rows)
    predictor = load_predictor(options.model, device=options.device, runtime="torch", precision="float32")
    part: EvaluatedPart = held_out.part or "test"
    paths = [str(chosen.root / file) for file in chosen.files]
    evaluation, skipped = evaluate_images(predictor, paths, list(chosen.targets), part=part, bs=options.bs)
    evaluation.check_finite()
    read_rows = list(evaluation.indices)
    groups = group_names(source, found.groups)
    return replace(
        evaluation,
        columns=chosen.columns.iloc[read_rows].reset_index(drop=True),
        groups=tuple(groups[held_out.rows[i]] for i in read_rows) if groups else (),
    ), skipped


# ------------------------------------------------------------------ the scores


class _Scores(NamedTuple):
    report: TaskReport
    found: NewScores


def _facts(
    options: EvaluateOptions, manifest: Manifest, source: Source, held_out: HeldOut, found: Overlap
) -> ReportFacts:
    """The facts of the page: how the images were read, and which of them the model already knows."""
    leaking = [str(source.root / source.files[row]) for row in held_out.rows.tolist() if found.seen[row]]
    return ReportFacts(
        title=f"{manifest.model.arch} on {options.source.name}",
        messages=source.messages,
        skipped=list(source.skipped.items()),
        normalize_by=ReportFacts.from_json(manifest.report).normalize_by,
        leaking=leaking,
        versions=tuple(manifest.versions.items()),
        created=manifest.created,
    )


def _scores(evaluation: Evaluation, facts: ReportFacts) -> _Scores:
    paths = set(facts.leaking)
    leaking = [file for file, path in zip(evaluation.files, evaluation.paths, strict=True) if str(path) in paths]
    report = task_report(evaluation, replace(facts, leaking=leaking))
    return _Scores(report, NewScores(evaluation, report.metric_rows(), report.output_rows(), leak_notices(report)))


def _write(options: EvaluateOptions, scores: _Scores, say: Say) -> None:
    """Writes the page, the JSON file and the part, each if requested."""
    evaluation = scores.found.evaluation
    if options.out is not None:
        write_page(build_report(evaluation, scores.report.facts), options.out, "evaluation")
    if options.json is not None:
        _write_json(scores.found, options)
    if options.part is None:
        return
    with locked_folder(options.model), restored_on_failure(options.model, DESCRIPTIONS):
        given_up = save_part(options.model, evaluation, replace=options.replace)
        if given_up:
            say(f"dropped, since their images were replaced: {listing(given_up)}; repeat them with `eyebright tune`")
        make_report(options.model, check_images=False, say=say)


def _write_json(found: NewScores, options: EvaluateOptions) -> None:
    assert options.json is not None
    content = {
        "model": str(options.model),
        "source": str(options.source),
        "images": len(found.evaluation),
        "metrics": [metric_json(row) for row in found.rows],
        found.evaluation.decision.target.task_type: found.outputs,
        "notices": found.notices,
    }
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = options.json
    write_text(path, text, "scores")
