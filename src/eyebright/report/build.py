"""The report of an `Evaluation`: everything that the page shows, as values."""

from collections.abc import Sequence
from typing import Any

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.data import ReportData, ReportFacts, TaskReport
from eyebright.report.history import history_section
from eyebright.report.kinds import task_report
from eyebright.report.slices import slices_section
from eyebright.report.split import split_section
from eyebright.web.blocks import Cell, Gallery, Pairs, Section, Sentences, Table
from eyebright.web.text import count_text

_ROWS_OF_FINE_TUNING = "The rows of the epochs have the scores of the fine-tuned weights alone."  # not of an average


def build_report(evaluation: Evaluation, facts: ReportFacts) -> ReportData:
    """The content of the report; images that are not those that were evaluated have no thumbnail, and a notice says so.

    Args:
        evaluation: a model's outputs for a set of images, with their targets and the summary of the training targets.
        facts: the facts that the evaluation lacks.

    Raises:
        DataError: the outputs or targets do not have the shape of their kind, or an output is NaN or infinite.
        InputError: the facts name points that the model does not have.
    """
    evaluation.check_finite()
    report = task_report(evaluation, facts)
    sections = [*report.sections(), *slices_section(evaluation), *_training(report), *_origin(facts)]
    return ReportData(
        title=facts.title,
        summary=report.summary(),
        metric_rows=report.metric_rows(),
        sections=sections,
        notices=[*_without_leaks(evaluation, facts), *_missing_thumbnails(sections)],
        created=facts.created.replace("T", " ").replace("+00:00", " UTC"),
    )


def _without_leaks(evaluation: Evaluation, facts: ReportFacts) -> list[str]:
    """The most important score again without images that belong together with training images; a sentence."""
    leaking = set(facts.leaking)
    kept = [row for row, file in enumerate(evaluation.files) if file not in leaking]
    count = len(evaluation) - len(kept)
    if not count:
        return []
    which = f"{count:,} of the {len(evaluation):,} evaluated images are copies of training images, or of their groups"
    if not kept:
        return [f"{which}: no score here is one of new images"]
    row = task_report(evaluation.take(kept), facts).metric_rows()[0]
    return [f"{which}; without them: {row.line}"]


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
    """How the data was read, and how the model was trained."""
    read: list[Any] = [Sentences(facts.messages)] if facts.messages else []
    read += [Pairs(facts.split)] if facts.split and facts.proof is None else []
    if facts.skipped:
        rows = [[Cell(path), Cell(reason)] for path, reason in facts.skipped]
        read.append(Table(f"Skipped: {count_text(len(rows), 'image')}", ("image", "reason"), rows))
    titled = (("Settings", facts.settings), ("Versions", facts.versions))
    trained = [Pairs(pairs, title=title) for title, pairs in titled if pairs]
    sections = [Section("Data", "data", read), *([] if facts.proof is None else [split_section(facts.proof)])]
    sections.append(Section("Settings and versions", "settings", trained))
    return [section for section in sections if section.blocks]


def _missing_thumbnails(sections: Sequence[Section]) -> list[str]:
    """A sentence if images of the page could not be shown."""
    blocks = [block for section in sections for block in section.blocks]
    images = [card.image for block in blocks if isinstance(block, Gallery) for card in block.cards]
    missing = sum(bool(image.error) for image in images)
    if not missing:
        return []
    return [
        f"{missing} of {count_text(len(images), 'image')} on this page could not be read, or have another size than "
        "the evaluated ones, and have no thumbnail; if they were moved, make the report again with the folder that they"
        " are in now"
    ]
