"""Exports a saved model as a `torch.export` program: one file that needs only torch, for images of any size.

The program is compared with Python after it was written and loaded again, and kept only if it answers the same.
"""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from eyebright.errors import ArtifactError, first_line
from eyebright.export.answers_torch import torch_answers
from eyebright.export.exportable import Exportable, Validation, load_exportable
from eyebright.export.files import TORCH, Exported, check_no_foreign_export, write_export
from eyebright.export.model_graph import WHOLE_INPUT, WithFeatures, fused_model
from eyebright.export.out_of_distribution_graph import FLAG, SCORE
from eyebright.export.parity import Batch, Numbers, check_batches, checked_parity, one_image
from eyebright.export.pixels_torch import CanonicalPixels
from eyebright.inference.out_of_distribution import THRESHOLD
from eyebright.io.text import valid_unicode
from eyebright.types import Say, Size

EXTRA_FILE = "eyebright.json"
"""The extra file of the program that has the metadata, as JSON."""
_NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
"""The metadata of a node about its code, with paths of this machine."""


def export_torch_file(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    validation: Validation | None = None,
    say: Say = lambda _: None,
) -> Exported:
    """Exports a saved model: ``model.pt2`` and ``export.json``.

    ``model.pt2`` takes uint8 images of any size and gives the answers that ``model.onnx`` of
    `eyebright.export.export_onnx.export_onnx_files` gives, by their names; they are compared with those of
    `load_predictor` before anything is written. An earlier export stays until the new one is complete.

    The arguments are those of `eyebright.export.export_onnx.export_onnx_files`.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch cannot export it, the program answers
            otherwise than Python, or a file cannot be written; earlier files are unchanged.
        InputError: the model cannot be exported, a file of another program has the name of one that is written.
    """
    folder = Path(folder)
    check_no_foreign_export(Path(folder if out is None else out), "torch-export")
    made = load_exportable(folder, validation, packages=())
    say("exporting the network")
    data = torch_program(made)
    batch = program_batch(data)
    say(f"comparing {len(made.validation.paths):,} validation images with Python")
    parity = checked_parity(made.predictor, {TORCH: one_image(batch)}, made.validation.paths)
    check_batches(batch)
    entries = {TORCH: {"precision": "float32", "parity": parity[TORCH].to_json()}}
    place = folder if out is None else Path(out)
    record, removed = write_export(place, made, "torch-export", {TORCH: data}, entries)
    sentences = (*made.validation.sentences, f"{TORCH}: {parity[TORCH].sentence}", *made.without_sets, *removed)
    return Exported(place, record, parity, None, sentences)


def torch_program(made: Exportable) -> bytes:
    """The content of ``model.pt2``.

    Args:
        made: the model.

    Raises:
        ArtifactError: torch cannot export it.
    """
    module = _FromImages(made).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8))
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "height", "width"))
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # warnings of torch about its own code
            program = torch.export.export(module, (images,), dynamic_shapes=({0: batch, 1: height, 2: width},))
            _clear_code_notes(program)
            about = {**made.metadata, "input": WHOLE_INPUT}
            extra = {EXTRA_FILE: valid_unicode(json.dumps(about, ensure_ascii=False))}
            torch.export.save(program, file, extra_files=extra)
    except Exception as error:  # the exporter passes on any exception of the model's code
        raise ArtifactError(f"torch.export cannot export this model: {first_line(error)}") from error
    return file.getvalue()


def _clear_code_notes(program: torch.export.ExportedProgram) -> None:
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for name in _NOTES:
                    node.meta.pop(name, None)


class _FromImages(torch.nn.Module):
    """A saved model from uint8 images of any size to answers."""

    def __init__(self, made: Exportable) -> None:
        super().__init__()
        self.pixels = CanonicalPixels(made.steps)
        self.network = WithFeatures(fused_model(made.predictor.model, Size(*made.steps.output)))
        self._decision, self._ood = made.predictor.manifest.decision, made.predictor.ood

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> dict[str, Tensor]:
        """The answers by their names."""
        pixels, places = self.pixels(images)
        outputs, features, *_ = self.network(pixels)
        answers = torch_answers(outputs, self._decision, places, self.pixels.steps.output)
        if self._ood is not None:
            score = self._ood.scores(features, outputs)
            answers |= {SCORE: score, FLAG: (score > THRESHOLD).long()}
        return answers


def program_batch(data: bytes) -> Batch:
    """Runs a program.

    Args:
        data: the content of ``model.pt2``.

    Raises:
        ArtifactError: torch cannot load it; the function that is returned: it cannot run it with a batch.
    """
    try:
        module: Any = torch.export.load(io.BytesIO(data)).module()
    except Exception as error:  # torch has no common base class for what it raises
        raise ArtifactError(f"torch cannot load the exported program: {first_line(error)}") from None

    def run(images: Numbers) -> dict[str, Numbers]:
        try:
            with torch.inference_mode():
                return {name: value.numpy() for name, value in module(torch.from_numpy(images)).items()}
        except Exception as error:  # torch has no common base class for what it raises
            size = "x".join(map(str, images.shape))
            raise ArtifactError(
                f"torch cannot run the exported program with {size} values: {first_line(error)}"
            ) from None

    return run
