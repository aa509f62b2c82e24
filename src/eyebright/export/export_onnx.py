"""Exports a saved model to ONNX, into files that are written only after their answers were compared with Python's."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from eyebright._choices import ExportPrecision
from eyebright._defaults import CALIBRATION_IMAGES, EXPORT_PRECISION
from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, InputError, count_text
from eyebright.export.exportable import Exportable, Validation, load_exportable
from eyebright.export.files import NARROW, Exported, check_no_foreign_export, preprocess_source, write_export
from eyebright.export.model_graph import FIXED_INPUT, WHOLE_INPUT, fixed_graph, network_graph, whole_graph
from eyebright.export.parity import Parity, check_batches, checked_parity, existing, fixed_run, onnx_batch, whole_run
from eyebright.export.precision import Cost, measure_cost, to_float16, to_int8
from eyebright.export.record import FIXED, PREPROCESS, WHOLE
from eyebright.inference.model_folder import load_evaluation
from eyebright.inference.training_images import load_training_images
from eyebright.types import Say, Size


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
        precision: ``"float16"`` or ``"int8"`` for an additional graph.
        calibrate_on: images whose activations give the ranges of ``"int8"``; those that are compared are left out.
            Empty: training images, where the folder knows them.
        say: called with a sentence about each step.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch cannot export it, a graph answers otherwise
            than Python, or a file cannot be written; earlier files are unchanged.
        InputError: the model cannot be exported, a file of another program has the name of one that is written, or
            there are no images for the ranges of INT8.
        MissingExtraError: the packages of ``eyebright[onnx]`` are not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="onnx", purpose="exporting to ONNX")
    folder = Path(folder)
    check_no_foreign_export(Path(folder if out is None else out), "onnx")
    made = load_exportable(folder, validation, packages=("onnx", "onnxruntime"))
    ranges = calibration_images(folder, calibrate_on, made.validation) if precision == "int8" else []
    say("exporting the network")
    network = network_graph(made.predictor.model, Size(*made.steps.output))
    graphs = float32_graphs(made, network)
    say(f"comparing {len(made.validation.paths):,} validation images with Python")
    parity = float32_parity(made, graphs)
    sentences = [*made.validation.sentences, *(f"{name}: {comparison.sentence}" for name, comparison in parity.items())]
    entries: dict[str, dict[str, Any]] = {
        name: {"precision": "float32", "parity": result.to_json()} for name, result in parity.items()
    }
    cost = None
    if precision != "float32":
        say(f"converting the network to {precision}" + (f" with {count_text(len(ranges), 'image')}" if ranges else ""))
        name = NARROW[precision]
        graphs[name], cost = _narrow(made, network, graphs[WHOLE], precision, ranges)
        sentences.append(f"{name}: {cost.sentence}")
        entries[name] = {"precision": precision, "calibrated_on": len(ranges), "cost": cost.to_json()}
    place = folder if out is None else Path(out)
    record, removed = write_export(place, made, "onnx", {**graphs, PREPROCESS: preprocess_source()}, entries)
    return Exported(place, record, parity, cost, (*sentences, *made.without_sets, *removed))


def float32_graphs(made: Exportable, network: Any) -> dict[str, bytes]:
    """Both graphs of a model in float32, by their names.

    Args:
        made: the model.
        network: its network, from `eyebright.export.model_graph.network_graph`.
    """
    steps, decision, ood = made.steps, made.predictor.manifest.decision, made.predictor.ood
    return {
        WHOLE: whole_graph(network, steps, decision, {**made.metadata, "input": WHOLE_INPUT}, ood=ood),
        FIXED: fixed_graph(network, steps, decision, {**made.metadata, "input": FIXED_INPUT}, ood=ood),
    }


def _narrow(
    made: Exportable, network: Any, float32: bytes, precision: Literal["float16", "int8"], ranges: Sequence[str]
) -> tuple[bytes, Cost]:
    """The graph of a lower precision, and what it costs."""
    predictor, validation = made.predictor, made.validation
    narrow = to_float16(network) if precision == "float16" else to_int8(network, predictor, ranges)
    about = {**made.metadata, "input": WHOLE_INPUT, "precision": precision}
    graph = whole_graph(narrow, made.steps, predictor.manifest.decision, about, ood=predictor.ood)
    return graph, measure_cost(predictor, validation.evaluation, validation.paths, (float32, graph))


def calibration_images(folder: Path, given: Sequence[str | Path], validation: Validation) -> list[str]:
    """Images whose activations give the ranges of INT8; none of them is compared.

    Args:
        folder: the model folder.
        given: paths; empty for training images, as far as the folder knows them.
        validation: the images that are compared.

    Raises:
        InputError: there are no such images.
    """
    compared = {os.path.realpath(path) for path in validation.paths}
    paths = [Path(path) for path in given]
    if not paths:
        paths = _training_images(folder, validation)
        if validation.evaluation is not None:
            compared |= {os.path.realpath(path) for path in validation.evaluation.paths}
    images = existing([path for path in paths if os.path.realpath(path) not in compared], CALIBRATION_IMAGES)
    if not images:
        raise InputError(
            f"no image is left for the ranges of INT8: each of the {len(paths):,} is missing, or among those that are "
            f"compared, such as '{paths[0]}'; `calibrate_on` names others"
        )
    return images


def _training_images(folder: Path, validation: Validation) -> list[Path]:
    """The training images that the folder knows; they have moved as the validation images have.

    Raises:
        InputError: it knows none.
    """
    try:
        known = load_training_images(folder)
        if known is None:
            # Of an older version; the validation images are among them.
            return list(load_evaluation(folder, part="out_of_fold").paths)
        if validation.evaluation is not None:
            moved = os.path.relpath(known.root, load_evaluation(folder).root)
            known = replace(known, root=Path(os.path.normpath(validation.evaluation.root / moved)))
        return known.paths
    except ArtifactError as error:
        raise InputError(
            "INT8 needs images whose activations give its ranges, and this folder does not know the training images: "
            f"`calibrate_on` names a folder of images or a label file ({error})"
        ) from None


def float32_parity(made: Exportable, graphs: dict[str, bytes]) -> dict[str, Parity]:
    """The parity of both graphs.

    Raises:
        ArtifactError: a graph answers otherwise than Python.
    """
    has_points = made.has_points
    runs = {WHOLE: whole_run(graphs[WHOLE]), FIXED: fixed_run(graphs[FIXED], made.steps, has_points=has_points)}
    parity = checked_parity(made.predictor, runs, made.validation.paths)
    check_batches(onnx_batch(graphs[WHOLE]))
    return parity
