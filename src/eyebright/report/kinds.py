"""The kinds of answers that a report can show, by the name of their section; one file of this folder each."""

from collections.abc import Callable

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.classes import ClassAnswers
from eyebright.report.data import Answers
from eyebright.report.labels import LabelAnswers
from eyebright.report.points import PointAnswers
from eyebright.report.regression import NumberAnswers
from eyebright.tasks.base import SectionName

SECTIONS: dict[SectionName, Callable[[Evaluation], Answers]] = {
    "labels": LabelAnswers.of,
    "classes": ClassAnswers.of,
    "points": PointAnswers.of,
    "numbers": NumberAnswers.of,
}


def answers_of(evaluation: Evaluation) -> Answers:
    """What the report shows of an evaluation."""
    return SECTIONS[evaluation.decision.task.section](evaluation)
