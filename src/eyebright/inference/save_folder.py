"""Saves a model as a folder: its files are written together, so that the folder can be loaded at any time."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from eyebright.errors import ArtifactError, os_reason
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.parquet import to_parquet
from eyebright.inference.folder_format import (
    EVALUATION,
    HASHED,
    MANIFEST,
    OUT_OF_DISTRIBUTION,
    OUT_OF_FOLD,
    PREVIOUS,
    PREVIOUS_EVALUATION,
    TRAINING_IMAGES,
    WEIGHTS,
)
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import model_hash, state_hash
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.io.atomic import make_folder, prepared_file
from eyebright.io.tensors import non_finite_reason
from eyebright.io.text import valid_unicode


def save_model(
    folder: str | Path,
    manifest: Manifest,
    state: dict[str, Tensor],
    *,
    evaluation: Evaluation | None = None,
    held_out: Sequence[Evaluation] = (),
    out_of_fold: Evaluation | None = None,
    out_of_distribution: OutOfDistribution | None = None,
    training_images: bytes | None = None,
) -> Path:
    """Saves a model in a folder; returns the path of the folder.

    Args:
        folder: the folder to write; it is created if necessary, and other files in it are kept.
        manifest: the description of the model.
        state: the state dict of the model.
        evaluation: the outputs for the validation images; None saves no evaluation and deletes that of an older model.
        held_out: the outputs for images of the parts promise and test, saved in the same file.
        out_of_fold: outputs for all labelled images by heads that were not fitted to them; None as for ``evaluation``.
        out_of_distribution: the fitted out-of-distribution detector; None as for ``evaluation``.
        training_images: the result of `TrainingImages.to_bytes`; None as for ``evaluation``.

    Raises:
        ArtifactError: the number of outputs or thresholds is not the number of classes; an evaluation is of another
            target or of other weights; a weight, or an output of the evaluation, is not finite; or a file cannot be
            written, for example because the disk is full. The message states whether an earlier model in the folder is
            unchanged: it is if a file cannot be written, but not if one cannot be renamed after another one was.
    """
    folder = Path(folder)
    manifest.check_consistent()
    if reason := non_finite_reason(state):
        raise ArtifactError(f"the model is not saved in '{folder}': {reason}; train again with a lower learning rate")
    model_id = uuid.uuid4().hex
    metadata = {"model": model_id, "weights": model_hash(manifest.model, state)}
    outputs = {
        EVALUATION: [*([] if evaluation is None else [evaluation]), *held_out],
        OUT_OF_FOLD: [] if out_of_fold is None else [out_of_fold],
    }
    for part in (part for evaluations in outputs.values() for part in evaluations):
        check_fits(part, manifest, metadata["weights"])
    files = {
        name: evaluations_parquet(evaluations, folder, metadata) for name, evaluations in outputs.items() if evaluations
    }
    if out_of_distribution is not None:
        files[OUT_OF_DISTRIBUTION] = out_of_distribution.to_bytes()
    if training_images is not None:
        files[TRAINING_IMAGES] = training_images
    data = {**_with_hashes(manifest, files).to_json(), "id": model_id, "weights": state_hash(state)}
    text = manifest_text(data)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    Manifest.from_json(json.loads(text))  # what could not be loaded is not saved in the place of what can
    # The weights come first: the folder can then be loaded after each rename, since they contain a copy of the
    # manifest.
    writers: dict[str, Callable[[Path], Any] | None] = {
        WEIGHTS: lambda path: save_file(tensors, path, metadata={"manifest": text}),
        **{name: writer_of_bytes(files.get(name)) for name in HASHED},
        MANIFEST: writer_of_text(text),
        PREVIOUS: None,
        PREVIOUS_EVALUATION: None,
    }
    write_together(folder, writers)
    return folder


def _with_hashes(manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """The manifest with the hashes of the files beside it; None for those that there are not."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return replace(
        manifest,
        evaluation_hash=hashes.get(EVALUATION),
        out_of_fold_hash=hashes.get(OUT_OF_FOLD),
        out_of_distribution_hash=hashes.get(OUT_OF_DISTRIBUTION),
        training_images_hash=hashes.get(TRAINING_IMAGES),
    )


def check_fits(evaluation: Evaluation, manifest: Manifest, weights: str) -> None:
    """Raises `ArtifactError` if the target or the weights of an evaluation are not the model's."""
    target, expected = evaluation.decision.target, manifest.decision.target
    if (target.name, *target.target_names) != (expected.name, *expected.target_names):
        raise ArtifactError(
            f"the evaluation has another target, {target.describe()}, than the model, {expected.describe()}: give the "
            f"result of this learner's `evaluate`"
        )
    if evaluation.weights not in ("", weights):
        raise ArtifactError(
            "the evaluation belongs to other weights than the model's, for example from before the last fit: call "
            "`evaluate` again"
        )


def evaluations_parquet(evaluations: Sequence[Evaluation], folder: Path, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file of evaluations, with the image folder relative to the model folder."""
    if reason := next((part.not_finite for part in evaluations if part.not_finite), ""):
        raise ArtifactError(f"the model is not saved in '{folder}': {reason}; train again")
    return to_parquet([replace(part, root=relative_folder(part.root, folder)) for part in evaluations], metadata)


def relative_folder(image_folder: Path, folder: Path) -> Path:
    """The image folder relative to the model folder: both can be moved together, and no folder of the user is named.

    Args:
        image_folder: the folder of images.
        folder: the model folder.
    """
    try:
        return Path(os.path.relpath(image_folder.resolve(), folder.resolve()))
    except ValueError:  # on different drives
        return image_folder.absolute()


def manifest_text(content: Mapping[str, Any]) -> str:
    """The text of a manifest."""
    # A lone surrogate (in a label from a file name that is not UTF-8) becomes a JSON escape.
    return valid_unicode(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def writer_of_text(text: str) -> Callable[[Path], Any]:
    """A function that writes the text and a line feed to a file."""
    return lambda path: path.write_text(text + "\n", encoding="utf-8")


def writer_of_bytes(content: bytes | None) -> Callable[[Path], Any] | None:
    """A function that writes a file; None without content."""
    return None if content is None else lambda path: path.write_bytes(content)


def write_together(
    folder: Path, writers: Mapping[str, Callable[[Path], Any] | None], *, what: str = "the model"
) -> None:
    """Writes several files into a folder: first all to temporary names, then they are renamed in this order.

    Args:
        folder: the folder; it is created if necessary.
        writers: by file name, the function that writes the file; None to delete it.
        what: the noun for the saved data, for the message.

    Raises:
        ArtifactError: a file cannot be written or renamed; the message states which files are new.
    """
    steps: dict[str, Callable[[], object]] = {}
    updated: list[str] = []
    try:
        make_folder(folder)
        with ExitStack() as stack:
            for name, write in writers.items():
                path = folder / name
                if write is not None:
                    steps[name] = stack.enter_context(prepared_file(path, write))
                elif path.exists():
                    steps[name] = path.unlink
            for name, step in steps.items():
                step()
                updated.append(name)
    except (OSError, SafetensorError) as error:
        state = "what was there before is unchanged"
        if updated:
            rest = ", ".join(name for name in steps if name not in updated)
            state = f"already updated: {', '.join(updated)}; not updated: {rest}; save {what} again"
        raise ArtifactError(f"cannot save {what} in '{folder}': {os_reason(error)}; {state}") from None
