"""Networks of a lower precision: float16, and INT8 with static quantisation by ONNX Runtime; and what they cost.

A narrower network answers otherwise. How often, and what that costs in the main score, is measured on validation images
and stated; the images whose activations give the ranges of INT8 are never among them.
"""

import logging
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, ImageError, first_line
from eyebright.evaluation.evaluation import Evaluation
from eyebright.export.model_graph import PIXELS
from eyebright.export.parity import Numbers, Parity, Run, compare, whole_run
from eyebright.image.canonical import canonical_pixels
from eyebright.image.image import Image
from eyebright.inference.predictor import Predictor
from eyebright.transforms.draw import canonical_placement_of

_N_TIMED_IMAGES = 20  # images

_OPERATORS = ("Conv", "Gemm", "MatMul")
"""The operators that are quantised: they take almost all of the time and hold almost all of the weights."""


def to_float16(network: Any) -> Any:
    """The network with float16 weights and activations; its input and outputs stay float32.

    Args:
        network: the result of `eyebright.export.model_graph.network_graph`; it is not changed.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: it cannot be converted.
    """
    float16: Any = import_optional("onnxruntime.transformers.float16", extra="onnx", purpose="exporting float16")
    try:
        return float16.convert_float_to_float16(_copy(network), keep_io_types=True)
    except Exception as error:  # the converter passes on any exception
        raise ArtifactError(f"the network cannot be converted to float16: {first_line(error)}") from None


def to_int8(network: Any, predictor: Predictor, paths: Sequence[str]) -> Any:
    """The network with INT8 weights, for each channel its own scale, and activations whose ranges images give.

    Args:
        network: the result of `eyebright.export.model_graph.network_graph`; it is not changed.
        predictor: knows the preprocessing.
        paths: images whose activations give the ranges; none that the network is measured on.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: no image can be read, or it cannot be quantised.
    """
    quantization: Any = import_optional("onnxruntime.quantization", extra="onnx", purpose="exporting INT8")
    onnx: Any = import_optional("onnx", extra="onnx", purpose="exporting INT8")
    reader = _Reader(_pixels(predictor, paths))
    with tempfile.TemporaryDirectory() as folder:
        float_path, int8_path = (Path(folder) / f"{name}.onnx" for name in ("given", "made"))
        onnx.save(network, float_path)
        try:
            with _without_warnings():
                quantization.quantize_static(
                    str(float_path),
                    str(int8_path),
                    reader,
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    op_types_to_quantize=list(_OPERATORS),
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                    calibrate_method=quantization.CalibrationMethod.MinMax,
                )
            quantised = onnx.load(int8_path)
        except Exception as error:  # ONNX Runtime has no base class for its exceptions
            if not reader.n_read:
                raise ArtifactError("none of the images that INT8 is calibrated on can be read") from None
            raise ArtifactError(f"the network cannot be quantised: {first_line(error)}") from None
    return quantised


@contextmanager
def _without_warnings() -> Generator[None, None, None]:
    """A context manager without the warnings that ONNX Runtime logs: batch norms are fused already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Reader:
    """Gives pixels one image after the other, as `quantize_static` asks for them."""

    def __init__(self, pixels: Iterator[Numbers]) -> None:
        self._pixels = pixels
        self.n_read = 0

    def get_next(self) -> dict[str, Numbers] | None:
        """The inputs of the network for the next image; None after the last one."""
        pixels = next(self._pixels, None)
        self.n_read += pixels is not None
        return None if pixels is None else {PIXELS: pixels}

    def __iter__(self) -> "_Reader":
        return self

    def __next__(self) -> dict[str, Numbers]:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found

    def set_range(self, start_index: int, end_index: int) -> None:
        """The images are read one by one, whatever the range."""


def _pixels(predictor: Predictor, paths: Sequence[str]) -> Iterator[Numbers]:
    """The input of the network for each image that can be read: float32, 1 x 3 x height x width."""
    for path in paths:
        try:
            image = Image.create(path)
            placement = canonical_placement_of(predictor.manifest.preprocessing, image.shape)
            assert placement is not None  # the model has canonical pixels
            pixels = canonical_pixels(image.decoded(), placement)
        except ImageError:
            continue
        yield np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


@dataclass(frozen=True)
class Cost:
    """The cost of a lower precision, on validation images.

    Args:
        parity: how far its answers are from those of Python in float32.
        metric: the main metric of the kind.
        score: its value; None without validation images.
        float32_score: its value in float32.
        bytes: the size of the graph.
        float32_bytes: the size in float32.
        milliseconds: the time for a batch of one image, including resizing, on this machine.
        float32_milliseconds: the same in float32.
    """

    parity: Parity
    metric: str
    score: float | None
    float32_score: float | None
    bytes: int
    float32_bytes: int
    milliseconds: float | None
    float32_milliseconds: float | None

    def to_json(self) -> dict[str, Any]:
        """All numbers."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The cost for people."""
        size = f"{self.bytes / 1e6:.3g} MB (float32: {self.float32_bytes / 1e6:.3g} MB)"
        if self.score is None or self.float32_score is None:
            return f"{size}; its answers are not measured, since there are no validation images"
        changed = (
            f"; {self.parity.changed:,} of {self.parity.answers:,} decisions changed" if self.parity.answers else ""
        )
        ood = f"; {self.parity.ood_sentence}" if self.parity.ood is not None else ""
        return (
            f"{self.metric} {self.score:.4f} (float32: {self.float32_score:.4f}) on {self.parity.images:,} validation "
            f"images{changed}; largest difference {self.parity.difference:.2g} {self.parity.measured_in}{ood}; {size}; "
            f"{self.milliseconds:.3g} ms an image (float32: {self.float32_milliseconds:.3g} ms)"
        )


def measure_cost(
    predictor: Predictor,
    evaluation: Evaluation | None,
    paths: Sequence[str],
    graphs: tuple[bytes, bytes],
) -> Cost:
    """Measures the cost of a lower precision.

    Args:
        predictor: the predictor of the saved model.
        evaluation: the evaluation on the validation images, with their targets.
        paths: those of them that are measured.
        graphs: that of float32, and the other.

    Raises:
        ArtifactError: ONNX Runtime cannot load a graph, or the narrower one gives numbers that are not finite.
    """
    sizes, runs = (len(graphs[0]), len(graphs[1])), (whole_run(graphs[0]), whole_run(graphs[1]))
    metric = predictor.target.metrics()[0]
    paths = [path for path in paths if _is_readable(path)]
    if evaluation is None or not paths:
        return Cost(Parity(), metric.name, None, None, sizes[1], sizes[0], None, None)
    recorded: tuple[list[dict[str, Numbers]], list[dict[str, Numbers]]] = ([], [])
    wrapped = {str(i): _recording(run, kept) for i, (run, kept) in enumerate(zip(runs, recorded, strict=True))}
    parity = compare(predictor, wrapped, paths)["1"]
    wrong = sum(not np.isfinite(_first(outputs)).all() for outputs in recorded[1])
    if wrong:
        raise ArtifactError(
            f"nothing is written: for {wrong:,} of {len(paths):,} validation images the answers in this precision are "
            "not finite, since numbers of the network are beyond its range; use `precision='float32'`"
        )
    places = {str(path): row for row, path in enumerate(evaluation.paths)}
    targets = evaluation.take([places[path] for path in paths]).targets
    scores = [_score(predictor, outputs, targets) for outputs in recorded]
    times = _milliseconds(runs, paths[:_N_TIMED_IMAGES])
    return Cost(parity, metric.name, scores[1], scores[0], sizes[1], sizes[0], times[1], times[0])


def _is_readable(path: str) -> bool:
    try:
        Image.create(path).pixels()
    except ImageError:
        return False
    return True


def _recording(run: Run, kept: list[dict[str, Numbers]]) -> Run:
    """The run, which keeps what it gave."""

    def recorded(image: Numbers) -> dict[str, Numbers]:
        outputs = run(image)
        kept.append(outputs)
        return outputs

    return recorded


def _first(outputs: Mapping[str, Numbers]) -> Numbers:
    """Probabilities, points or numbers."""
    return next(iter(outputs.values()))


def _score(predictor: Predictor, outputs: Sequence[Mapping[str, Numbers]], targets: torch.Tensor) -> float:
    """The main metric; one that takes logits has the same order of probabilities."""
    metric = predictor.target.metrics()[0]
    given = [output["decisions"] if metric.takes == "decisions" else _first(output) for output in outputs]
    return metric(torch.from_numpy(np.concatenate(given)), targets)


def _milliseconds(runs: tuple[Run, Run], paths: Sequence[str]) -> tuple[float, float]:
    """The median time of a batch of one image in each graph, measured alternately."""
    spent: tuple[list[float], list[float]] = ([], [])
    for path in paths:
        image = Image.create(path).pixels()
        for run, times in zip(runs, spent, strict=True):
            started = time.perf_counter()
            run(image)
            times.append(1000 * (time.perf_counter() - started))
    first, second = map(median, spent)
    return first, second


def _copy(network: Any) -> Any:
    copied = type(network)()
    copied.CopyFrom(network)
    return copied
