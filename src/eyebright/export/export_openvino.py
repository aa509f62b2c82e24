"""Exports a saved model to OpenVINO's own format, into files that are kept only if their predictions equal Python's.

The ONNX graphs are read by OpenVINO's runtime itself. Its ``convert_model`` is not called: it sends statistics of its
use over the network unless a person has opted out.

OpenVINO chooses the precision that it computes in by the processor: bfloat16 where that is fast, float16 on graphics
cards, although the weights are float32. The comparison asks for float32, and so must a program that uses the files.
"""

import tempfile
from pathlib import Path
from typing import Any

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, first_line, os_reason
from eyebright.export.exportable import Exportable, Validation, load_exportable
from eyebright.export.files import (
    OPENVINO,
    OPENVINO_FIXED,
    Exported,
    check_no_foreign_export,
    preprocess_source,
    write_export,
)
from eyebright.export.model_graph import FIXED_INPUT, WHOLE_INPUT, fixed_graph, network_graph, whole_graph
from eyebright.export.parity import Batch, Numbers, Parity, check_batches, checked_parity, one_image, preprocessed
from eyebright.export.record import PREPROCESS
from eyebright.types import Say, Size

FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""The configuration with which a program loads the model in OpenVINO, so that it computes in float32."""
ADVICE = (
    "compared on the processor with INFERENCE_PRECISION_HINT f32; give it to OpenVINO too, which otherwise computes in "
    "bfloat16 or float16 on some devices"
)


def export_openvino_files(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    validation: Validation | None = None,
    say: Say = lambda _: None,
) -> Exported:
    """Exports a saved model: ``model.xml``, ``model_fixed.xml``, their weights, ``preprocess.py``, ``export.json``.

    ``model.xml`` takes uint8 images of any size, ``model_fixed.xml`` what ``preprocess.py`` makes of them; their
    outputs are those of the graphs of `eyebright.export.export_onnx.export_onnx_files`. They are compared with those of
    `load_predictor` in OpenVINO on the processor before anything is written. An earlier export stays until the new one
    is complete.

    The arguments are those of `eyebright.export.export_onnx.export_onnx_files`.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch or OpenVINO cannot export it, a graph
            answers otherwise than Python, or a file cannot be written; earlier files are unchanged.
        InputError: the model cannot be exported, a file of another program has the name of one that is written.
        MissingExtraError: the packages of ``eyebright[openvino]`` are not installed.
    """
    for package in ("openvino", "onnx", "onnxscript", "onnxruntime"):
        import_optional(package, extra="openvino", purpose="exporting to OpenVINO")
    folder = Path(folder)
    check_no_foreign_export(Path(folder if out is None else out), "openvino")
    made = load_exportable(folder, validation, packages=("onnx", "openvino"))
    say("exporting the network")
    graphs = openvino_graphs(made, network_graph(made.predictor.model, Size(*made.steps.output)))
    say(f"comparing {len(made.validation.paths):,} validation images with Python")
    with tempfile.TemporaryDirectory() as temporary:
        data = _converted(graphs, made.metadata, Path(temporary))
        parity = openvino_parity(made, Path(temporary))
    entries = {
        name: {
            "precision": "float32",
            "parity": result.to_json(),
            "weights": Path(name).with_suffix(".bin").name,
            "runtime_options": FLOAT32,
        }
        for name, result in parity.items()
    }
    place = folder if out is None else Path(out)
    record, removed = write_export(place, made, "openvino", {**data, PREPROCESS: preprocess_source()}, entries)
    compared = (f"{name}: {comparison.sentence}" for name, comparison in parity.items())
    sentences = (*made.validation.sentences, *compared, ADVICE, *made.without_sets, *removed)
    return Exported(place, record, parity, None, sentences)


def openvino_graphs(made: Exportable, network: Any) -> dict[str, bytes]:
    """The ONNX graphs that OpenVINO reads, by the names of the files they become.

    Args:
        made: the model.
        network: its network, from `eyebright.export.model_graph.network_graph`.
    """
    steps, decision, ood = made.steps, made.predictor.manifest.decision, made.predictor.ood
    return {
        OPENVINO: whole_graph(network, steps, decision, {}, ood=ood, by_matmul=True),
        OPENVINO_FIXED: fixed_graph(network, steps, decision, {}, ood=ood),
    }


def _converted(graphs: dict[str, bytes], metadata: dict[str, str], folder: Path) -> dict[str, bytes]:
    """Writes the graphs in OpenVINO's format; returns the content of the files by name.

    Raises:
        ArtifactError: OpenVINO cannot read or write a graph, or the temporary folder is full.
    """
    openvino: Any = import_optional("openvino", extra="openvino", purpose="exporting to OpenVINO")
    inputs = {OPENVINO: WHOLE_INPUT, OPENVINO_FIXED: FIXED_INPUT}
    for name, graph in graphs.items():
        onnx_path = folder / f"{name}.onnx"
        try:
            onnx_path.write_bytes(graph)
            model = openvino.Core().read_model(onnx_path)
            for key, value in {**metadata, "input": inputs[name]}.items():
                model.set_rt_info(value, ["eyebright", key])
            openvino.save_model(model, folder / name, compress_to_fp16=False)
            onnx_path.unlink()
        except OSError as error:
            raise ArtifactError(f"the graph cannot be written to '{folder}': {os_reason(error)}") from None
        except Exception as error:  # OpenVINO raises RuntimeError
            raise ArtifactError(f"OpenVINO cannot convert the exported graph: {first_line(error)}") from None
    names = [file for name in graphs for file in (name, Path(name).with_suffix(".bin").name)]
    return {name: (folder / name).read_bytes() for name in names}


def openvino_parity(made: Exportable, folder: Path) -> dict[str, Parity]:
    """The parity of both graphs.

    Args:
        made: the model.
        folder: contains them.

    Raises:
        ArtifactError: a graph cannot be loaded, or answers otherwise than Python.
    """
    whole, fixed = (openvino_batch(folder / name) for name in (OPENVINO, OPENVINO_FIXED))
    runs = {OPENVINO: one_image(whole), OPENVINO_FIXED: preprocessed(fixed, made.steps, has_points=made.has_points)}
    parity = checked_parity(made.predictor, runs, made.validation.paths)
    check_batches(whole)
    return parity


def openvino_batch(path: Path) -> Batch:
    """Runs a graph in OpenVINO on the processor, in float32.

    Args:
        path: the path of the ``.xml`` file.

    Raises:
        ArtifactError: OpenVINO cannot load it; the function that is returned: it cannot run it with a batch.
    """
    openvino: Any = import_optional("openvino", extra="openvino", purpose="running OpenVINO")
    core = openvino.Core()
    try:
        model = core.read_model(path)
        names = [output.any_name for output in model.outputs]  # a compiled model has more names
        compiled = core.compile_model(model, "CPU", FLOAT32)
    except Exception as error:  # OpenVINO raises RuntimeError
        raise ArtifactError(f"OpenVINO cannot load '{path.name}': {first_line(error)}") from None

    def run(batch: Numbers) -> dict[str, Numbers]:
        try:
            return dict(zip(names, (value.copy() for value in compiled([batch]).values()), strict=True))
        except Exception as error:  # OpenVINO raises RuntimeError
            size = "x".join(map(str, batch.shape))
            raise ArtifactError(f"OpenVINO cannot run '{path.name}' with {size} values: {first_line(error)}") from None

    return run
