"""Predicts with a saved model: images in, labels, points (in pixels of the user's image) or numbers out.

A predictor preprocesses an image exactly like a validation image and applies the saved calibration and thresholds.
Images that cannot be read are skipped and listed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright._defaults import BATCH_SIZE
from eyebright.errors import ArtifactError, ImageError, check_count, not_copied
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.image import Image
from eyebright.image.opencv_threads import one_opencv_thread
from eyebright.image.warp import Warp
from eyebright.inference.evaluate import ImageOutputs, evaluate_images
from eyebright.inference.heat_maps import HeatMap, HeatMapMethod, check_heat_maps, heat_maps_of_input
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import model_hash
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.inference.predictions import Prediction, Predictions, SkippedImage
from eyebright.inference.runtimes.base import Runtime
from eyebright.inference.runtimes.select import RuntimeOptions
from eyebright.inference.runtimes.torch_runtime import runner, runner_with_features
from eyebright.models.build import ImageModel
from eyebright.tasks.base import TargetBlock
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Thresholds, Vocab

_Answer = TypeVar("_Answer")

_PREFETCHED_BATCHES = 2  # batches that are read in advance while the model computes
_MAX_THREADS = 4  # that read images by default: more of them wait for each other's Python code, and all get slower


class _ModelInput(NamedTuple):
    """A preprocessed image, with the warp from the original image."""

    name: str
    pixels: np.ndarray[Any, np.dtype[Any]]
    warp: Warp
    note: str


class Predictor:
    """A saved model, loaded for prediction.

    Args:
        manifest: the description of the model.
        model: the model with its weights, or a function that loads it when it is first needed.
        device: the device of the model if no runtime is given, see `load_predictor`.
        ood: the out-of-distribution detector; None: predictions have no out-of-distribution score.
        runtime: the runtime that computes the outputs; None to use ``model``, unchanged.
        fast_decode: decode large JPEGs at a reduced scale: faster, but not exact, see `load_predictor`.
        pickled_as: a function that returns the result of ``__reduce__``: a function and its arguments that create the
            same predictor in another process; None: it cannot be pickled or copied.
    """

    def __init__(
        self,
        manifest: Manifest,
        model: ImageModel | Callable[[], ImageModel],
        *,
        device: str | torch.device | None = None,
        ood: OutOfDistribution | None = None,
        runtime: Runtime | None = None,
        fast_decode: bool = False,
        pickled_as: "Callable[[], _Pickled] | None" = None,
    ) -> None:
        self.manifest = manifest
        self.ood = ood
        self._model = model
        self._pickled_as = pickled_as
        self.runtime = runtime or self._unchanged_model(RuntimeOptions(device=device).torch_device)
        self._pipeline = Pipeline(
            manifest.preprocessing, saved_version=manifest.pixels_version, fast_decode=fast_decode
        )

    def __reduce__(self) -> "_Pickled":
        """The state for `pickle` and `copy`: the predictor is loaded again from its folder.

        Raises:
            InputError: the model was not loaded from a folder.
        """
        if self._pickled_as is None:
            raise not_copied(
                self,
                "its model is only in memory: save it with `save_model`, and pickle the result of `load_predictor`",
            )
        return self._pickled_as()

    def __repr__(self) -> str:
        return f"Predictor: {self.target.describe()}; {self.runtime}"

    @cached_property
    def model(self) -> ImageModel:
        """The saved network."""
        return self._model if isinstance(self._model, ImageModel) else self._model()

    def model_hash(self) -> str:
        """A hash of the model and its weights, as in `Evaluation.weights`."""
        return model_hash(self.manifest.model, self.model.state_dict())

    @property
    def target(self) -> TargetBlock:
        """The target block: the kind of prediction, its class names or points."""
        return self.manifest.target

    @property
    def vocab(self) -> Vocab | None:
        """The names of the classes; None for points and numbers."""
        return Vocab(self.target.label_names) if self.target.label_names else None

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds on the calibrated probabilities."""
        return self.manifest.decision.thresholds

    def predict(self, sources: Any, *, bs: int = BATCH_SIZE, workers: int | None = None) -> Predictions:
        """The predictions for the images that can be read, in the order of the images.

        Images that cannot be read are in `Predictions.skipped`, so prediction i is not always that of image i: use
        `Prediction.path`. For images in memory, ``skipped`` has the position: ``"<bytes> 3"`` is ``sources[3]``.

        All are returned at once; `stream` yields them as they are computed.

        Args:
            sources: one image, or a list of images, each a path, bytes, an array, a tensor or a Pillow image.
            bs: number of images in a batch.
            workers: number of threads that read images; None for `torch.get_num_threads`, at most 4.

        Raises:
            InputError: a source has another type, or a number is not a whole number of at least 1.
            ArtifactError: the outputs for an image are not finite.
        """
        predictions: list[Prediction] = []
        skipped: dict[str, str] = {}
        sources = sources if isinstance(sources, (list, tuple)) else [sources]
        for i, result in enumerate(self.stream(sources, bs=bs, workers=workers)):
            if isinstance(result, SkippedImage):
                name = result.path if isinstance(sources[i], (str, Path)) else f"{result.path} {i}"
                skipped[name] = result.reason
            else:
                predictions.append(result)
        return Predictions(predictions, skipped, self.target)

    def stream(
        self, sources: Iterable[Any], *, bs: int = BATCH_SIZE, workers: int | None = None
    ) -> Iterator[Prediction | SkippedImage]:
        """The predictions for images in their order, each batch as soon as it is computed.

        A batch that fails later does not affect the predictions that were yielded before. Images are read a few batches
        in advance, so ``sources`` may be an infinite iterator.

        Args:
            sources: images, each a path, bytes, an array, a tensor or a Pillow image.
            bs: number of images in a batch.
            workers: number of threads that read images; None for `torch.get_num_threads`, at most 4.

        Yields:
            The prediction for an image, or the reason why it could not be read.

        Raises:
            InputError: a source has another type, or a number is not a whole number of at least 1.
            ArtifactError: the outputs for an image are not finite.
        """
        return self._in_order(sources, bs, workers, self._predictions)

    def outputs(
        self, sources: Iterable[Any], *, bs: int = BATCH_SIZE, workers: int | None = None
    ) -> Iterator[ImageOutputs | SkippedImage]:
        """The outputs, in the user's units, from which `stream` computes predictions; same arguments and errors."""
        return self._in_order(sources, bs, workers, self._image_outputs)

    def evaluate(
        self,
        images: Sequence[Any],
        targets: Sequence[Any],
        *,
        groups: Sequence[str | None] = (),
        part: EvaluatedPart = "test",
        bs: int = BATCH_SIZE,
    ) -> Evaluation:
        """The model's outputs for labelled images with their targets, from which all scores are computed.

        Args:
            images: as in `predict`.
            targets: the target of each image: a list of labels (or a `LabelSet`), a class, points in pixels, or
                numbers.
            groups: the group of each image, such as a patient; None: the image has no group. Empty: no image has one.
            part: what the images are for, see `eyebright.types.Part`.
            bs: number of images in a batch.

        Raises:
            ImageError: an image cannot be read.
            DataError: the numbers of targets and images differ, or a target has a label that the model lacks.
            InputError: there is no image, or a source has another type.
        """
        evaluated = evaluate_images(self, images, targets, part=part, bs=bs)
        for path, reason in evaluated.skipped.items():
            raise ImageError(path, reason)
        return replace(evaluated.evaluation, groups=tuple(groups))

    def heat_maps(
        self, source: Any, labels: Sequence[str] | None = None, *, method: HeatMapMethod = "gradcam"
    ) -> list[HeatMap]:
        """The regions that raise the outputs for labels, in the pixels of the image itself, see `HeatMap`.

        They are computed by the saved network, in float32, whatever the runtime.

        Args:
            source: the image: a path, bytes, an array, a tensor or a Pillow image.
            labels: labels, classes or names of numbers; None for the predicted ones.
            method: ``"gradcam"``, ``"layercam"``, or ``"gradcam-finer"``, see `eyebright.inference.heat_maps`.

        Raises:
            ImageError: the image cannot be read.
            InputError: the model predicts points, or has no such label or no spatial feature map; or the method is
                unknown.
            ArtifactError: the outputs for the image are not finite.
        """
        check_heat_maps(self.target, labels or (), method)
        image = self._preprocess(source)
        if isinstance(image, ImageError):
            raise image
        if labels is None:
            (prediction,) = self._predictions([image])
            labels = self.target.labels(prediction.decoded) or (
                () if self.target.has_vocab else self.target.value_names
            )
        return heat_maps_of_input(self.model, self.target, image.pixels, image.warp, labels, method=method)

    def _unchanged_model(self, device: torch.device) -> Runtime:
        model = self.model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        with_features = runner_with_features(model, device)
        return Runtime("torch", "float32", "the model is used unchanged", runner(model, device), with_features)

    def _in_order(
        self,
        sources: Iterable[Any],
        bs: int,
        workers: int | None,
        answer: Callable[[list[_ModelInput]], Iterator[_Answer]],
    ) -> Iterator[_Answer | SkippedImage]:
        """What ``answer`` makes of each batch, and the images that could not be read, in the order of the images."""
        for results in self._batches(sources, bs, workers):
            batch = [result for result in results if isinstance(result, _ModelInput)]
            answers = answer(batch) if batch else iter(())
            for result in results:
                yield SkippedImage(result.path, result.reason) if isinstance(result, ImageError) else next(answers)

    def _batches(
        self, sources: Iterable[Any], bs: int, workers: int | None
    ) -> Iterator[list[_ModelInput | ImageError]]:
        """Batches of preprocessed images, or of the errors in their place; read in the background."""
        for name, value in (("bs", bs), ("workers", 1 if workers is None else workers)):
            check_count(name, value)
        if isinstance(sources, (list, tuple)) and len(sources) == 1:  # threads are not worth starting
            yield [self._preprocess(sources[0])]
            return
        # Images of different sizes cannot be in one batch.
        batch_size = 1 if self._pipeline.size is None else bs
        pending: deque[list[Future[_ModelInput | ImageError]]] = deque()
        pool = ThreadPoolExecutor(workers or min(torch.get_num_threads(), _MAX_THREADS), "eyebright-predict")
        remaining = iter(sources)
        with one_opencv_thread():
            try:
                while batch := list(islice(remaining, batch_size)):
                    pending.append([pool.submit(self._preprocess, source) for source in batch])
                    if len(pending) * batch_size > _PREFETCHED_BATCHES * bs:
                        yield [future.result() for future in pending.popleft()]
                while pending:
                    yield [future.result() for future in pending.popleft()]
            finally:
                pool.shutdown(cancel_futures=True)

    def _preprocess(self, source: Any) -> _ModelInput | ImageError:
        """The preprocessed image, or the error if it cannot be read."""
        try:
            image = Image.create(source)
            drawn = self._pipeline.draw(image, None)  # without a generator nothing is augmented
            preprocessed = self._pipeline.preprocess(drawn)
            notes = image.notes_with_range()
        except ImageError as error:
            return error
        name = str(source) if isinstance(source, (str, Path)) else image.path or "image"
        return _ModelInput(name, preprocessed.pixels, preprocessed.warp, "; ".join(notes))

    def _predictions(self, batch: list[_ModelInput]) -> Iterator[Prediction]:
        """The predictions for a batch; an error comes after those for the images before."""
        decision = self.manifest.decision
        outputs, scores = self._outputs_and_scores(batch)
        activated = decision.activate(outputs)
        for image, output, row, score in zip(batch, outputs, activated, scores, strict=True):
            if not bool(output.isfinite().all() and row.isfinite().all()):
                raise ArtifactError(self._not_finite_message(image.name))
            decoded = decision.decode(row)
            yield Prediction(
                image.name,
                decoded,
                row,
                image.note,
                decision.abstained_labels(row),
                score,
                decision.prediction_set(row),
            )

    def _image_outputs(self, batch: list[_ModelInput]) -> Iterator[ImageOutputs]:
        return (ImageOutputs(row, image.warp) for row, image in zip(self._outputs(batch), batch, strict=True))

    def _outputs(self, batch: list[_ModelInput]) -> Float[Tensor, "b k"]:
        """The outputs of the network for a batch, in the user's units."""
        outputs = self.runtime.run(np.stack([image.pixels for image in batch]))
        return self.target.to_user_units(outputs, [image.warp for image in batch])

    def _outputs_and_scores(self, batch: list[_ModelInput]) -> tuple[Float[Tensor, "b k"], list[float | None]]:
        """The outputs of a batch, and its out-of-distribution scores from the same forward pass."""
        run = self.runtime.run_with_features
        if self.ood is None or run is None:
            return self._outputs(batch), [None] * len(batch)
        outputs, features = run(np.stack([image.pixels for image in batch]))
        scores = self.ood.scores(features, outputs).tolist()
        return self.target.to_user_units(outputs, [image.warp for image in batch]), list(scores)

    def _not_finite_message(self, name: str) -> str:
        reason = (
            "the weights or the calibration of the model are too large: train again with a lower learning rate"
            if self.runtime.precision == "float32"
            else f"precision='{self.runtime.precision}' is too narrow for this model: use precision='float32'"
        )
        return f"the outputs of the model for the image '{name}' are NaN or infinite; {reason}"


_Pickled = tuple[Callable[..., Predictor], tuple[Any, ...]]
