"""Publishes a saved model on the Hugging Face hub: a copy without file names of the data, with a model card.

The evaluations, the report and the options are left out unless requested: they contain names of files, other columns of
the data and thumbnails. The manifest of the copy, also the one in the header of the weights, has no names of files of
the data, and lists only uploaded files.
"""

import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from eyebright.errors import ArtifactError, InputError, MissingExtraError, listing, os_reason
from eyebright.inference.folder_format import (
    EVALUATION,
    GRAPH,
    MANIFEST,
    OUT_OF_DISTRIBUTION,
    OUT_OF_FOLD,
    TRAINING_IMAGES,
    WEIGHTS,
)
from eyebright.inference.hub import PREFIX, Repository, hub_errors, parse_repository
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_model, manifest_content
from eyebright.inference.runtimes.graph_file import read_graph, write_graph
from eyebright.inference.runtimes.onnx_export import without_code_notes
from eyebright.inference.save_folder import manifest_text
from eyebright.io.generated_text import marked, state_of, unmarked
from eyebright.models.timm_files import BACKBONE, CONFIG, TimmFiles, timm_files
from eyebright.report.card_metadata import LICENCE
from eyebright.report.model_card import PLACE
from eyebright.types import Say
from eyebright.workflow.card import CARD, card_text
from eyebright.workflow.report import HISTORY, REPORT

_DATA_FILES = (EVALUATION, OUT_OF_FOLD, TRAINING_IMAGES, REPORT, "report.json")
"""Files that contain names of files, other columns of the data, or thumbnails."""
_COPIED_FILES = (HISTORY, OUT_OF_DISTRIBUTION)
_REPLACED_FILES = (*_COPIED_FILES, *_DATA_FILES, GRAPH, f"{GRAPH}.sha256", CONFIG, BACKBONE)
"""Files of an earlier model that are removed from the repository if this model does not have them."""
_REPORT_ENTRIES = (
    *("title", "split", "split_proof", "settings", "normalise_by"),
    *("fine_tuning", "keeps_frozen", "frozen_scores"),
)
"""The entries of the manifest's ``report`` without file names."""
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.\-]{0,60}")


def push_to_hub(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    with_evaluation: bool = False,
    licence: str | None = None,
    say: Say = lambda _: None,
) -> str:
    """Uploads a saved model to the Hugging Face hub; returns the address of the commit.

    It logs in as huggingface_hub does: with ``HF_TOKEN``, or with the token that ``hf auth login`` has stored.

    Args:
        folder: the model folder; it is not changed.
        repository: ``"owner/name"``, which is created if it does not exist, or ``"owner/name@branch"``.
        private: True to create a private repository instead of a public one; an existing one keeps its visibility.
        with_evaluation: also upload the evaluations and the report, which contain names of files, other columns of the
            data, and thumbnails of images.
        licence: the licence of the model, an identifier of the hub such as ``"apache-2.0"``; None keeps the card's.
        say: called with sentences on the uploaded and the left-out files, before the upload.

    Raises:
        InputError: the name of the repository or of the licence is invalid, or the card was edited and a licence
            is given.
        ArtifactError: the folder contains no complete model, or it cannot be uploaded.
    """
    folder, target = Path(folder), parse_repository(repository)
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(f"`licence` is an identifier such as 'apache-2.0' or 'cc-by-4.0', got '{licence}'")
    with tempfile.TemporaryDirectory(prefix="eyebright-push-") as made:
        copy = Path(made)
        try:
            write_published(folder, copy, target.name, with_evaluation=with_evaluation, licence=licence, say=say)
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"cannot write the copy to upload: {os_reason(error)}") from None
        return _upload(copy, target, private=private, with_evaluation=with_evaluation)


def write_published(
    folder: Path, copy: Path, name: str, *, with_evaluation: bool = False, licence: str | None = None, say: Say
) -> None:
    """Writes the copy of a model that is uploaded, and reports its content.

    Args:
        folder: the model folder.
        copy: an empty folder.
        name: the name of the repository, for the card.
        with_evaluation: as in `push_to_hub`.
        licence: as in `push_to_hub`.
        say: as in `push_to_hub`.

    Raises:
        ArtifactError: the folder contains no complete model.
        InputError: as in `push_to_hub`.
        OSError: a file cannot be written.
    """
    manifest, state = load_model(folder)
    names = {file.name for file in folder.iterdir() if file.is_file()}
    text = manifest_text(published_manifest(manifest_content(folder), manifest, with_evaluation=with_evaluation))
    (copy / MANIFEST).write_text(text + "\n", encoding="utf-8")
    save_file(state, copy / WEIGHTS, metadata={"manifest": text})
    for file in (*_COPIED_FILES, *(_DATA_FILES if with_evaluation else ())):
        if file in names:
            (copy / file).write_bytes((folder / file).read_bytes())
    if GRAPH in names:
        _write_graph(folder / GRAPH, copy / GRAPH, say)
    (copy / CARD).write_text(_card(folder, manifest, name, licence, say), encoding="utf-8", newline="\n")
    timm = timm_files(manifest.model, state)
    if timm is not None:
        _write_timm(timm, copy)
    _say_files(copy, names, say)


def published_manifest(content: Mapping[str, Any], manifest: Manifest, *, with_evaluation: bool) -> dict[str, Any]:
    """The manifest without names of files and folders of the data, and without files that are not uploaded.

    Args:
        content: the JSON of the manifest.
        manifest: the same, as a manifest of this schema.
        with_evaluation: whether the evaluations are uploaded.
    """
    data = manifest.to_json()
    kept = {name: content[name] for name in ("id", "weights") if name in content}
    report = {name: data["report"][name] for name in _REPORT_ENTRIES if name in data["report"]}
    if isinstance(report.get("settings"), list):
        report["settings"] = [pair for pair in report["settings"] if not _is_path(pair)]
    training = {name: "a file" if _is_path(value) else value for name, value in data["training"].items()}
    hashes = {} if with_evaluation else {"evaluation": None, "out_of_fold": None, "training_images": None}
    return {**data, **kept, "report": report, "training": training, **hashes}


def _is_path(value: Any) -> bool:
    """Whether a text, or one of a pair, may be a path on this machine."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(text, str) and ("/" in text or "\\" in text) for text in texts)


def _card(folder: Path, manifest: Manifest, name: str, licence: str | None, say: Say) -> str:
    """The card for the repository: the generated one with its name, or the edited one unchanged."""
    if state_of(folder / CARD) == "edited":
        if licence is not None:
            raise InputError(
                f"`licence` cannot be written into '{folder / CARD}', which was edited: put 'license: {licence}' into "
                "its first lines"
            )
        say(f"the model card is the edited '{folder / CARD}'")
        return _edited_card(folder / CARD)
    text = None
    if (folder / CARD).is_file():
        text = unmarked((folder / CARD).read_text(encoding="utf-8"))
    if text is None:
        text = card_text(manifest, None)
    if licence is not None:
        text = text.replace(f"license: {LICENCE}\n", f"license: {licence}\n", 1)
        text = text.replace(f"is chosen by its owner: {LICENCE}.", f"is chosen by its owner: {licence}.", 1)
    text = text.replace(f'"{PLACE}"', f'"{PREFIX}{name}"')
    return marked(text.replace(f"`{PLACE}` is the folder of this model.", "It is downloaded once, and then cached."))


def _edited_card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(f"'{path}' is not UTF-8, which the hub needs: save it as UTF-8, or remove it") from None


def _write_graph(graph: Path, copy: Path, say: Say) -> None:
    """Writes the graph, without the paths that older versions left in it, and its hash."""
    try:
        write_graph(copy, without_code_notes(read_graph(graph)))
    except (ArtifactError, MissingExtraError) as error:
        say(f"{graph.name} is left out: {error}")


def _write_timm(timm: TimmFiles, copy: Path) -> None:
    (copy / CONFIG).write_text(json.dumps(timm.config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in timm.state.items()}
    note = {"not used by the model": ", ".join(timm.unused)} if timm.unused else None
    save_file(tensors, copy / BACKBONE, metadata=note)


def _say_files(copy: Path, names: set[str], say: Say) -> None:
    files = sorted(copy.iterdir())
    say("uploaded: " + ", ".join(f"{file.name} ({file.stat().st_size:,} bytes)" for file in files))
    left = sorted(names - {file.name for file in files})
    if of_data := [file for file in left if file in _DATA_FILES]:
        say(
            "left out, since they contain names of files, other columns of the data and thumbnails: "
            f"{listing(of_data)}; `with_evaluation` uploads them"
        )
    if others := [file for file in left if file not in (*_DATA_FILES, GRAPH, f"{GRAPH}.sha256")]:
        say(f"left out, since a prediction does not need them and they may contain paths: {listing(others)}")


def _upload(copy: Path, target: Repository, *, private: bool, with_evaluation: bool) -> str:
    from huggingface_hub import HfApi

    api = HfApi(library_name="eyebright")
    with hub_errors(target, "cannot upload the model to"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")  # intended
        api.create_repo(target.name, private=private, exist_ok=True)
        if target.revision is not None:
            api.create_branch(target.name, branch=target.revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=target.name,
            folder_path=copy,
            revision=target.revision,
            commit_message="Upload a model of Eyebright",
            delete_patterns=list(_REPLACED_FILES),
        )
        return str(done.commit_url)
