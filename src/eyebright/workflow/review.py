"""`open_review`: prepares ``eyebright review`` for a model folder or a folder of unlabelled images."""

import getpass
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from eyebright._choices import WriteFormat
from eyebright.errors import EyebrightError, InputError, count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.suspects import find_suspects
from eyebright.inference.model_folder import load_manifest
from eyebright.io.files import folder_content
from eyebright.review.address import stable_token
from eyebright.review.app import ReviewApp
from eyebright.review.images import Thumbnails
from eyebright.review.items import NO_SUSPECTS, Answers, ReviewItems, Suspects
from eyebright.review.journal import JOURNAL, Journal
from eyebright.review.server import check_installed
from eyebright.review.session import ReviewSession
from eyebright.review.table import NewTable
from eyebright.review.values import Vocabulary, name_problem, unknown_values
from eyebright.sources.convert import WRITERS
from eyebright.sources.recognise import recognise
from eyebright.sources.source import Source
from eyebright.sources.task_types import parse_kind
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.task_type import KIND_WORDS
from eyebright.workflow.command_options.labelling import ReviewOptions, is_model_folder
from eyebright.workflow.model_images import images_of_model, saved_evaluations
from eyebright.workflow.reading import read
from eyebright.workflow.review_model import TaughtModel, cuts_of, predicted_values
from eyebright.workflow.saved_options import SavedOptions
from eyebright.workflow.suspects import unseen_answers

_MAX_SUSPECTS = 50_000
_FORMATS: dict[str, WriteFormat] = {"coco": "coco", "label-studio": "labelstudio", "parquet": "parquet"}
"""The format in which a table is written, by the format in which it was read; others are written as CSV."""


@dataclass(frozen=True, eq=False)
class Review:
    """An open review.

    Args:
        app: answers the requests of the page.
        table: writes the new table.
        folder: the folder of the journal.
        messages: sentences for the user.
    """

    app: ReviewApp
    table: NewTable
    folder: Path
    messages: Sequence[str]


@dataclass(frozen=True, eq=False)
class _ReviewContent:
    """The images, labels and answers that are reviewed.

    Args:
        items: the images.
        block: the target block of the model; None without a model.
        answers: the predictions of the model; None without a model.
        suspects: labels that are probably wrong.
        source: the images of the label file; None without a label file.
        to: the format of the label file.
        name: the name of the new table.
        origin: the label file; None without one.
        messages: sentences for the user.
    """

    items: ReviewItems
    block: TargetBlock | None = None
    answers: Answers | None = None
    suspects: Suspects = NO_SUSPECTS
    source: Source | None = None
    to: WriteFormat = "csv"
    name: str = "labels.csv"
    origin: Path | None = None
    messages: tuple[str, ...] = ()


def open_review(options: ReviewOptions) -> Review:
    """Opens the review: reads the images and the model's predictions, and applies the journal of former reviews.

    Raises:
        ArtifactError: the model or the journal is damaged, cannot be read, or is open in another process.
        InputError: there is no image, the journal is of other images, or an option does not apply.
        MissingExtraError: the packages of ``eyebright[review]`` are not installed.
    """
    check_installed()
    is_model = is_model_folder(options.source)
    content = _model_content(options) if is_model else _images_content(options)
    folder = options.journal or _journal_folder(options.source)
    vocabulary = content.items.vocabulary
    journal, journal_content = Journal.open(folder / JOURNAL, vocabulary.kind)
    columns = () if content.source is None else tuple(map(str, content.source.columns.columns))
    try:
        session = ReviewSession(
            content.items,
            journal,
            options.who or _login(),
            suspects=content.suspects,
            answers=content.answers,
            columns=columns,
        )
        messages = [*content.messages, *session.replay(journal_content)]
        return _review(options, content, session, folder, messages)
    except BaseException:
        journal.close()
        raise


def _review(
    options: ReviewOptions, content: _ReviewContent, session: ReviewSession, folder: Path, messages: Sequence[str]
) -> Review:
    is_model = is_model_folder(options.source)
    model = TaughtModel(
        [content.items.path(row) for row in range(len(content.items))],
        content.block,
        options.source if is_model else None,
        unseen=content.answers,
        cache=folder / "features",
        device=options.device,
    )
    kind = parse_kind(content.items.vocabulary.kind).block if content.block is None else content.block.name
    out = (options.out or Path(content.name)).absolute()
    further = {"from": options.source, "out": _next_model(options.source)} if is_model else {"out": Path("model")}
    table = NewTable(session, content.source, kind, out, to=content.to, further=further, origin=content.origin)
    thumbnails, token = Thumbnails(folder / "thumbnails"), stable_token(folder, content.items.files)
    app = ReviewApp(session, thumbnails, model, save=table.save, out=out.name, token=token, folder=folder)
    return Review(app, table, folder, messages)


def _next_model(folder: Path) -> Path:
    """The folder for the next model, next to this one: ``model-v2`` for ``model``, ``model-v3`` for ``model-v2``."""
    path = folder.resolve()
    numbered = re.fullmatch(r"(.+)-v(\d{1,6})", path.name)
    name, version = (path.name, 1) if numbered is None else (numbered[1], int(numbered[2]))
    return path.with_name(f"{name}-v{version + 1}")


def _journal_folder(path: Path) -> Path:
    """The folder of the journal: outside the model folder, so that training into that folder does not change it."""
    path = path.resolve()
    return path.with_name(f"{path.name or 'images'}-review")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in containers
        return "somebody"


# ------------------------------------------------------------------ a model


def _model_content(options: ReviewOptions) -> _ReviewContent:
    if options.labels or options.kind != ReviewOptions.kind:
        raise InputError("`labels` and `kind` are for a folder of images; a model has its own labels and kind")
    manifest = load_manifest(options.source)
    evaluation, notice = unseen_answers(options.source)
    block = manifest.target
    vocabulary = Vocabulary(KIND_WORDS[block.task_type], tuple(block.value_names))
    root = options.images or evaluation.root
    new, sentences = ([], []) if options.new is None else _new_files(options.new, root, evaluation, options.source)
    targets = _review_targets(evaluation, vocabulary)
    items = ReviewItems(
        vocabulary,
        root,
        (*evaluation.files, *new),
        np.concatenate([targets, unknown_values(vocabulary, len(new)).astype(targets.dtype)]),
        title=f"{manifest.model.arch}: {options.source.resolve().name}",
        ordered=vocabulary.is_exclusive and not block.is_categorical,
        mirror=block.mirrored_names,
    )
    source, to, name, problem = _labels_of(options, root)
    return _ReviewContent(
        items,
        block,
        _answers(evaluation, vocabulary, len(items)),
        Suspects.of(find_suspects(evaluation, limit=_MAX_SUSPECTS)),
        source,
        to,
        name,
        None if source is None else SavedOptions.load(options.source).source,
        tuple(filter(None, [notice, problem, _missing(root), *sentences])),
    )


def _review_targets(evaluation: Evaluation, vocabulary: Vocabulary) -> Float[np.ndarray, "n c w"]:
    """The targets in the form of a review."""
    targets = evaluation.targets.cpu().numpy()
    if vocabulary.is_exclusive:
        index = targets.astype(np.float32)
        return np.where(index < 0, np.float32(np.nan), index)[:, None, None]
    dtype = np.float32 if vocabulary.has_probabilities else np.float64
    return targets.reshape(len(targets), len(vocabulary.names), vocabulary.width).astype(dtype)


def _answers(evaluation: Evaluation, vocabulary: Vocabulary, count: int) -> Answers:
    """The model's predictions for the images that it was not trained on, which are the first ones."""
    decision = evaluation.decision
    activated = evaluation.activated
    flat: Float[np.ndarray, "n k"] = activated.cpu().numpy().reshape(len(activated), -1)
    upper, lower = cuts_of(decision.thresholds, flat.shape[1]) if decision.target.has_thresholds else ([], [])
    predicted = predicted_values(vocabulary, flat, upper)
    if vocabulary.is_exclusive:
        predicted = decision.target.predicted(activated).cpu().numpy().astype(np.float32)[:, None, None]
    abstained = (
        decision.abstains(activated).cpu().numpy().reshape(len(flat), -1) if vocabulary.has_probabilities else None
    )
    return Answers(
        vocabulary.names,
        _extended(predicted, count),
        _extended(flat.astype(np.float32), count) if vocabulary.has_probabilities else None,
        upper,
        lower,
        None if abstained is None else _extended(abstained, count, False),
    )


def _extended(rows: np.ndarray[Any, Any], count: int, fill: object = np.nan) -> np.ndarray[Any, Any]:
    """The rows, extended to this number."""
    further = np.full((count - len(rows), *rows.shape[1:]), fill, dtype=rows.dtype)
    return np.concatenate([rows, further])


def _labels_of(options: ReviewOptions, root: Path) -> tuple[Source | None, WriteFormat, str, str]:
    """(the source of the labels, their format, the name of the new table, a sentence if they cannot be read again)."""
    try:
        saved = SavedOptions.load(options.source)
        if saved.source is None:
            return None, "csv", "labels-v2.csv", "the model folder does not name its label file; the table is CSV"
        source = read(saved.source, saved.reading)
        to = _FORMATS.get(recognise(saved.source).format.name, "csv")
    except EyebrightError as error:
        return None, "csv", "labels-v2.csv", f"the labels that trained the model cannot be read again: {error}"
    if root.resolve() != source.root.resolve():
        return None, "csv", "labels-v2.csv", "the images are not at the paths in the label file; the table is CSV"
    stem = re.sub(r"-v\d+$", "", saved.source.stem or "labels")
    number = re.search(r"-v(\d+)$", saved.source.stem)
    version = int(number[1]) + 1 if number else 2
    return source, to, f"{stem}-v{version}{WRITERS[to].suffix}", ""


def _missing(root: Path) -> str:
    return "" if root.is_dir() else f"the images are no longer in '{root}'; give their folder as `images`"


# ------------------------------------------------------------------ images without labels


def _images_content(options: ReviewOptions) -> _ReviewContent:
    if options.new is not None:
        raise InputError(f"'{options.source}' is not a model folder; a folder of images must be the only argument")
    if options.images is not None:
        raise InputError("`images` is for the images of a model")
    if options.source.is_file():
        raise InputError(
            f"'{options.source}' is a file; give a model folder (`eyebright train` writes one), or a folder of images"
        )
    content = folder_content(options.source)
    root = options.source.resolve()
    files = tuple(file.relative_to(options.source).as_posix() for file in content.images)
    names = [name.strip() for text in options.labels for name in text.split(",")]
    for index, name in enumerate(names):
        if problem := name_problem(name, [other for other in names[:index] if other != name]):
            raise InputError(f"`labels`: {problem}")
    vocabulary = Vocabulary(options.kind, tuple(dict.fromkeys(names)))
    items = ReviewItems(vocabulary, root, files, unknown_values(vocabulary, len(files)), title=root.name)
    return _ReviewContent(items, messages=tuple(content.messages))


def _new_files(folder: Path, root: Path, evaluation: Evaluation, model: Path) -> tuple[list[str], list[str]]:
    """(names of new images, relative to the root of the others if they are in it, else absolute; sentences)."""
    manifest = load_manifest(model)
    seen = images_of_model(model, manifest, saved_evaluations(model, manifest))
    known = {*evaluation.files, *(_relative(Path(path).resolve(), evaluation.root.resolve()) for path in seen.paths)}
    paths = [path.resolve() for path in folder_content(folder).images]
    base, known_paths = root.resolve(), {os.path.realpath(path) for path in seen.paths}
    names = [_relative(path, base) for path in paths]
    new = [name for name, path in zip(names, paths, strict=True) if name not in known and str(path) not in known_paths]
    if not new:
        raise InputError(f"all images in '{folder}' are images of the model; none is new")
    left_out = count_text(len(names) - len(new), "image")
    sentence = f"not new, and left out: {left_out} in '{folder}' that trained or validated the model"
    return new, [*seen.messages, *([sentence] if len(new) < len(names) else [])]


def _relative(path: Path, base: Path) -> str:
    """The name of an image: relative to the base if it is in it, else absolute."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
