"""The report of each kind of answer, by the name of its section: the only place that knows one kind from another."""

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.classes import ClassReport
from eyebright.report.data import ReportFacts, TaskReport
from eyebright.report.labels import LabelReport
from eyebright.report.numbers import NumberReport
from eyebright.report.points import PointReport
from eyebright.tasks.base import SectionName

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
    """
    return SECTIONS[evaluation.decision.task.section](evaluation, facts)
