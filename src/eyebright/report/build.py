"""Builds the report of an `Evaluation`: the content of the page, as values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from eyebright.errors import count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.slices import Slice, find_slices
from eyebright.evaluation.weak_segments import find_weak_segments
from eyebright.report.data import MetricRow, ReportData, ReportFacts, TaskReport
from eyebright.report.exports import exports_section
from eyebright.report.history import history_section
from eyebright.report.kinds import task_report
from eyebright.report.mistakes import mistakes_section
from eyebright.report.slices import slices_section
from eyebright.report.split import split_section
from eyebright.report.suspects import suspects_section
from eyebright.report.test_set import rows_of_test, section_of_test
from eyebright.report.tuning import tuning_sections
from eyebright.report.verdict.general import (
    baseline_sentences,
    leak_recommendation,
    more_evaluated,
    slice_recommendations,
    slice_sentences,
    training_recommendations,
)
from eyebright.report.verdict.values import Verdict, ranked
from eyebright.report.weak_segments import weak_segments_json, weak_segments_section
from eyebright.tasks.calibration_hash import current_results
from eyebright.web.blocks import Cell, Collapsed, Gallery, Pairs, Section, Sentences, Table

_ROWS_OF_FINE_TUNING = "The rows of the epochs have the scores of the fine-tuned weights, not of an averaged model."


def build_report(
    evaluation: Evaluation,
    facts: ReportFacts,
    *,
    test: Evaluation | None = None,
    out_of_fold: Evaluation | None = None,
    check_images: bool = True,
) -> ReportData:
    """The content of the report; images that differ from the evaluated ones get a notice instead of a thumbnail.

    Args:
        evaluation: a model's outputs for a set of images, with their targets and the summary of the training targets.
        facts: the facts that the evaluation lacks.
        test: the evaluation on the held-out test images; None without test images.
        out_of_fold: the evaluation on all labelled images by heads that were not fitted to them, to find wrong labels
            in; None: they are searched in ``evaluation``.
        check_images: whether all image files are read, to name those that have changed since they were evaluated;
            otherwise only those that are shown are checked.

    Raises:
        DataError: the outputs or targets do not have the shape of their kind, or an output is NaN or infinite.
        InputError: the facts name points that the model does not have.
    """
    evaluation.check_finite()
    report = task_report(evaluation, facts)
    slices = find_slices(evaluation)
    most = evaluation if out_of_fold is None else out_of_fold.with_decision(evaluation.decision)
    segments = find_weak_segments(most)
    leaks = _leaks(report)
    changed = _changed(evaluation, test, out_of_fold) if check_images else []
    of_test = [] if test is None else rows_of_test(test, facts)
    tested = [] if test is None else [section_of_test(test, of_test)]
    sections = [
        *tuning_sections(facts.tuning, evaluation.decision),
        *tested,
        *report.sections(),
        *suspects_section(evaluation if out_of_fold is None else out_of_fold),
        *mistakes_section(evaluation),
        *slices_section(evaluation, slices),
        *weak_segments_section(most, segments),
        *_training(report),
        *exports_section(facts.exports),
        *_origin(facts),
    ]
    return ReportData(
        title=facts.title,
        summary=report.summary(),
        kind=evaluation.decision.target.task_type,
        evaluated=(evaluation.part, len(evaluation)),
        verdict=_verdict(report, slices, leaks, has_folds=out_of_fold is not None),
        metric_rows=report.metric_rows(),
        test_rows=of_test,
        sections=sections,
        output_rows=report.output_rows(),
        weak_segments=weak_segments_json(segments),
        facts=replace(facts, tuning=current_results(facts.tuning, evaluation.decision.to_json())),
        leaks=_leak_notices(leaks),
        missing_images=[*changed, *_missing_thumbnails(sections)],
        created=facts.created.replace("T", " ").replace("+00:00", " UTC"),
    )


class _Leaks(NamedTuple):
    """Evaluated images that are copies of training images, or in their groups.

    Args:
        images: the number of these images.
        total: the number of all evaluated images.
        without: the main score of the other images; None if there are none.
    """

    images: int
    total: int
    without: MetricRow | None


def _leaks(report: TaskReport) -> _Leaks:
    leaking, files = set(report.facts.leaking), report.evaluation.files
    kept = [row for row, file in enumerate(files) if file not in leaking]
    count = len(files) - len(kept)
    rows = task_report(report.evaluation.take(kept), report.facts).metric_rows() if count and kept else []
    return _Leaks(count, len(files), rows[0] if rows else None)


def leak_notices(report: TaskReport) -> list[str]:
    """A notice of evaluated images that overlap with training images, with the score of the others; empty without any.

    Args:
        report: the report, with the overlapping images in `ReportFacts.leaking`.
    """
    return _leak_notices(_leaks(report))


def _leak_notices(leaks: _Leaks) -> list[str]:
    """The main score without images that overlap with training images, as a sentence."""
    if not leaks.images:
        return []
    total = f"{leaks.total:,} evaluated images"
    which = f"{leaks.images:,} of the {total} are copies of training images, or of their groups"
    if leaks.without is None:
        return [f"{which}: no score here is for new images"]
    return [f"{which}; without them: {leaks.without.line}"]


def _verdict(report: TaskReport, slices: Sequence[Slice], leaks: _Leaks, *, has_folds: bool) -> Verdict:
    """The verdict for this kind of target, with the rules for every kind; at most three recommendations."""
    own, rows, facts = report.verdict(), report.metric_rows(), report.facts
    if not rows:
        return own
    metric = report.evaluation.decision.target.metrics()[0]
    scored = next((row for row in rows if row.name == metric.display_name), None)
    recommendations = [
        *leak_recommendation(leaks.images, leaks.total, rows[0], leaks.without),
        *own.recommendations,
        *([] if scored is None else slice_recommendations(slices, scored, is_share=scored.is_share)),
        *training_recommendations(facts),
        *more_evaluated(rows[0], has_folds=has_folds),
    ]
    cannot = [*baseline_sentences(rows[0]), *own.cannot, *slice_sentences(slices, metric.display_name)]
    return Verdict(own.can, cannot, ranked(recommendations))


def _training(report: TaskReport) -> list[Section]:
    facts = report.facts
    notes = [report.history_note]
    if facts.fine_tuning:
        notes = [_sentence(facts.fine_tuning), _ROWS_OF_FINE_TUNING, *notes]
    note = " ".join(filter(None, notes))
    return history_section(facts.history, note, frozen=facts.frozen_scores)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _origin(facts: ReportFacts) -> list[Section]:
    """Sentences on how the data was read, and how the model was trained."""
    read: list[Any] = [Sentences(facts.messages)] if facts.messages else []
    read += [Pairs(facts.split)] if facts.split and facts.split_summary is None else []
    if facts.skipped:
        rows = [[Cell(path), Cell(reason)] for path, reason in facts.skipped]
        read.append(Table(f"Skipped: {count_text(len(rows), 'image')}", ("image", "reason"), rows))
    titled = (("Settings", facts.settings), ("Versions", facts.versions))
    trained = [Pairs(pairs, title=title) for title, pairs in titled if pairs]
    sections = [Section("Data", "data", read)]
    if facts.split_summary is not None:
        sections.append(split_section(facts.split_summary))
    sections.append(Section("Settings and versions", "settings", trained))
    return [section for section in sections if section.blocks]


def _changed(*evaluations: Evaluation | None) -> list[str]:
    """A sentence for each evaluation some of whose images have changed since."""
    return list(
        dict.fromkeys(
            evaluation.changed_message
            for evaluation in evaluations
            if evaluation is not None and evaluation.changed_message
        )
    )


def _missing_thumbnails(sections: Sequence[Section]) -> list[str]:
    """A sentence if images of the page could not be shown."""
    blocks = [block for section in sections for block in section.blocks]
    blocks += [inner for block in blocks if isinstance(block, Collapsed) for inner in block.blocks]
    errors = {card.path: card.image.error for block in blocks if isinstance(block, Gallery) for card in block.cards}
    missing = sum(map(bool, errors.values()))
    if not missing:
        return []
    shown = f"{missing} of {count_text(len(errors), 'image')} on this page"
    if missing == 1:
        problem = "could not be read, or is not the evaluated one, and has no thumbnail; if it was moved"
    else:
        problem = "could not be read, or are not the evaluated ones, and have no thumbnail; if they were moved"
    return [f"{shown} {problem}, create the report again with the current folder of the images"]
