"""The model that a training run starts from, with checks of the options and messages about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eyebright._choices import EvaluatedPart
from eyebright.errors import InputError, count_text, listing
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest
from eyebright.sources.source import Source
from eyebright.sources.task_types import targets_text
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.transforms.draw import Transform
from eyebright.transforms.serialize import preprocessing_to_json
from eyebright.transforms.spatial import Resize
from eyebright.types import Size
from eyebright.workflow.model_images import saved_evaluations
from eyebright.workflow.options import TrainOptions


@dataclass(frozen=True, eq=False)
class Parent:
    """A saved model that training starts from.

    Args:
        folder: the model folder.
        manifest: the manifest of the model.
        evaluations: the saved evaluations of the model, by part.
    """

    folder: Path
    manifest: Manifest
    evaluations: Mapping[EvaluatedPart, Evaluation]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name


def load_parent(folder: Path, out: Path) -> Parent:
    """The model that training starts from.

    Args:
        folder: the model folder.
        out: the folder of the new model.

    Raises:
        ArtifactError: the folder contains no model, or a damaged one.
        InputError: both folders are the same.
    """
    if out.resolve() == folder.resolve():
        raise InputError(
            f"`start_from` and `out` are the same folder, '{out}': give another `out`, so that `eyebright compare` "
            f"can compare both models"
        )
    manifest = load_manifest(folder)
    return Parent(folder, manifest, saved_evaluations(folder, manifest))


def options_of_parent(options: TrainOptions, parent: Parent) -> TrainOptions:
    """The options with the backbone, the size and the kind of head of the model that training starts from.

    Raises:
        InputError: an option requests another backbone, size, placement of images or head, or out-of-fold predictions
            with a backbone that was trained on the images.
    """
    model, name = parent.manifest.model, f"the model in '{parent.folder}'"
    if options.arch not in (None, model.arch):
        raise InputError(f"{name} has the backbone {model.arch}, not `arch={options.arch}`: leave `arch` out")
    size = Size.of(options.size) if options.size else model.input.size
    if size != model.input.size:
        raise InputError(f"{name} takes images of {model.input.size}, but `size` is {size}: leave `size` out")
    whole = _shows_whole_images(parent.manifest.preprocessing)
    if None not in (whole, options.whole) and whole != options.whole:
        how = "padded" if whole else "cropped"
        raise InputError(f"{name} was trained on {how} images, but `whole={options.whole}`: leave `whole` out")
    if options.folds is not None and parent.manifest.training.get("backbone_was_trained", True):
        raise InputError(
            f"`folds` needs predictions from models that were not trained on the image, but the backbone of {name} may "
            "have been trained on these images: leave `folds` out, or train without `start_from`"
        )
    parent_size = model.input.size
    return replace(
        options,
        arch=model.arch,
        size=parent_size.height if parent_size.height == parent_size.width else (parent_size.height, parent_size.width),
        whole=whole if options.whole is None else options.whole,
        head=_head(options, parent),
    )


def check_kind(source: Source, parent: Parent) -> None:
    """Raises `InputError` unless the data have targets of the kind of the model."""
    saved = parent.manifest.target
    if not isinstance(saved, TARGET_BLOCKS[source.kind]):
        raise InputError(
            f"the model in '{parent.folder}' predicts {targets_text(saved)} ({saved.describe()}), but these data "
            f"have {targets_text(source.block())}: a model can only start from one of the same kind"
        )


def start_messages(parent: Parent, target: TargetBlock, transforms: Sequence[Transform]) -> list[str]:
    """Sentences for the user on what the new model takes over from the model that it starts from.

    Args:
        parent: the model that training starts from.
        target: the fitted target block of the new model.
        transforms: the transforms of its validation images.
    """
    saved, noun = parent.manifest.target, target.task_type
    before, after = saved.value_names, target.value_names
    kept = [name for name in after if name in set(before)]
    new = [name for name in after if name not in set(before)]
    dropped = [name for name in before if name not in set(after)]
    sentences = [
        f"training starts from the model '{parent.name}'{_score(parent)}; it has {len(kept):,} of these {noun}"
    ]
    if new:
        sentences.append(f"{noun} that '{parent.name}' does not have, which get new outputs: {listing(new)}")
    if dropped:
        sentences.append(
            f"{noun} of '{parent.name}' that these data do not have, which are dropped: {listing(dropped)}"
        )
    if preprocessing_to_json(transforms) != preprocessing_to_json(parent.manifest.preprocessing):
        sentences.append(
            f"the preprocessing (resize, crop or padding) differs from that of '{parent.name}', so that its "
            f"predictions may differ"
        )
    return sentences


def _score(parent: Parent) -> str:
    """The main validation score of the model, in brackets; empty if unknown."""
    metric = parent.manifest.target.metrics()[0]
    value: Any = parent.manifest.scores.get(metric.name)
    images = parent.manifest.data.get("valid")
    if not isinstance(value, float) or not isinstance(images, int):
        return ""
    return f" ({metric.display_name} {value:.3f} on its {count_text(images, 'validation image')})"


def _head(options: TrainOptions, parent: Parent) -> str | None:
    """The head of the options, by default the head of the model."""
    is_linear = parent.manifest.model.lin_ftrs == ()
    if options.has_book_head and is_linear:
        raise InputError(
            f"the model in '{parent.folder}' has a linear head, but `head='book'` or an option for it was given: "
            f"leave it out"
        )
    is_open = options.trains_epochs and options.head is None and not options.has_book_head
    given_for_linear = options.minutes is not None or options.wise_ft is not None
    return "book" if is_open and not is_linear and not given_for_linear else options.head


def _shows_whole_images(transforms: tuple[Transform, ...]) -> bool | None:
    """Whether images are padded instead of cropped; None if they are resized in another way."""
    methods = {transform.method for transform in transforms if isinstance(transform, Resize)}
    return methods == {"pad"} if methods in ({"pad"}, {"crop"}) else None
