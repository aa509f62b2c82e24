"""Checkpoints: the state of a run as one safetensors file, which contains only tensors and JSON.

The JSON is in the header of the file. The file is written under a temporary name, flushed to the disk and renamed, so
after a crash there is either the old or the new one. A training that is resumed from the end of an epoch (`EpochDone`)
ends with the weights of an uninterrupted one: in float32 on a CPU, bit for bit.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from eyebright._version import __version__
from eyebright.errors import EyebrightError, TrainingError, listing, os_reason
from eyebright.io.atomic import make_folder, write_atomically
from eyebright.io.tensors import read_tensors
from eyebright.train.plan import Plan
from eyebright.train.run import Run

FORMAT = 3  # since 3 the data of a run are known by the contents of the images

# The keys of a stored description: "done" are the epochs done in the phase, "about" the conditions of a resume,
# "averaged" the number of updates of the moving average of the weights.
_COUNTS = ("phase", "done", "epoch", "step")
_KINDS = {
    **dict.fromkeys(_COUNTS, int),
    "seed": int,
    "about": dict,
    "precision": str,
    "plans": list,
    "history": list,
    "phase_started": bool,
    "stopped": (str, type(None)),
    "averaged": (int, type(None)),
    "scaler": (dict, type(None)),
}
_MEANINGS = {"data": "the hash of the data (labels, names or content of images, or their split)"}
"""What the names of conditions are called in a message."""

_MAX_LENGTH = 200  # most characters of a value in a message

Tensors = dict[str, Tensor]
Description = dict[str, Any]


def save_checkpoint(run: Run, path: str | Path) -> None:
    """Writes the state of the run to ``path``, in the main process; the others wait.

    Raises:
        TrainingError: the file cannot be written, for example because the disk is full; an older checkpoint is kept.
    """
    path = Path(path)
    tensors, description = run_state(run)
    header = {"eyebright": json.dumps(description)}

    def write() -> None:
        try:
            make_folder(path.parent)
            write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=header))
        except (OSError, SafetensorError) as reason:
            kept = "the previous one is kept" if path.exists() else "free some space or choose another place"
            raise TrainingError(f"cannot write the checkpoint '{path}': {reason}; {kept}") from None

    run.device.on_main(write)


def load_checkpoint(run: Run, path: str | Path, *, plans: Sequence[Plan] | None = None) -> None:
    """Restores the state of a run from a file; ``train`` then continues from there.

    Args:
        run: a run of the same model, seed and data, on any device.
        path: path of the checkpoint.
        plans: the plans to train, which must be those of the checkpoint; None for no check.

    Raises:
        TrainingError: the file does not exist, is damaged, or does not match this run; the run is unchanged.
    """
    tensors, description = read_checkpoint(path)
    restore(run, tensors, description, plans=plans)


def check_checkpoint(run: Run, path: str | Path, *, plans: Sequence[Plan], ignored_condition: str) -> None:
    """Raises an error for a checkpoint that `load_checkpoint` would reject; nothing is loaded.

    Args:
        run: the run, before one of its resume conditions is set to its value in the checkpoint.
        path: path of the checkpoint.
        plans: the plans to train.
        ignored_condition: the name of that condition, which is not compared.

    Raises:
        TrainingError: the file does not exist, is damaged, or does not match this run.
    """
    _, description = read_checkpoint(path)
    about = {name: value for name, value in run.resume_conditions.items() if name != ignored_condition}
    _check_same(run.seed, about, description, plans)


def saved_plans(path: str | Path) -> tuple[Plan, ...]:
    """The plans of a checkpoint, with which a resumed training run continues.

    Raises:
        TrainingError: the file does not exist, or is not a complete checkpoint.
    """
    _, description = read_checkpoint(path)
    return tuple(Plan.from_json(plan) for plan in description["plans"])


def read_checkpoint(path: str | Path) -> tuple[Tensors, Description]:
    """The tensors and the JSON of a checkpoint.

    Raises:
        TrainingError: the file does not exist, or is not a complete checkpoint.
    """
    if not Path(path).is_file():
        raise TrainingError(f"there is no checkpoint '{path}': train without resuming first")
    try:
        tensors, metadata = read_tensors(path)
        description: Any = json.loads(metadata.get("eyebright", "{}"))
    except OSError as error:
        raise TrainingError(f"the checkpoint '{path}' cannot be read: {os_reason(error)}") from None
    except (ValueError, RecursionError) as reason:
        raise TrainingError(f"'{path}' is not a whole checkpoint ({reason}): start training again") from None
    if not isinstance(description, dict):
        raise TrainingError(f"'{path}' is not a whole checkpoint (it describes no run): start training again")
    if description.get("format") != FORMAT:
        raise TrainingError(
            f"'{path}' is not a checkpoint of format {FORMAT} (it says {description.get('format')}):"
            " resume with the version of eyebright that wrote it"
        )
    if wrong := _what_is_wrong(tensors, description):
        raise TrainingError(f"'{path}' is not a whole checkpoint ({wrong}): start training again")
    return tensors, description


def run_state(run: Run) -> tuple[Tensors, Description]:
    """The state of a run: tensors by name, and the rest as JSON."""
    tensors = {f"model/{name}": tensor for name, tensor in run.model.state_dict().items()}
    if run.phase_started:
        state = run.current_optimizer.torch.state
        for name, parameter in run.model.named_parameters():
            tensors |= {f"optimizer/{name}/{key}": value for key, value in state.get(parameter, {}).items()}
        if run.ema:
            tensors |= {f"average/{name}": tensor for name, tensor in run.ema.weights.items()}
    tensors["curve/losses"] = torch.tensor(run.losses, dtype=torch.float64)
    tensors["curve/lrs"] = torch.tensor(run.lrs, dtype=torch.float64).reshape(-1, len(run.param_groups))
    # One copy each: safetensors takes neither shared nor strided memory.
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return tensors, _description(run)


def restore(
    run: Run, tensors: Mapping[str, Tensor], description: Mapping[str, Any], *, plans: Sequence[Plan] | None = None
) -> None:
    """Restores the state from `run_state` of another run.

    Raises:
        TrainingError: the state does not match this run; the run is unchanged.
    """
    saved_plans = _check_same(run.seed, run.resume_conditions, description, plans)
    _check_tensors(run, tensors, description)
    run.device.set_precision(description["precision"], "as in the checkpoint")
    _fill(run.model.state_dict(), tensors, "model/")
    run.begin(*saved_plans)
    run.phase, run.phase_epoch = description["phase"], description["done"]
    run.epoch, run.step = description["epoch"], description["step"]
    run.stopped, run.history = description["stopped"], description["history"]
    run.losses = tensors["curve/losses"].tolist()
    run.lrs = [tuple(rates) for rates in tensors["curve/lrs"].tolist()]
    if description["phase_started"]:
        run.start_phase()
        _restore_phase(run, tensors, description)


def _description(run: Run) -> Description:
    return {
        "format": FORMAT,
        "versions": {"eyebright": __version__, "torch": torch.__version__} | {"python": platform.python_version()},
        "about": run.resume_conditions,
        "seed": run.seed,
        "precision": run.device.precision,
        "scaler": run.device.scaler.state_dict() if run.device.scaler else None,
        "plans": [plan.to_json() for plan in run.plans],
        "phase": run.phase,
        "done": run.phase_epoch,
        "epoch": run.epoch,
        "step": run.step,
        "stopped": run.stopped,
        "phase_started": run.phase_started,
        "averaged": run.ema.updates if run.ema else None,
        "history": run.history,
    }


def _what_is_wrong(tensors: Tensors, description: Description) -> str:
    """A description of missing or invalid entries of a checkpoint; empty if it is valid."""
    wrong = [
        name for name, kind in _KINDS.items() if name not in description or not isinstance(description[name], kind)
    ]
    wrong += [name for name in _COUNTS if name not in wrong and description[name] < 0]
    wrong += [name for name in ("curve/losses", "curve/lrs") if name not in tensors]
    if wrong:
        return f"missing or invalid: {listing(wrong)}"
    try:
        plans = [Plan.from_json(plan) for plan in description["plans"]]
    except (EyebrightError, AttributeError, KeyError, TypeError, ValueError) as error:
        return f"its plans cannot be understood: {error}"
    n_begun = description["phase"] + description["phase_started"]
    return "" if n_begun <= len(plans) else f"it is in phase {description['phase']} of {len(plans)}"


def _check_same(
    seed: int, about: Mapping[str, Any], description: Mapping[str, Any], requested: Sequence[Plan] | None
) -> tuple[Plan, ...]:
    """The plans of a checkpoint, if it matches the run."""
    saved = tuple(Plan.from_json(plan) for plan in description["plans"])
    differences = _differences("", description["about"], json.loads(json.dumps(dict(about))))
    if description["seed"] != seed:
        differences.append(f"the seed was {description['seed']} and is {seed}")
    if requested is not None and tuple(requested) != saved:
        differences.append(_plan_difference(saved, requested))
    if differences:
        raise TrainingError(
            f"the checkpoint does not fit what is to be trained: {'; '.join(differences)};"
            " resume with what it was made with, or start again without it"
        )
    return saved


def _differences(name: str, was: Any, now: Any) -> list[str]:
    """The differing values with their paths of keys; keys that only the old description has are ignored."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [words for key, value in now.items() for words in _differences(f"{name} {key}", was.get(key), value)]
    what = _MEANINGS.get(name.strip(), name.strip())
    return [] if was == now else [f"{what} was {_short(was)} and is {_short(now)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def _plan_difference(saved: Sequence[Plan], requested: Sequence[Plan]) -> str:
    if len(saved) != len(requested):
        return f"it had {len(saved)} phases, and {len(requested)} are asked for"
    pairs = [(old.to_json(), new.to_json()) for old, new in zip(saved, requested, strict=True)]
    fields = [(name, old[name], new[name]) for old, new in pairs for name in old if old[name] != new[name]]
    return "; ".join(f"{name} was {old} and is {new}" for name, old, new in fields)


def _check_tensors(run: Run, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    ours, theirs = _shapes(run.model.state_dict()), _shapes(tensors, "model/")
    wrong = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if wrong:
        shapes = f"'{wrong[0]}' has the shape {theirs.get(wrong[0], 'none')} there, {ours.get(wrong[0], 'none')} here"
        raise TrainingError(
            f"the checkpoint is of another model: {len(wrong)} of its {len(theirs)} tensors do not fit"
            f" ({listing(wrong, limit=3)}; {shapes})"
        )
    phase, plans = description["phase"], description["plans"]
    has_average = description["phase_started"] and Plan.from_json(plans[phase]).options.ema
    if has_average and (description["averaged"] is None or _shapes(tensors, "average/") != ours):
        raise TrainingError("the checkpoint is damaged: it lacks the moving average of the weights, or a part of it")


def _shapes(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors whose names begin with the prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): tuple(tensor.shape) for name, tensor in tensors.items() if name.startswith(prefix)
    }


def _restore_phase(run: Run, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    for name, parameter in run.model.named_parameters():
        prefix = f"optimizer/{name}/"
        saved = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if saved:
            run.current_optimizer.torch.state[parameter] = {
                key: _like(value, parameter) for key, value in saved.items()
            }
    if run.ema:
        _fill(run.ema.weights, tensors, "average/")
        run.ema.updates = description["averaged"]
    if run.device.scaler and description["scaler"]:
        run.device.scaler.load_state_dict(description["scaler"])


def _fill(targets: Mapping[str, Tensor], tensors: Mapping[str, Tensor], prefix: str) -> None:
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(tensors[prefix + name])


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """On the parameter's device and, where shapes are equal, in its memory layout, which fused optimizers require."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
