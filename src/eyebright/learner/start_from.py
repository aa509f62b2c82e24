"""The parts of a saved model that a learner takes over: `Learner.start_from`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.errors import InputError
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_model, state_hash
from eyebright.models.build import ImageModel
from eyebright.models.saved import build_saved
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration import NoCalibration
from eyebright.types import Thresholds

_MAX_ANCESTORS = 20


@dataclass(frozen=True, eq=False)
class SavedStart:
    """A saved model from which training starts.

    Args:
        model: the saved model, with its weights.
        rows: for each output of the new model, the index of the saved output whose weights it takes; None: new.
        thresholds: the thresholds of the outputs that both have, 0.5 for new ones; None if the saved ones cannot be
            used.
        record: its record in the manifest of the new model, as JSON: its name, the hash of its weights, its scores
            and data, which outputs were kept, are new and were dropped, and the models that it started from.
    """

    model: ImageModel
    rows: tuple[int | None, ...]
    thresholds: Thresholds | None
    record: dict[str, Any]


def saved_start(folder: str | Path, target: TargetBlock) -> SavedStart:
    """The saved model from which a model with another target starts.

    Args:
        folder: the model folder.
        target: the fitted target block of the new model.

    Raises:
        ArtifactError: the folder contains no model, or a damaged one.
        InputError: the saved model predicts another kind of target.
    """
    folder = Path(folder)
    manifest, state = load_model(folder)
    check_same_kind(manifest.target, target, folder)
    model = build_saved(manifest.model, state)
    model.backbone_was_trained = bool(manifest.training.get("backbone_was_trained", True))
    model.origin = f"the model '{_name(folder)}'"
    rows = matching_outputs(manifest.target, target)
    record = {
        "name": _name(folder),
        "weights": state_hash(state),
        "created": manifest.created,
        "scores": manifest.scores,
        "data": {name: manifest.data.get(name) for name in ("train", "valid", "fingerprint")},
        "outputs": _outputs(manifest.target, target),
        "ancestors": _ancestors(manifest),
    }
    return SavedStart(model, rows, _thresholds(manifest, rows), record)


def check_same_kind(saved: TargetBlock, target: TargetBlock, folder: Path) -> None:
    """Raises `InputError` unless a model of one target can start from a model of the other."""
    if type(saved) is not type(target):
        raise InputError(
            f"the model in '{folder}' predicts another kind of target than these data have: {saved.describe()}; and "
            f"{target.describe()}"
        )


def matching_outputs(saved: TargetBlock, target: TargetBlock) -> tuple[int | None, ...]:
    """For each output of a target, the index of the saved output of the same name; None for a new one."""
    index = {name: row for row, name in enumerate(saved.output_names)}
    return tuple(index.get(name) for name in target.output_names)


def _outputs(saved: TargetBlock, target: TargetBlock) -> dict[str, Any]:
    before, after = saved.value_names, target.value_names
    return {
        "kept": sum(name in set(before) for name in after),
        "new": [name for name in after if name not in set(before)],
        "dropped": [name for name in before if name not in set(after)],
    }


def _ancestors(manifest: Manifest) -> list[dict[str, str]]:
    """The models that the saved model started from, the last one first."""
    parent = manifest.training.get("parent")
    if not isinstance(parent, dict):
        return []
    own = {name: str(parent.get(name, "")) for name in ("name", "weights")}  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    older: Any = parent.get("ancestors")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return [own, *(older if isinstance(older, list) else [])][:_MAX_ANCESTORS]


def _thresholds(manifest: Manifest, rows: Sequence[int | None]) -> Thresholds | None:
    """The thresholds of the outputs that both have; promises and calibration belong only to the saved model."""
    saved = manifest.decision.thresholds
    if (
        not manifest.target.has_thresholds
        or saved.is_three_way
        or not isinstance(manifest.decision.calibration, NoCalibration)
    ):
        return None
    values = saved.per_class(manifest.target.n_out).tolist()
    return Thresholds(tuple(0.5 if row is None else values[row] for row in rows), saved.metric)


def _name(folder: Path) -> str:
    return folder.resolve().name
