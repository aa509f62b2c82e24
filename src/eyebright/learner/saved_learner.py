"""The answers of a model under the book's names, with its data beside it or from its folder alone."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from eyebright.errors import ImageError
from eyebright.inference.predictor import Prediction, Predictor, load_predictor
from eyebright.types import Vocab


class Answer(NamedTuple):
    """What `Learner.predict` gives, in the book's order.

    Args:
        decoded: what a person would write.
        decision: the same as a tensor.
        scores: probabilities, or values.
    """

    decoded: Any
    decision: Tensor
    scores: Tensor


class Interpretation(NamedTuple):
    """What `Learner.interpret` gives.

    Args:
        preds: activated predictions: probabilities, or values.
        y_true: targets.
        losses: of each image.
    """

    preds: Tensor
    y_true: Tensor
    losses: Tensor


def answer_for(predictor: Predictor, item: Any) -> Answer:
    """The predictor's answer for one image.

    Raises:
        ImageError: it cannot be read.
    """
    answers = predictor.predict([item])  # a list is refused as no image, not answered for its first
    for path, reason in answers.skipped.items():
        raise ImageError(path, reason)
    one: Prediction = answers[0]
    return Answer(one.answer, predictor.target.encode(one.answer), one.scores)


class SavedLearner:
    """A model from its folder, under the book's names; it answers, and learns no more.

    Args:
        predictor: does the work; with many images call it directly.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.predictor.model

    @property
    def vocab(self) -> Vocab | None:
        """The names of the classes, where there are some."""
        return self.predictor.vocab

    def predict(self, item: Any) -> Answer:
        """The answer for one image: a path, bytes, an array, a tensor or a Pillow image.

        Raises:
            ImageError: it cannot be read.
        """
        return answer_for(self.predictor, item)


def load_learner(fname: str | Path, cpu: bool = True) -> SavedLearner:  # noqa: FBT001  # the book's signature
    """The model that `Learner.export` saved; nothing in its folder is run, unlike the book's pickle.

    Args:
        fname: the folder.
        cpu: answer on the CPU; False: on a CUDA GPU where there is one.

    Raises:
        ArtifactError: there is no whole model, or it is a file that could run code.
    """
    return SavedLearner(load_predictor(fname, device="cpu" if cpu else None))
