"""Files in, decoded answers in the user's own pixels out, with neither the data nor the training code.

A predictor sees an image exactly as a validation image was seen, decides with the thresholds that were saved, and
keeps going past images that it cannot read: it lists them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._defaults import BATCH_SIZE, PREDICTION_PRECISION
from eyebright.errors import ArtifactError, ImageError, InputError
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.inference.manifest import Manifest, fingerprint, load_model
from eyebright.inference.runtimes.base import Precision, Runtime
from eyebright.inference.runtimes.onnx_export import export_onnx
from eyebright.inference.runtimes.select import Name, Saved, Wish, choose_runtime
from eyebright.inference.runtimes.torch_runtime import runner
from eyebright.io.atomic import write_atomically
from eyebright.models.build import ImageModel, build_model
from eyebright.tasks.base import NO_LABEL, TargetBlock
from eyebright.transforms.draw import output_size
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Thresholds, Vocab

GRAPH = "model.onnx"  # in a model folder, when `save_onnx` was asked for it
_AHEAD = 2  # batches that are read while the model works on another


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Args:
        path: of the image, or what was given instead.
        answer: a label, a `LabelSet`, points in the image's own pixels, or numbers.
        scores: calibrated probabilities, one for each class; or points (n, 2) or numbers.
    """

    path: str
    answer: Any
    scores: Float[Tensor, "..."]


class Predictions(Sequence[Prediction]):
    """The answers for many images, in the order in which the images were given.

    Args:
        found: one for each image that could be read.
        skipped: path to reason, for each that could not.
        target: the target block that worded them.
    """

    def __init__(self, found: list[Prediction], skipped: dict[str, str], target: TargetBlock) -> None:
        self._found = found
        self.skipped = skipped
        self.target = target

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, i: Any) -> Any:
        return self._found[i]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._found)

    def __repr__(self) -> str:
        lines = [self.line(one) for one in self._found[:20]]
        more = [f"... ({len(self)} in all)"] if len(self) > 20 else []
        return "\n".join([*lines, *more, *(f"{path}: skipped, {reason}" for path, reason in self.skipped.items())])

    def line(self, one: Prediction) -> str:
        """One prediction as a person reads it: the path, and the labels or numbers."""
        return f"{one.path}: {self.target.text(one.answer) or NO_LABEL}"

    def to_frame(self) -> pd.DataFrame:
        """One row an image: path, then what the kind of answer has.

        That is the labels with a probability column for each; x and y of each point; or the numbers.
        """
        rows = [(one.path, *self.target.table_row(one.answer, one.scores)) for one in self._found]
        return pd.DataFrame(rows, columns=["path", *self.target.table_columns])

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary an image: its path, then the answer as `TargetBlock.answer_json` gives it."""
        return [{"path": one.path, **self.target.answer_json(one.answer, one.scores)} for one in self._found]


class _Preprocessed(NamedTuple):
    name: str
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    warp: Warp


class Predictor:
    """A model that was saved, ready to answer.

    Args:
        manifest: what the model is.
        model: it, with its weights; or what builds it, in case somebody asks for it.
        device: where it runs, if no runtime is given.
        runtime: what computes its outputs; None: the model itself, as it is.
    """

    def __init__(
        self,
        manifest: Manifest,
        model: ImageModel | Callable[[], ImageModel],
        *,
        device: str | torch.device | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.manifest = manifest
        self._given = model
        self.runtime = runtime or self._as_it_is(Wish(device=device).place)
        self._pipeline = Pipeline(tuple(manifest.preprocessing))

    def __repr__(self) -> str:
        return f"Predictor: {self.target.describe()}; {self.runtime}"

    @cached_property
    def model(self) -> ImageModel:
        """The network, as it was saved."""
        return self._given if isinstance(self._given, ImageModel) else self._given()

    @property
    def target(self) -> TargetBlock:
        """What the model answers."""
        return self.manifest.target

    @property
    def vocab(self) -> Vocab | None:
        """The names of the classes, where there are some."""
        return Vocab(self.target.label_names) if self.target.label_names else None

    @property
    def thresholds(self) -> Thresholds:
        """From probabilities to decisions."""
        return self.manifest.decision.thresholds

    def predict(self, sources: Any, *, bs: int = BATCH_SIZE, workers: int | None = None) -> Predictions:
        """The answers for images.

        Args:
            sources: one image or several, each a path, bytes, an array, a tensor or a Pillow image.
            bs: images in a batch.
            workers: threads that read; None: as many as torch uses.
        """
        several = list(sources) if isinstance(sources, (list, tuple)) else [sources]
        found: list[Prediction] = []
        skipped: dict[str, str] = {}
        for seen in self._batches(several, bs, workers or torch.get_num_threads()):
            skipped.update((one.path, one.reason) for one in seen if isinstance(one, ImageError))
            batch = [one for one in seen if isinstance(one, _Preprocessed)]
            found += self._predictions(batch) if batch else []
        return Predictions(found, skipped, self.target)

    def _as_it_is(self, device: torch.device) -> Runtime:
        model = self.model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return Runtime("torch", "float32", "the model itself", runner(model, device))

    def _batches(self, sources: list[Any], bs: int, workers: int) -> Iterator[list[_Preprocessed | ImageError]]:
        """Images as the model sees them, read while it works on those before."""
        if len(sources) == 1:  # no thread could help
            yield [self._preprocess(sources[0])]
            return
        # Images share a batch only where they come out at one size.
        step = bs if self._pipeline.size is not None else 1
        pending: deque[list[Future[_Preprocessed | ImageError]]] = deque()
        pool = ThreadPoolExecutor(workers, "eyebright-predict")
        try:
            for i in range(0, len(sources), step):
                pending.append([pool.submit(self._preprocess, source) for source in sources[i : i + step]])
                if len(pending) * step > _AHEAD * bs:
                    yield [future.result() for future in pending.popleft()]
            while pending:
                yield [future.result() for future in pending.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)

    def _preprocess(self, source: Any) -> _Preprocessed | ImageError:
        try:
            image = Image.create(source)
            preprocessed = self._pipeline.preprocess(self._pipeline.draw(image, None))
        except ImageError as error:
            return error
        name = str(source) if isinstance(source, (str, Path)) else image.path or "image"
        return _Preprocessed(name, preprocessed.pixels, preprocessed.warp)

    def _predictions(self, batch: list[_Preprocessed]) -> list[Prediction]:
        decision = self.manifest.decision
        outputs = self.runtime.run(np.stack([one.pixels for one in batch]))
        scores = decision.scores(self.target.own_units(outputs, [one.warp for one in batch]))
        return [Prediction(one.name, decision.answer(row), row) for one, row in zip(batch, scores, strict=True)]


def load_predictor(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    runtime: Name = "auto",
    precision: Precision = PREDICTION_PRECISION,
    threads: int | None = None,
) -> Predictor:
    """The predictor of a model folder; nothing in the folder is run.

    Args:
        folder: what was saved.
        device: where the model runs; None: on a CUDA GPU where there is one.
        runtime: ``"torch"``, ``"onnx"`` (exactly the same numbers up to rounding; exported first, which takes about ten
            seconds, unless `save_onnx` has done it), or ``"auto"``: ONNX Runtime where `save_onnx` has found it faster,
            else torch.
        precision: of the network's body. ``"bfloat16"`` is faster than ``"float32"`` on some machines and costs
            accuracy: on 200 photographs probabilities moved by .006 on average and .09 at most, and 5 answers changed.
        threads: processors that a batch may use; None: as many as torch does.

    Raises:
        ArtifactError: there is no whole model of a schema that this version reads.
        InputError: there is no such runtime or precision, or they do not go together.
        MissingExtraError: ONNX Runtime was asked for and is not installed.
    """
    wish = Wish(runtime, precision, device, threads)
    folder = Path(folder)
    manifest, state = load_model(folder)

    def model() -> ImageModel:
        return _built(folder, manifest, state)

    saved = Saved(
        folder / GRAPH, output_size(manifest.preprocessing), model, lambda: fingerprint(manifest.model, state)
    )
    return Predictor(manifest, model, runtime=choose_runtime(saved, wish))


def save_onnx(folder: str | Path) -> Path:
    """The ONNX graph that now lies in a model folder, where `load_predictor` finds it.

    It takes the bytes of images (``images``: uint8, batch x height x width x 3), brought to the model's size and
    not normalised, and gives the model's outputs before the activation (``outputs``). Any ONNX runtime can use it.

    Raises:
        ArtifactError: there is no whole model, torch cannot export it, or the disk is full.
        InputError: the model takes images of many sizes.
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
    """
    folder = Path(folder)
    manifest, state = load_model(folder)
    size = output_size(manifest.preprocessing)
    if size is None:
        raise InputError(f"an ONNX graph is for images of one size, and the view in '{folder}' gives them many")
    graph = export_onnx(_built(folder, manifest, state), size, fingerprint=fingerprint(manifest.model, state))
    try:
        write_atomically(folder / GRAPH, lambda path: path.write_bytes(graph))
    except OSError as error:
        raise ArtifactError(f"cannot save '{folder / GRAPH}': {error.strerror or error}") from None
    return folder / GRAPH


def _built(folder: Path, manifest: Manifest, state: dict[str, Tensor]) -> ImageModel:
    model = build_model(manifest.model, pretrained=False, init=None)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(
            f"the weights in '{folder}' do not fit its manifest: {str(error).splitlines()[-1].strip()}"
        ) from None
    return model.eval()
