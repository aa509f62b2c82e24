"""The parity check: the answers of exported graphs in ONNX Runtime against those of Python, image by image.

Each image is decoded once by Eyebright; what is compared is all that comes after: resize, network, calibration,
decision, out-of-distribution score. An answer near its threshold may differ, since float32 sums in another order differ
in their last digits: how many are so near is stated. The others must be the same.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from eyebright.errors import ArtifactError, ImageError, count_text, first_line
from eyebright.export.answers_graph import ANSWERS
from eyebright.export.heat_map_graph import HEAT_MAPS
from eyebright.export.out_of_distribution_graph import FLAG, SCORE
from eyebright.export.pixels_graph import Steps
from eyebright.export.preprocess import preprocess, to_image
from eyebright.image.image import Image
from eyebright.inference.out_of_distribution import THRESHOLD
from eyebright.inference.predictions import SkippedImage
from eyebright.inference.predictor import Predictor
from eyebright.inference.runtimes.onnx_runtime import create_session
from eyebright.tasks.decision import Decision

LIMIT = 1e-4
"""The largest difference that a float32 graph may have; for probabilities, in probability."""

_COMPARED_MAPS = 20  # labels whose heat maps are compared

Numbers = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Numbers], dict[str, Numbers]]
"""From one uint8 image, height x width x 3, to the outputs for it by their names, the answer first."""
Batch = Callable[[Numbers], dict[str, Numbers]]
"""From the input of a graph, uint8 images or float32 pixels in a batch, to its outputs by their names, in its order."""


@dataclass(frozen=True)
class OodParity:
    """The differences of the out-of-distribution scores of a graph from Python's.

    Args:
        difference: the largest difference of a score, in units of the score or, where it is above 1, as its share.
        near: images whose score is nearer to the threshold than `LIMIT`.
        changed: the number of images that are out of distribution for only one of both, including the near ones.
        changed_far: those that are not near.
    """

    difference: float = 0.0
    near: int = 0
    changed: int = 0
    changed_far: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether a float32 graph is as near to Python as it must be."""
        return self.difference <= LIMIT and not self.changed_far

    def with_image(self, score: float, found: float, *, is_above: bool) -> "OodParity":
        """The parity with one more image.

        Args:
            score: Python's.
            found: the graph's.
            is_above: whether the image is out of distribution for the graph.
        """
        apart = abs(found - score) / max(1.0, abs(score))
        differs, is_near = (score > THRESHOLD) != is_above, abs(score - THRESHOLD) <= LIMIT
        return OodParity(
            max(self.difference, float(np.nan_to_num(apart, nan=np.inf))),
            self.near + is_near,
            self.changed + differs,
            self.changed_far + (differs and not is_near),
        )


@dataclass(frozen=True)
class Parity:
    """The differences of the answers of a graph from Python's.

    Args:
        images: the number of compared images, files and synthetic ones.
        made: those that were made: 1x1, 5000x17, 12 megapixels, EXIF, grey, CMYK.
        difference: the largest difference of a probability, or of a point or number in ``measured_in``.
        measured_in: the unit of the difference, in words.
        answers: decisions that were compared; 0 for points and numbers.
        near: those that are nearer to their threshold than `LIMIT`.
        changed: decisions that differ, the near ones among them.
        changed_far: decisions that differ and are not near.
        ood: the parity of the out-of-distribution score; None for a model without it.
    """

    images: int = 0
    made: int = 0
    difference: float = 0.0
    measured_in: str = ""
    answers: int = 0
    near: int = 0
    changed: int = 0
    changed_far: int = 0
    ood: OodParity | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a float32 graph is as near to Python as it must be."""
        return self.difference <= LIMIT and not self.changed_far and (self.ood is None or self.ood.is_kept)

    @property
    def sentence(self) -> str:
        """The result for people."""
        text = f"{count_text(self.images, 'image')} ({self.made} of them made): "
        text += f"largest difference {self.difference:.2g} {self.measured_in}"
        if self.answers:
            text += (
                f"; {self.changed_far:,} of {self.answers:,} decisions changed; {self.near:,} nearer than {LIMIT:g} to "
                f"a threshold, {self.changed - self.changed_far:,} of them changed"
            )
        return f"{text}; {self.ood_sentence}" if self.ood is not None else text

    @property
    def ood_sentence(self) -> str:
        """The parity of the out-of-distribution score, as text; empty for a model without it."""
        if self.ood is None:
            return ""
        changed = f"{self.ood.changed:,} of {self.images:,} images with another `ood`"
        return f"out-of-distribution score: largest difference {self.ood.difference:.2g}, {changed}"

    def to_json(self) -> dict[str, Any]:
        """All numbers."""
        return asdict(self)


class Answer(NamedTuple):
    """Python's answer for one image, as the outputs of a graph have it.

    Args:
        source: a path or the bytes of a file.
        first: probabilities, points or numbers.
        decisions: the other outputs, as integers: the decisions, and where one class can ask a person a row with that;
            None for points and numbers.
        ood_score: the out-of-distribution score; None for a model without it.
    """

    source: Any
    first: Numbers
    decisions: Numbers | None
    ood_score: float | None = None


@dataclass
class Comparison:
    """Compares the answers of one graph with those of Python, one image at a time."""

    decision: Decision
    run: Run
    result: Parity = field(default_factory=Parity)

    def add(self, image: Numbers, answer: Answer) -> None:
        """Compares the answers for one image.

        Args:
            image: uint8, height x width x 3.
            answer: Python's.
        """
        kind = ANSWERS[self.decision.target.name]
        outputs = self.run(image)
        unit = kind.unit(self.decision.target, np.array([image.shape[:2]], dtype=np.float64))
        first = next(iter(outputs.values()))
        apart = np.abs(first.astype(np.float64) - answer.first[None]) / unit
        before = self.result
        self.result = replace(
            before,
            images=before.images + 1,
            made=before.made + isinstance(answer.source, bytes),
            difference=max(before.difference, float(np.nan_to_num(apart, nan=np.inf).max())),
            measured_in=kind.measured_in,
        )
        if answer.ood_score is not None:
            scored = (before.ood or OodParity()).with_image(
                answer.ood_score, float(outputs[SCORE][0]), is_above=bool(outputs[FLAG][0])
            )
            self.result = replace(self.result, ood=scored)
        if kind.margins is None or answer.decisions is None:
            return
        is_near = kind.margins(answer.first[None], self.decision) <= LIMIT
        differs = (
            np.stack([outputs[name][0] for name in ("decisions", "asks") if name in outputs]) != answer.decisions
        ).any(axis=0)[None]
        self.result = replace(
            self.result,
            answers=before.answers + differs.size,
            near=before.near + int(is_near.sum()),
            changed=before.changed + int(differs.sum()),
            changed_far=before.changed_far + int((differs & ~is_near).sum()),
        )


def answers_of(predictor: Predictor, sources: Iterable[Any]) -> Iterator[Answer]:
    """Python's answers; images that cannot be read are left out.

    Args:
        predictor: the predictor of the saved model.
        sources: paths, or bytes of files.
    """
    target, decides = predictor.target, ANSWERS[predictor.target.name].margins is not None
    sources = list(sources)
    for source, prediction in zip(sources, predictor.stream(sources), strict=True):
        if isinstance(prediction, SkippedImage):
            continue
        decisions = None
        if decides:
            encoded = np.nan_to_num(target.encode(prediction.decoded).numpy(), nan=-1)  # NaN: a person is asked
            asks = [] if target.has_thresholds or prediction.ask is None else [np.array(bool(prediction.ask))]
            decisions = np.stack([encoded, *asks]).astype(np.int64)
        yield Answer(source, prediction.activated.numpy(), decisions, prediction.ood_score)


def compare(predictor: Predictor, runs: dict[str, Run], sources: Sequence[Any]) -> dict[str, Parity]:
    """The parity of each graph by its name.

    Args:
        predictor: the predictor of the saved model.
        runs: computes the outputs of each graph.
        sources: paths, or bytes of files.
    """
    comparisons = {name: Comparison(predictor.manifest.decision, run) for name, run in runs.items()}
    for answer in answers_of(predictor, sources):
        try:
            image = Image.create(answer.source).pixels()
        except ImageError:  # removed in the meantime
            continue
        for comparison in comparisons.values():
            comparison.add(image, answer)
    return {name: comparison.result for name, comparison in comparisons.items()}


def checked_parity(predictor: Predictor, runs: dict[str, Run], paths: Sequence[str]) -> dict[str, Parity]:
    """The parity of each graph by its name, on image files and synthetic images.

    Args:
        predictor: the predictor of the saved model.
        runs: computes the outputs of each graph.
        paths: the paths of images.

    Raises:
        ArtifactError: a graph answers otherwise than Python.
    """
    parity = compare(predictor, runs, [*paths, *made_images()])
    for name, result in parity.items():
        if not result.is_kept:
            raise ArtifactError(f"nothing is written: {name} does not answer as Python does: {result.sentence}")
    return parity


def onnx_batch(graph: bytes) -> Batch:
    """Runs a graph in ONNX Runtime.

    Raises:
        ArtifactError: ONNX Runtime cannot load it.
    """
    session = _session(graph)
    [given], names = session.get_inputs(), [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(None, {given.name: batch}), strict=True))


def whole_run(graph: bytes) -> Run:
    """Runs a graph in ONNX Runtime that takes uint8 images of any size.

    Raises:
        ArtifactError: ONNX Runtime cannot load it.
    """
    return one_image(onnx_batch(graph))


def one_image(batch: Batch) -> Run:
    """Runs one uint8 image of any size as a batch."""
    return lambda image: batch(image[None])


def fixed_run(graph: bytes, steps: Steps, *, has_points: bool) -> Run:
    """Runs a graph in ONNX Runtime that takes float pixels of the model's size, behind the reference preprocessing.

    Args:
        graph: the result of `fixed_graph`.
        steps: the steps of the preprocessing.
        has_points: its first output are points, in pixels of the model's size.

    Raises:
        ArtifactError: ONNX Runtime cannot load it.
    """
    return preprocessed(onnx_batch(graph), steps, has_points=has_points)


def preprocessed(batch: Batch, steps: Steps, *, has_points: bool) -> Run:
    """Runs the reference preprocessing before a graph.

    Args:
        batch: takes float32 pixels of the model's size.
        steps: the steps of the preprocessing.
        has_points: its first output are points, in pixels of the model's size.
    """
    data = steps.to_json()

    def run(image: Numbers) -> dict[str, Numbers]:
        pixels, places = preprocess(image, data)
        outputs = batch(pixels[None])
        if has_points:
            name, points = next(iter(outputs.items()))
            outputs[name] = to_image(points, places)
        return outputs

    return run


def check_batches(batch: Batch) -> None:
    """Raises `ArtifactError` unless two images in a batch have the same answers as in batches of one.

    Args:
        batch: takes uint8 images of any size.
    """
    images = np.random.default_rng(0).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8)
    together, *each = [list(batch(given).values()) for given in (images, images[:1], images[1:])]
    for numbers, *parts in zip(together, *each, strict=True):
        if numbers.dtype != np.float32:
            continue
        both = np.concatenate(parts)
        scale = max(1.0, float(np.abs(both).max()))
        if not np.abs(numbers - both).max() <= LIMIT * scale:
            raise ArtifactError(
                "the exported graph gives other answers for two images in a batch than in batches of one"
            )


def compare_heat_maps(graph: bytes, predictor: Predictor) -> None:
    """Raises `ArtifactError` unless the heat maps of a graph are those of Python's Grad-CAM, for an image and labels.

    Args:
        graph: the result of `whole_graph`, with heat maps.
        predictor: the predictor of the saved model.
    """
    names = list(predictor.target.output_names)[:_COMPARED_MAPS]
    image = np.asarray(_smooth_noise(640, 427))
    found = whole_run(graph)(image)[HEAT_MAPS][0]
    expected = np.stack([heat_map.cells for heat_map in predictor.heat_maps(image, names)])
    if found.shape[1:] == expected.shape[1:]:
        apart = np.abs(found[: len(names)] - expected).max() / max(float(expected.max()), 1e-12)
        if apart <= LIMIT:
            return
    raise ArtifactError("the heat maps of the exported graph are not those of Python")


def _session(graph: bytes) -> Any:
    try:
        return create_session(graph)
    except Exception as error:  # onnxruntime has no common base class for its exceptions
        raise ArtifactError(f"ONNX Runtime cannot load the exported graph: {first_line(error)}") from None


def existing(paths: Sequence[Path], most: int) -> list[str]:
    """At most so many of the paths that are files, evenly spread.

    Args:
        paths: the paths of images.
        most: their largest number.
    """
    found = [str(path) for path in paths if path.is_file()]
    step = max(len(found) / max(most, 1), 1)
    return [found[int(i * step)] for i in range(min(len(found), most))]


def made_images() -> list[bytes]:
    """Files of images that are unusual: 1x1, 5000x17, 12 megapixels, turned by EXIF, grey and CMYK."""
    turned = PIL.Image.Exif()
    turned[0x0112] = 6  # the orientation: stored on its side
    return [
        _file(_smooth_noise(1, 1), "PNG"),
        _file(_smooth_noise(5000, 17), "PNG"),
        _file(_smooth_noise(17, 5000), "PNG"),
        _file(_smooth_noise(4000, 3000), "JPEG"),
        _file(_smooth_noise(640, 427), "JPEG", exif=turned),
        _file(_smooth_noise(300, 400).convert("L"), "PNG"),
        _file(_smooth_noise(300, 400).convert("CMYK"), "JPEG"),
    ]


def _smooth_noise(width: int, height: int) -> PIL.Image.Image:
    """Smooth coloured noise, the same on every call."""
    noise = np.random.default_rng(width * height).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((width, height), PIL.Image.Resampling.BICUBIC)


def _file(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
