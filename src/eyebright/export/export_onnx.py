"""Exports a saved model to ONNX, into files that are written only after their answers were compared with Python's."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from eyebright._defaults import EXPORT_IMAGES, EXPORT_PRECISION
from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.export import preprocess
from eyebright.export.answers_graph import ANSWERS, class_threshold, thresholds_of
from eyebright.export.model_graph import as_text, fixed_graph, network_graph, whole_graph
from eyebright.export.out_of_distribution_graph import MEANING
from eyebright.export.parity import Parity, check_batches, compare, existing, fixed_run, made_images, whole_run
from eyebright.export.pixels_graph import Steps, steps_of
from eyebright.export.precision import Cost, measure_cost, to_float16, to_int8
from eyebright.export.record import CONTRACT, FIXED, PREPROCESS, RECORD, WHOLE, ExportRecord, decision_hash
from eyebright.image.canonical import CANONICAL
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import (
    load_evaluation,
    load_manifest,
    load_out_of_fold,
    manifest_content,
    write_together,
)
from eyebright.inference.out_of_distribution import THRESHOLD
from eyebright.inference.predictor import Predictor, load_predictor
from eyebright.inference.runtimes.graph_file import hash_path
from eyebright.inference.training_images import load_training_images
from eyebright.models.weights import declared_licence
from eyebright.tasks.registry import block_to_json
from eyebright.transforms.draw import output_size
from eyebright.types import Size

MOST_CALIBRATION = 200
"""Images whose activations give the ranges of INT8, at most."""
_PACKAGES = ("eyebright", "torch", "onnx", "onnxruntime")

ExportPrecision = Literal["float32", "float16", "int8"]
_NARROW = {"float16": "model_float16.onnx", "int8": "model_int8.onnx"}
"""The further graph of a precision."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Args:
        folder: where.
        record: the content of ``export.json``.
        parity: the check of each float32 graph, by its name.
        cost: of the graph of a lower precision, measured; None without one.
        sentences: what a user should know: what was compared, and with what result.
    """

    folder: Path
    record: ExportRecord
    parity: dict[str, Parity]
    cost: Cost | None
    sentences: tuple[str, ...]


class Validation(NamedTuple):
    """The validation images that an export is compared on.

    Args:
        evaluation: with their targets; None if the model has none.
        paths: those that are compared.
        sentences: what a user should know of those that are missing.
    """

    evaluation: Evaluation | None
    paths: list[str]
    sentences: tuple[str, ...] = ()


def export_onnx_files(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    validation: "Validation | None" = None,
    precision: ExportPrecision = EXPORT_PRECISION,
    calibrate_on: Sequence[str | Path] = (),
    say: Say = lambda _: None,
) -> Exported:
    """Exports a saved model: ``model.onnx``, ``model_fixed.onnx``, ``preprocess.py`` and ``export.json``.

    With another precision than float32 there is ``model_float16.onnx`` or ``model_int8.onnx`` too, whose answers differ
    from Python's; how much, and what it costs, is measured.

    ``model.onnx`` takes uint8 images of any size and gives calibrated answers; its outputs are compared with those of
    `load_predictor` on validation images and on unusual ones before anything is written. An earlier export stays until
    the new one is complete.

    Args:
        folder: the model folder.
        out: the folder to write; None for the model folder.
        validation: the images that are compared, from `validation_images`; None for its defaults.
        precision: ``"float16"`` or ``"int8"`` for a further graph.
        calibrate_on: images whose activations give the ranges of ``"int8"``; those that are compared are left out.
            Empty: training images, where the folder knows them.
        say: called with a sentence about each step.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch cannot export it, a graph answers otherwise
            than Python, or a file cannot be written; earlier files are unchanged.
        InputError: the model cannot be exported, or there are no images for the ranges of INT8.
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to ONNX")
    folder = Path(folder)
    predictor = load_predictor(folder, runtime="torch", device="cpu")
    manifest = predictor.manifest
    steps = exportable_steps(manifest)
    validation = validation_images(folder) if validation is None else validation
    ranges = calibration_images(folder, calibrate_on, validation) if precision == "int8" else []
    facts = _facts(folder, predictor, steps)
    say("exporting the network")
    network = network_graph(predictor.model, Size(*steps.output))
    texts = _metadata(facts)
    graphs = {
        WHOLE: whole_graph(network, steps, manifest.decision, {**texts, "input": _WHOLE_INPUT}, ood=predictor.ood),
        FIXED: fixed_graph(network, steps, manifest.decision, {**texts, "input": _FIXED_INPUT}, ood=predictor.ood),
    }
    say(f"comparing {len(validation.paths):,} validation images with Python")
    parity = checked_parity(predictor, graphs, steps, validation.paths)
    sentences = [*validation.sentences, *(f"{name}: {one.sentence}" for name, one in parity.items())]
    entries: dict[str, dict[str, Any]] = {
        name: {"precision": "float32", "parity": result.to_json()} for name, result in parity.items()
    }
    cost = None
    if precision != "float32":
        name = _NARROW[precision]
        say(f"converting the network to {precision}" + (f" with {len(ranges):,} images" if ranges else ""))
        narrow = to_float16(network) if precision == "float16" else to_int8(network, predictor, ranges)
        about = {**texts, "input": _WHOLE_INPUT, "precision": precision}
        graphs[name] = whole_graph(narrow, steps, manifest.decision, about, ood=predictor.ood)
        both = graphs[WHOLE], graphs[name]
        cost = measure_cost(predictor, validation.evaluation, validation.paths, both)
        sentences.append(f"{name}: {cost.sentence}")
        entries[name] = {"precision": precision, "calibrated_on": len(ranges), "cost": cost.to_json()}
    record = _record(facts, graphs, entries)
    place = folder if out is None else Path(out)
    write_files(place, graphs, record)
    if predictor.manifest.decision.label_sets is not None:
        sentences.append("the graphs have no label sets; `eyebright predict` has them")
    return Exported(place, record, parity, cost, tuple(sentences))


_WHOLE_INPUT = "images: uint8 RGB of any height and width, batch x height x width x 3, upright (EXIF applied)"
_FIXED_INPUT = "pixels: float32 in [0, 1], batch x 3 x height x width, from preprocess.py"


def exportable_steps(manifest: Manifest) -> Steps:
    """The preprocessing of a model that can be exported.

    Raises:
        InputError: its images have different sizes, another number of channels, or pixels that no graph computes.
    """
    if manifest.pixels_version != CANONICAL:
        raise InputError(
            f"the model was evaluated with preprocessing version '{manifest.pixels_version}', whose pixels depend on "
            f"the installed libraries, and a graph computes '{CANONICAL}': train it again"
        )
    if output_size(manifest.preprocessing) is None:
        raise InputError(
            "the model's preprocessing keeps different image sizes, and an ONNX graph needs a fixed one: train it with "
            "a size"
        )
    if manifest.model.n_in != 3:
        raise InputError(f"the model takes images of {manifest.model.n_in} channels, and only 3 can be exported")
    return steps_of(manifest.preprocessing)


def validation_images(folder: str | Path, *, images: str | Path | None = None, most: int = EXPORT_IMAGES) -> Validation:
    """The validation images of a saved model that are there.

    Args:
        folder: the model folder.
        images: their folder; None for where they were evaluated.
        most: the most of them that are compared.

    Raises:
        InputError: there is no folder ``images``.
    """
    if images is not None and not Path(images).is_dir():
        raise InputError(f"there is no folder of images '{images}'")
    load_manifest(folder)  # a folder without a model is an error, and a model without an evaluation is none
    try:
        evaluation = load_evaluation(folder)
    except ArtifactError as error:
        reason = f"only made images are compared, since the validation images are not known: {error}"
        return Validation(None, [], (reason,))
    evaluation = evaluation if images is None else replace(evaluation, root=Path(images))
    found = existing(evaluation.paths, most)
    if found or not most:
        return Validation(evaluation, found)
    reason = (
        f"only made images are compared, since none of the {len(evaluation):,} validation images is where it was, such "
        f"as '{evaluation.paths[0]}'; `images` says where they are"
    )
    return Validation(evaluation, [], (reason,))


def calibration_images(folder: Path, given: Sequence[str | Path], validation: Validation) -> list[str]:
    """Images whose activations give the ranges of INT8; none of them is compared.

    Args:
        folder: the model folder.
        given: paths; empty for training images, as far as the folder knows them.
        validation: the images that are compared.

    Raises:
        InputError: there are none.
    """
    compared = {os.path.realpath(path) for path in validation.paths}
    paths = [Path(path) for path in given]
    if not paths:
        paths = _training_images(folder, validation)
        if validation.evaluation is not None:
            compared |= {os.path.realpath(path) for path in validation.evaluation.paths}
    found = existing([path for path in paths if os.path.realpath(path) not in compared], MOST_CALIBRATION)
    if not found:
        raise InputError(
            f"none of the {len(paths):,} images for the ranges of INT8 is there and not among those that are compared, "
            f"such as '{paths[0]}'; `calibrate_on` names others"
        )
    return found


def _training_images(folder: Path, validation: Validation) -> list[Path]:
    """The training images that the folder knows; they have moved as the validation images have.

    Raises:
        InputError: it knows none.
    """
    try:
        known = load_training_images(folder)
        if known is None:
            return load_out_of_fold(folder).paths  # of an older version; the validation images are among them
        if validation.evaluation is not None:
            moved = os.path.relpath(known.root, load_evaluation(folder).root)
            known = replace(known, root=Path(os.path.normpath(validation.evaluation.root / moved)))
        return known.paths
    except ArtifactError as error:
        raise InputError(
            "INT8 needs images whose activations give its ranges, and this folder does not know the training images: "
            f"`calibrate_on` names a folder of images or a label file ({error})"
        ) from None


def checked_parity(
    predictor: Predictor, graphs: Mapping[str, bytes], steps: Steps, paths: Sequence[str]
) -> dict[str, Parity]:
    """The parity of both graphs.

    Raises:
        ArtifactError: a graph answers otherwise than Python.
    """
    has_points = ANSWERS[predictor.target.name].has_points
    runs = {WHOLE: whole_run(graphs[WHOLE]), FIXED: fixed_run(graphs[FIXED], steps, has_points=has_points)}
    parity = compare(predictor, runs, [*paths, *made_images()])
    for name, result in parity.items():
        if not result.is_kept:
            raise ArtifactError(f"nothing is written: {name} does not answer as Python does: {result.sentence}")
    check_batches(graphs[WHOLE])
    return parity


def write_files(folder: Path, graphs: Mapping[str, bytes], record: ExportRecord) -> None:
    """Writes graphs, the reference preprocessing and the record, the record last; a former export's graphs are removed.

    Raises:
        ArtifactError: a file cannot be written.
    """
    writers: dict[str, Callable[[Path], Any] | None] = {name: _writer(data) for name, data in graphs.items()}
    writers |= {name: None for name in _NARROW.values() if name not in graphs}  # they may decide by other thresholds
    writers[PREPROCESS] = _writer(preprocess_source())
    writers[RECORD] = _writer(
        (json.dumps(record.content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )
    writers[hash_path(Path(WHOLE)).name] = None  # of a graph that an older version exported under this name
    write_together(folder, writers, what="the export")


def preprocess_source() -> bytes:
    """The text of ``preprocess.py``."""
    return Path(preprocess.__file__).read_bytes()


def _writer(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def _facts(folder: Path, predictor: Predictor, steps: Steps) -> dict[str, Any]:
    """What the record and the metadata of the graphs say of the model."""
    manifest = predictor.manifest
    content, decision = manifest_content(folder), manifest.decision
    kind = ANSWERS[manifest.target.name]
    facts: dict[str, Any] = {
        "contract": CONTRACT,
        "kind": manifest.target.name,
        "answers": kind.meaning,
        "names": list(manifest.target.value_names),
    }
    if manifest.target.has_thresholds:
        facts["thresholds"], facts["lower_thresholds"] = thresholds_of(decision)
    elif decision.thresholds.is_three_way:
        facts["asks_up_to"] = class_threshold(decision)
    if predictor.ood is not None:
        facts["answers"] += f"; {MEANING}"
        facts["ood_threshold"] = THRESHOLD
    return {
        **facts,
        "calibration": decision.to_json()["calibration"],
        "target": block_to_json(manifest.target),
        "preprocessing": steps.to_json(),
        "pixels": manifest.pixels_version,
        "model": {
            "id": content.get("id"),
            "weights": content.get("weights"),
            "decision": decision_hash(manifest),
            "arch": manifest.model.arch,
        },
        "licence": declared_licence(manifest.model.arch) or "not declared",
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts as texts, as ONNX has them; the fingerprint is that of weights and decision."""
    model = facts["model"]
    fingerprint = hashlib.sha256(f"{model['weights']} {model['decision']}".encode()).hexdigest()
    texts = {name: value if isinstance(value, str) else as_text(value) for name, value in facts.items()}
    return {**texts, "fingerprint": fingerprint}


def _record(
    facts: Mapping[str, Any], graphs: Mapping[str, bytes], entries: Mapping[str, Mapping[str, Any]]
) -> ExportRecord:
    files = {**graphs, PREPROCESS: preprocess_source()}
    described = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **entries.get(name, {})}
        for name, data in files.items()
    }
    return ExportRecord({**facts, "files": described})
