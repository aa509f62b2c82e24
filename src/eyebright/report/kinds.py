"""The report of each kind of answer, by the name of its section: the only place that knows one kind from another."""

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.classes import ClassReport
from eyebright.report.data import ReportFacts, TaskReport
from eyebright.report.labels import LabelReport
from eyebright.report.numbers import NumberReport
from eyebright.report.points import PointReport
from eyebright.tasks.base import SectionName, TargetBlock

SECTIONS: dict[SectionName, type[TaskReport]] = {
    "labels": LabelReport,
    "classes": ClassReport,
    "points": PointReport,
    "numbers": NumberReport,
}


def task_report(evaluation: Evaluation, facts: ReportFacts) -> TaskReport:
    """The report of the evaluation's kind of answer.

    Raises:
        DataError: the outputs or targets do not have the shape of this kind.
        InputError: errors cannot be normalised as the facts say, see `check_normalize_by`.
    """
    task = evaluation.decision.target
    check_normalize_by(task, facts.normalize_by)
    return SECTIONS[task.section](evaluation, facts)


def check_normalize_by(task: TargetBlock, normalize_by: tuple[str, str] | None) -> None:
    """Nothing, where the errors of this kind of answer can be normalised by these points.

    Args:
        task: the fitted block.
        normalize_by: the names of two points; None: the image's diagonal.

    Raises:
        InputError: they are not two different points of the block.
    """
    if normalize_by is not None:
        SECTIONS[task.section].check_normalize_by(task.value_names, normalize_by)
