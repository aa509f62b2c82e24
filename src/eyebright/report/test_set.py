"""The section on the held-out test images, by which neither weights, epochs, calibration nor thresholds are chosen."""

from dataclasses import replace

from eyebright.errors import count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.data import MetricRow, ReportFacts
from eyebright.report.kinds import task_report
from eyebright.web.blocks import Cell, Section, Table
from eyebright.web.text import NO_VALUE


def rows_of_test(test: Evaluation, facts: ReportFacts) -> list[MetricRow]:
    """The metrics of the test images.

    Args:
        test: the evaluation of the test images.
        facts: the facts of the report.

    Raises:
        DataError: the outputs or targets do not have the shape of their kind, or an output is NaN or infinite.
    """
    test.check_finite()
    return task_report(test, facts).metric_rows()


def section_of_test(test: Evaluation, rows: list[MetricRow]) -> Section:
    """The section with these metrics.

    Args:
        test: the evaluation of the test images.
        rows: their metrics, from `rows_of_test`.
    """
    cells = [
        [
            Cell(row.name),
            Cell(row.text, row.value),
            Cell(NO_VALUE if row.interval is None else row.details[0].removeprefix("95 % CI ")),
            Cell(NO_VALUE) if row.baseline is None else Cell(replace(row, value=row.baseline).text, row.baseline),
        ]
        for row in rows
    ]
    table = Table("Scores of the test images", ("metric", "value", "95 % CI", "baseline"), cells, sortable=False)
    intro = (
        f"{count_text(len(test), 'test image')}, held out: neither weights nor epochs, calibration or thresholds "
        "were chosen by them. These are the scores to expect on new images like them."
    )
    return Section("Test images", "test", [table], intro)
