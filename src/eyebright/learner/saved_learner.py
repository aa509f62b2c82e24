"""`load_learner`, and predictions in the order of the fastai book: (decoded, decision, probabilities)."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from eyebright.errors import ImageError
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Prediction, Predictor
from eyebright.types import Vocab


class PredictionTuple(NamedTuple):
    """The prediction for one image, in the order of the fastai book.

    Args:
        decoded: the predicted label, labels, points or numbers.
        decision: the prediction as a target tensor.
        activated: the probability of each class; for points and numbers the predicted values.
    """

    decoded: Any
    decision: Tensor
    activated: Tensor


def predict_one(predictor: Predictor, item: Any) -> PredictionTuple:
    """The predictor's prediction for one image.

    Raises:
        ImageError: the image cannot be read.
        InputError: ``item`` is not an image.
    """
    predictions = predictor.predict([item])  # a list of images, given as one image, is an error
    for path, reason in predictions.skipped.items():
        raise ImageError(path, reason)
    prediction: Prediction = predictions[0]
    return PredictionTuple(prediction.decoded, predictor.target.encode(prediction.decoded), prediction.activated)


class SavedData(NamedTuple):
    """The data of a saved model, as far as they are saved: ``learn_inf.dls.vocab``, as in chapter 2 of the fastai book.

    Args:
        vocab: the names of the classes; None for points and numbers.
    """

    vocab: Vocab | None


class SavedLearner:
    """A saved model with the names of the fastai book; it predicts and cannot be trained.

    Args:
        predictor: the predictor; use it directly for many images.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.predictor.model

    @property
    def vocab(self) -> Vocab | None:
        """The names of the classes; None for points and numbers."""
        return self.predictor.vocab

    @property
    def dls(self) -> SavedData:
        """The saved properties of the model's data."""
        return SavedData(self.vocab)

    def predict(self, item: Any) -> PredictionTuple:
        """The prediction for one image: a path, bytes, an array, a tensor or a Pillow image.

        Raises:
            ImageError: the image cannot be read.
            InputError: ``item`` is not an image.
        """
        return predict_one(self.predictor, item)


def load_learner(fname: str | Path, cpu: bool = True) -> SavedLearner:  # noqa: FBT001  # fastai's signature
    """The model that `Learner.export` saved; unlike fastai's pickle, loading it runs no code.

    Args:
        fname: the folder.
        cpu: True to predict on the CPU; False to use a GPU if there is one.

    Raises:
        ArtifactError: the folder does not contain a complete model, or ``fname`` is a file that could run code.
    """
    return SavedLearner(load_predictor(fname, device="cpu" if cpu else None))
