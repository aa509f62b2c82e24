"""The report class of each kind of target; the only module of the report that distinguishes the kinds."""

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.classes import ClassReport
from eyebright.report.data import ReportFacts, TaskReport
from eyebright.report.labels import MultiLabelReport
from eyebright.report.numbers import NumberReport
from eyebright.report.points import PointReport
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.task_type import TaskType

REPORTS: dict[TaskType, type[TaskReport]] = {
    "labels": MultiLabelReport,
    "classes": ClassReport,
    "points": PointReport,
    "numbers": NumberReport,
}


def task_report(evaluation: Evaluation, facts: ReportFacts) -> TaskReport:
    """The report for the kind of target of an evaluation.

    Raises:
        DataError: the outputs or targets do not have the shape of this kind.
        InputError: the model does not have the points of ``facts.normalize_by``, see `check_normalize_by`.
    """
    block = evaluation.decision.target
    check_normalize_by(block, facts.normalize_by)
    return REPORTS[block.task_type](evaluation, facts)


def check_normalize_by(block: TargetBlock, normalize_by: tuple[str, str] | None) -> None:
    """Raises `InputError` unless errors can be normalised by the distance between these two points.

    Args:
        block: the fitted target block.
        normalize_by: the names of two points; None for the diagonal of the image, which is always possible.

    Raises:
        InputError: they are not two different points of the target block.
    """
    if normalize_by is not None:
        REPORTS[block.task_type].check_normalize_by(block.value_names, normalize_by)
