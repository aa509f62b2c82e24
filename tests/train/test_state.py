"""Checkpoints: nothing is lost, nothing half written, and a resumed run is the uninterrupted one bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from eyebright.errors import TrainingError
from eyebright.train.device import Device
from eyebright.train.events import EpochDone, StepDone
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import Run
from eyebright.train.state import load_checkpoint, read_checkpoint, restore, run_state, save_checkpoint
from support.training import in_another_process, tiny_model, tiny_plans, tiny_run, train_all

KINDS: dict[str, tuple[Plan, ...]] = {
    "fine-tuning": tiny_plans(),
    "sgd": (Plan(3, (1e-2,) * 3, options=FitOptions(optimizer="sgd")),),
    "averaged, accumulated and clipped": (Plan(3, (1e-2,) * 3, options=FitOptions(ema=0.9, accumulate=2, clip=0.1)),)
    * 2,
}


def weights(run: Run) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def trained(plans: tuple[Plan, ...], *, save_after: int, path: Path) -> Run:
    """A run that goes through to the end, and is saved after some epochs on its way."""
    run = tiny_run()
    run.begin(*plans)
    for event in train_all(run):
        if isinstance(event, EpochDone) and run.epoch == save_after:
            save_checkpoint(run, path)
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumed_after_any_epoch_equals_the_uninterrupted_one(kind: str, tmp_path: Path) -> None:
    plans = KINDS[kind]
    for epoch in range(1, sum(plan.epochs for plan in plans) + 1):
        whole = trained(plans, save_after=epoch, path=tmp_path / "run.safetensors")
        resumed = tiny_run(tiny_model(seed=9))
        load_checkpoint(resumed, tmp_path / "run.safetensors", plans=plans)
        list(train_all(resumed))
        assert_same(weights(resumed), weights(whole))
        assert (resumed.losses, resumed.lrs) == (whole.losses, whole.lrs)
        assert [row["train_loss"] for row in resumed.history] == [row["train_loss"] for row in whole.history]
        assert (resumed.epoch, resumed.step, resumed.finished) == (whole.epoch, whole.step, True)


@pytest.mark.parametrize("dies_after", [1, 3])
def test_a_killed_training_resumes_to_the_weights_of_an_uninterrupted_one(dies_after: int, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    program = f"""
import os
from eyebright.train.events import StepDone
from eyebright.train.loop import watch
from eyebright.train.observers.checkpoint import checkpoint
from support.training import STEPS, tiny_plans, tiny_run, train_all

run = tiny_run()
run.begin(*tiny_plans())
die = lambda event: os._exit(9) if isinstance(event, StepDone) and run.step == {dies_after} * STEPS + 2 else None
watch(train_all(run), [checkpoint(run, {str(path)!r}), die])
"""
    died = in_another_process("-c", program)
    assert died.returncode == 9, died.stderr
    resumed, whole = tiny_run(tiny_model(seed=9)), trained(tiny_plans(), save_after=0, path=path)
    load_checkpoint(resumed, path)
    assert (resumed.epoch, resumed.phase) == (dies_after, dies_after // 2)
    list(train_all(resumed))
    assert_same(weights(resumed), weights(whole))


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    trained(tiny_plans(), save_after=1, path=path)
    before = path.read_bytes()
    program = f"""
from eyebright.errors import TrainingError
from eyebright.train.state import save_checkpoint
from support.full_disk import files_of_at_most
from support.training import tiny_run

run = tiny_run()
try:
    with files_of_at_most(1000):
        save_checkpoint(run, {str(path)!r})
except TrainingError as error:
    print(error)
"""
    said = in_another_process("-c", program)
    assert "cannot write the checkpoint" in said.stdout, said.stderr
    assert "File too large" in said.stdout
    assert "the previous one is kept" in said.stdout
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def test_an_unwritable_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        TrainingError, match=r"cannot write the checkpoint '.*file/run.safetensors'.*choose another place"
    ):
        save_checkpoint(tiny_run(), tmp_path / "file" / "run.safetensors")


def test_the_file_contains_only_tensors_and_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.safetensors"
    trained(tiny_plans(), save_after=3, path=path)
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["eyebright"])
    assert description["phase"] == 1
    assert description["done"] == 1
    assert set(description["versions"]) == {"eyebright", "torch", "python"}
    assert description["precision"] == "float32"


def test_auto_precision_becomes_that_of_the_checkpoint(tmp_path: Path) -> None:
    run = tiny_run(device=Device("cpu", "bfloat16"))
    run.begin(*tiny_plans())
    save_checkpoint(run, tmp_path / "run.safetensors")
    auto, asked = tiny_run(device=Device("cpu")), tiny_run(device=Device("cpu", "float32"))
    for resumed in (auto, asked):
        load_checkpoint(resumed, tmp_path / "run.safetensors")
    assert auto.device.precision == "bfloat16"
    assert auto.device.precision_reason == "bfloat16: as in the checkpoint"
    assert asked.device.precision == "float32"


@pytest.mark.parametrize(
    ("fields", "plans", "message"),
    [
        ({"seed": 5}, None, "the seed was 0 and is 5"),
        ({"resume_conditions": {"arch": "resnet18"}}, None, "arch was None and is 'resnet18'"),
        (
            {"resume_conditions": {"data": "1f"}},
            None,
            r"the hash of the data \(labels, names or content of images, or their split\) was None and is '1f'",
        ),
        (
            {"resume_conditions": {"model": {"arch": "resnet18", "input": {"size": [64, 64]}}}},
            None,
            "model was None and is {'arch'",
        ),
        ({}, tiny_plans()[:1], "it had 2 phases, and 1 are asked for"),
        ({}, (tiny_plans()[0], Plan(7, (1e-3,) * 3)), "epochs was 2 and is 7; lr was"),
        (
            {"model": nn.Sequential(*tiny_model()[:2], nn.Linear(16, 3))},
            None,
            "of another model: 4 of its 14 tensors do not fit .*shape \\(2,\\) there, none here",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_run_is_an_error(
    fields: dict[str, Any], plans: tuple[Plan, ...] | None, message: str, tmp_path: Path
) -> None:
    trained(tiny_plans(), save_after=1, path=tmp_path / "run.safetensors")
    run = tiny_run(**fields)
    before = weights(run)
    with pytest.raises(TrainingError, match=message):
        load_checkpoint(run, tmp_path / "run.safetensors", plans=plans)
    assert_same(weights(run), before)
    assert run.plans == ()


def test_a_missing_damaged_or_foreign_checkpoint_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(TrainingError, match="there is no checkpoint '.*run.safetensors': train without resuming first"):
        read_checkpoint(path)
    trained(tiny_plans(), save_after=1, path=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="is not a whole checkpoint"):
        read_checkpoint(path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(TrainingError, match=r"is not a checkpoint of format 3 \(it says None\)"):
        read_checkpoint(path)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.safetensors"
    trained(tiny_plans(), save_after=1, path=path)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("eyebright.train.state.read_tensors", refuse)
    with pytest.raises(TrainingError, match=r"^the checkpoint '.*' cannot be read: Permission denied$"):
        read_checkpoint(path)


def test_the_error_names_only_the_differences(tmp_path: Path) -> None:
    model = {"arch": "resnet18", "input": {"size": [32, 32], "mean": [0.5] * 3}}
    run = tiny_run(resume_conditions={"model": model, "vocab": ["a"] * 1000})
    run.begin(*tiny_plans())
    save_checkpoint(run, tmp_path / "run.safetensors")
    other_model = {**model, "input": {"size": [64, 64], "mean": [0.5] * 3}}
    other = tiny_run(resume_conditions={"model": other_model, "vocab": ["b"] * 1000})
    with pytest.raises(
        TrainingError, match=r"trained: model input size was \[32, 32\] and is \[64, 64\]; vocab was"
    ) as told:
        load_checkpoint(other, tmp_path / "run.safetensors")
    assert len(str(told.value)) < 800


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"plans": None}, "missing or invalid: 'plans'"),
        ({"about": [], "seed": "x"}, "missing or invalid: 'seed', 'about'"),
        ({"epoch": -5}, "missing or invalid: 'epoch'"),
        ({"phase": "0"}, "missing or invalid: 'phase'"),
        ({"stopped": 1, "averaged": "x", "scaler": 1}, "missing or invalid: 'stopped', 'averaged', 'scaler'"),
        ({"phase": 99}, "it is in phase 99 of 2"),
        ({"plans": [{}]}, "its plans cannot be understood"),
        ({"plans": ["x"]}, "its plans cannot be understood"),
        ({"plans": [{**tiny_plans()[0].to_json(), "epochs": 0}]}, "its plans cannot be understood.*at least 1 epoch"),
    ],
)
def test_a_changed_description_is_an_error(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "run.safetensors"
    trained(tiny_plans(), save_after=1, path=path)
    tensors, description = read_checkpoint(path)
    save_file(tensors, path, metadata={"eyebright": json.dumps({**description, **change})})
    with pytest.raises(TrainingError, match=f"is not a whole checkpoint .*{says}.*start training again"):
        read_checkpoint(path)


@pytest.mark.parametrize("loses", ["the number of updates", "a tensor"])
def test_a_checkpoint_without_its_average_is_an_error_that_leaves_the_run_as_it_is(loses: str) -> None:
    whole = tiny_run()
    plans = (Plan(2, (1e-2,) * 3, options=FitOptions(ema=0.9)),)
    whole.begin(*plans)
    next(event for event in train_all(whole) if isinstance(event, StepDone))
    tensors, description = run_state(whole)
    assert description["averaged"] == 1
    if loses == "a tensor":
        del tensors[next(name for name in tensors if name.startswith("average/"))]
    else:
        description["averaged"] = None
    run = tiny_run(tiny_model(seed=9))
    before = weights(run)
    with pytest.raises(TrainingError, match="it lacks the moving average of the weights"):
        restore(run, tensors, description, plans=plans)
    assert_same(weights(run), before)
    assert run.plans == ()


def test_a_checkpoint_without_its_curve_or_description_is_an_error(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "run.safetensors"
    trained(tiny_plans(), save_after=1, path=path)
    tensors, description = read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, metadata={"eyebright": json.dumps(description)})
    with pytest.raises(TrainingError, match="missing or invalid: 'curve/losses', 'curve/lrs'"):
        read_checkpoint(path)
    for text in ("[]", "null", "[" * 100_000):
        save_file(tensors, path, metadata={"eyebright": text})
        with pytest.raises(TrainingError, match="is not a whole checkpoint"):
            read_checkpoint(path)
