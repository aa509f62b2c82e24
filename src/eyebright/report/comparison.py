"""The comparison of two models, as the content of a page and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from eyebright._defaults import SIGNIFICANCE
from eyebright.errors import count_text, listing
from eyebright.evaluation.compare import Comparison
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.model_comparison import ImageChange, ModelComparison
from eyebright.evaluation.output_differences import OutputDifference
from eyebright.evaluation.relabelled import Judged, JudgedBy
from eyebright.report.collapsing import MAX_CARDS, collapsed
from eyebright.report.evaluated_thumbnail import evaluated_thumbnail
from eyebright.report.report_json import plain
from eyebright.tasks.task_type import TaskType
from eyebright.web.blocks import Card, Cell, Gallery, Section, Sentences, Table, Tag
from eyebright.web.page import SectionsPage
from eyebright.web.text import NO_VALUE, number_text, short_names

_MAX_ROWS = 500


def comparison_sentences(comparison: ModelComparison) -> list[str]:
    """The results as sentences: metrics, labels that changed significantly, and the numbers of images that changed."""
    sentences = [_shared_text(comparison), *filter(None, [comparison.lineage, _replaced_text(comparison)])]
    sentences += relabelled_sentences(comparison)
    sentences += [difference.text for difference in comparison.metrics]
    sure = [output for output in comparison.outputs if output.p_value < SIGNIFICANCE]
    if comparison.outputs:
        counted = f"{len(sure):,} of {len(comparison.outputs):,}" if sure else f"none of {len(comparison.outputs):,}"
        outputs_text = "; ".join(_output_text(output) for output in sure[:5])
        rows = _NAMES[comparison.first.decision.target.task_type][1]
        sentences.append(
            f"significantly changed (p < {SIGNIFICANCE}, Holm): {counted} {rows}"
            f"{': ' + outputs_text if outputs_text else ''}"
        )
    if comparison.first.decision.target.has_vocab:
        sentences.append(
            f"images: {comparison.fixed:,} from wrong to right, {comparison.broken:,} from right to wrong; "
            f"{len(comparison.better):,} with fewer mistakes, {len(comparison.worse):,} with more"
        )
        if comparison.abstention_rates is not None:
            gained, lost = comparison.handed_over
            sentences[-1] += f"; {gained:,} from wrong to asking a person, {lost:,} from asking a person to wrong"
            first, second = (f"{100 * share:.3g} %" for share in comparison.abstention_rates)
            sentences.append(
                f"a person is asked about a label on {first} of the images by the first model, on {second} by the "
                "second; such an answer is not a mistake, and counts as no in the metrics"
            )
    else:
        sentences.append(
            f"images: {len(comparison.better):,} with a smaller error, {len(comparison.worse):,} with a larger one"
        )
    return sentences


def _replaced_text(comparison: ModelComparison) -> str:
    if not comparison.replaced:
        return ""
    return (
        f"{len(comparison.replaced):,} of the {len(comparison.first):,} image files were replaced or edited between "
        f"the two evaluations ({listing(comparison.replaced, limit=5)}): on these the models saw different images; "
        "evaluate both on the same ones"
    )


def relabelled_sentences(comparison: ModelComparison) -> list[str]:
    """The main metric by the labels of each model, and on images that were not nominated; empty if no labels differ."""
    if not comparison.relabelled:
        return []
    sentences = [
        f"the targets of {comparison.relabelled:,} of the {len(comparison.first):,} images differ; unless stated "
        "otherwise, those of the second model are used"
    ]
    sentences += [f"{_judged_text(judged)}: {judged.metrics[0].text}" for judged in comparison.judged]
    return [*sentences, _FAVOURED_MODEL_NOTE]


def comparison_page(comparison: ModelComparison, names: tuple[str, str]) -> SectionsPage:
    """The page: the metrics, each label, and the images that changed.

    Args:
        comparison: the comparison.
        names: the names of the two models, for the headings.
    """
    first, second = names
    sections = [
        *_relabelled_section(comparison, names),
        Section("Metrics", "metrics", [_metric_table(comparison.metrics, names)], _INTRO),
        Section(
            _NAMES[comparison.first.decision.target.task_type][0],
            "outputs",
            collapsed(_output_table(comparison, names), _p_values(comparison), which=_MOST_SIGNIFICANT),
        ),
        *_image_sections("Worse", "worse", comparison, comparison.worse, names),
        *_image_sections("Better", "better", comparison, comparison.better, names),
    ]
    outcome = Section("Outcome", "outcome", [Sentences(comparison_sentences(comparison))])
    return SectionsPage(
        f"{first} and {second}", _shared_text(comparison), sections, footer="Comparison", opening=[outcome]
    )


def comparison_json(comparison: ModelComparison, names: tuple[str, str]) -> dict[str, Any]:
    """The comparison as JSON values; NaN is None."""
    content = {
        "models": names,
        "images": len(comparison.first),
        "only_first": comparison.only_first,
        "only_second": comparison.only_second,
        "lineage": comparison.lineage,
        "replaced": comparison.replaced,
        "metrics": [_metric_json(difference) for difference in comparison.metrics],
        "relabelled": comparison.relabelled,
        "judged": [
            {"by": judged.by, "images": judged.images, "metrics": [_metric_json(metric) for metric in judged.metrics]}
            for judged in comparison.judged
        ],
        "outputs": [
            {
                "name": output.name,
                "measure": output.measure,
                "images": output.count,
                "first": output.first,
                "second": output.second,
                "difference": output.second - output.first,
                "interval": _interval_json(output.interval),
                "p_value_holm": output.p_value,
            }
            for output in comparison.outputs
        ],
        "asking": comparison.abstention_rates,
        "worse": [_image_json(change) for change in comparison.worse],
        "better": [_image_json(change) for change in comparison.better],
    }
    return plain(content)


_NAMES: Mapping[TaskType, tuple[str, str]] = {
    "labels": ("Labels", "labels"),
    "classes": ("Classes", "classes"),
    "points": ("Points", "points"),
    "numbers": ("Numbers", "columns of numbers"),
}
_INTRO = (
    "Both models are scored on the same images. The interval is that of the difference; if it contains 0, there are "
    "too few images to tell which model is better."
)
_JUDGED: Mapping[JudgedBy, str] = {
    "first": "{} by the targets of the first model",
    "second": "{} by the targets of the second model",
    "unchanged": "{} with the same targets for both",
    "not_nominated": "{} that were not nominated",
}
_FAVOURED_MODEL_NOTE = (
    "targets that were corrected because a model suggested it favour that model, and models trained on them; images "
    "that were not nominated do not"
)
_MOST_SIGNIFICANT = "rows with the most significant difference"


def _shared_text(comparison: ModelComparison) -> str:
    text = f"{count_text(len(comparison.first), 'image')} that both models evaluated"
    unpaired = [
        f"{count_text(len(files), 'image')} only by the {name}"
        for name, files in (("first", comparison.only_first), ("second", comparison.only_second))
        if files
    ]
    return f"{text}; {', '.join(unpaired)}" if unpaired else text


def _output_text(output: OutputDifference) -> str:
    return f"'{output.name}' {output.measure} from {number_text(output.first)} to {number_text(output.second)}"


def _judged_text(judged: Judged) -> str:
    return _JUDGED[judged.by].format(count_text(judged.images, "image"))


def _relabelled_section(comparison: ModelComparison, names: tuple[str, str]) -> list[Section]:
    if not comparison.judged:
        return []
    tables = [_metric_table(judged.metrics, names, _judged_text(judged)) for judged in comparison.judged]
    intro = f"The targets of {comparison.relabelled:,} of the {len(comparison.first):,} images differ."
    return [
        Section(
            "Corrected targets",
            "corrected",
            tables,
            f"{intro} {_FAVOURED_MODEL_NOTE[0].upper()}{_FAVOURED_MODEL_NOTE[1:]}.",
        )
    ]


def _interval_json(interval: Interval) -> list[float] | None:
    return None if math.isnan(interval.low) else [interval.low, interval.high]


def _metric_json(difference: Comparison) -> dict[str, Any]:
    return {
        "name": difference.metric.display_name,
        "first": difference.first,
        "second": difference.second,
        "difference": difference.difference,
        "interval": _interval_json(difference.interval),
        "higher_is_better": difference.metric.higher_is_better,
    }


def _metric_table(metrics: Sequence[Comparison], names: tuple[str, str], caption: str = "A row per metric") -> Table:
    rows = [
        [
            Cell(difference.metric.display_name),
            Cell(number_text(difference.first), difference.first),
            Cell(number_text(difference.second), difference.second),
            _signed(difference.difference),
            _range(difference.interval.low, difference.interval.high),
        ]
        for difference in metrics
    ]
    return Table(caption, ("metric", *names, "difference", "95 % CI"), rows)


def _output_table(comparison: ModelComparison, names: tuple[str, str]) -> Table:
    rows = [
        [
            Cell(output.name),
            Cell.of(output.count),
            Cell(number_text(output.first), _known(output.first)),
            Cell(number_text(output.second), _known(output.second)),
            _signed(output.second - output.first),
            _range(output.interval.low, output.interval.high),
            Cell(number_text(output.p_value), _known(output.p_value)),
        ]
        for output in comparison.outputs
    ]
    measure = comparison.outputs[0].measure if comparison.outputs else "value"
    caption = f"One row for each: {measure} of both models; p-values are corrected for their number (Holm)."
    return Table(caption, ("name", "images", *names, "difference", "95 % CI", "p, corrected"), rows)


def _p_values(comparison: ModelComparison) -> list[float]:
    return [output.p_value for output in comparison.outputs]


def _image_sections(
    title: str, anchor: str, comparison: ModelComparison, changes: Sequence[ImageChange], names: tuple[str, str]
) -> list[Section]:
    if not changes:
        return []
    shown = changes[:MAX_CARDS]
    evaluation = comparison.first
    titles = short_names(evaluation.files, [change.row for change in shown])
    cards = [_card(comparison, change, name, names) for change, name in zip(shown, titles, strict=True)]
    rows = [
        [Cell(change.file), Cell(change.truth), Cell(change.answers[0]), Cell(change.answers[1])] for change in changes
    ]
    table = Table(f"The first {len(rows[:_MAX_ROWS])}", ("image", "target", *names), rows[:_MAX_ROWS])
    intro = f"{count_text(len(changes), 'image')} on which {names[1]} makes {'more' if anchor == 'worse' else 'fewer'}"
    intro += f" or {'larger' if anchor == 'worse' else 'smaller'} mistakes; shown: {len(cards)}."
    order = [float(i) for i in range(len(table.rows))]
    return [Section(title, anchor, [Gallery(cards), *collapsed(table, order, which="images that changed most")], intro)]


def _card(comparison: ModelComparison, change: ImageChange, title: str, names: tuple[str, str]) -> Card:
    texts = [f"target: {change.truth or 'none'}"]
    texts += [f"{name}: {answer or 'none'}" for name, answer in zip(names, change.answers, strict=True)]
    image = evaluated_thumbnail(comparison.first, change.row)
    return Card(title, change.file, image, f"{title}; {'; '.join(texts)}", [Tag(text) for text in texts])


def _image_json(change: ImageChange) -> dict[str, Any]:
    return {
        "file": change.file,
        "target": change.truth,
        "first": change.answers[0],
        "second": change.answers[1],
        "mistakes": change.mistakes,
        "asked": change.abstained,
    }


def _signed(value: float) -> Cell:
    return Cell(f"{'+' * (value > 0)}{number_text(value)}", _known(value))


def _range(low: float, high: float) -> Cell:
    return Cell(NO_VALUE) if math.isnan(low) else Cell(f"{number_text(low)} to {number_text(high)}")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
