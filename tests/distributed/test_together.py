"""Two processes end where one does: the same losses, weights, answers and files."""

import json
from pathlib import Path
from typing import Any

import pytest

from eyebright.inference.load_predictor import load_predictor
from support.images import coloured_squares
from support.together import UNREADABLE, all_results, train_learner, training_result
from support.training import in_another_process

Facts = dict[str, Any]
SAME = (
    "losses", "history", "weights", "statistics", "images", "predictions", "targets", "image losses",
    "training side", "two images", "one image", "validated", "thresholds", "saved", "rates", "weighted",
)  # fmt: skip
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "support.together")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set whose validation side two processes cannot divide evenly: 29 for training, 9 for validation."""
    folder = tmp_path_factory.mktemp("together")
    table = coloured_squares(folder / "photos", 38)
    table[["fname", "labels", "is_valid"]].to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> Facts:
    return all_results(folder, "one")


@pytest.fixture(scope="module")
def both(folder: Path, alone: Facts) -> tuple[Facts, Facts]:
    """What each of two processes found; ``alone`` has left its checkpoint before."""
    done = in_another_process(*LAUNCH, str(folder))
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    return first, second


def close(one: Any, other: Any) -> bool:
    """Whether two trees of numbers differ by what the order of a sum does to float32 in some ten steps."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other or one == pytest.approx(other, rel=1e-4, abs=1e-5, nan_ok=True)


@pytest.mark.slow
def test_all_processes_have_identical_results(both: tuple[Facts, Facts]) -> None:
    first, second = both
    assert {key for key in first if first[key] != second[key]} == set()


@pytest.mark.parametrize("what", SAME)
def test_two_processes_train_to_the_weights_of_one(alone: Facts, both: tuple[Facts, Facts], what: str) -> None:
    assert close(alone[what], both[0][what]), (alone[what], both[0][what])


def test_the_loss_decreases(alone: Facts) -> None:
    """Else equal curves would say little."""
    assert len(alone["losses"]) == 8
    assert max(alone["losses"]) - min(alone["losses"]) > 0.05


def test_checkpoints_can_be_resumed_with_another_number_of_processes(
    folder: Path, alone: Facts, both: tuple[Facts, Facts]
) -> None:
    whole = {key: alone[key] for key in both[0]["resumed"]}
    assert close(whole, both[0]["resumed"])
    assert close(whole, training_result(train_learner(folder, "of two", resume="two")))


def test_images_skipped_by_one_process_are_reported_by_all(alone: Facts, both: tuple[Facts, Facts]) -> None:
    assert alone["skipped"] == both[0]["skipped"] == both[1]["skipped"] == UNREADABLE


def test_errors_of_the_main_process_are_raised_in_all(
    both: tuple[Facts, Facts],
) -> None:
    for facts in both:
        unwritable, undivided = facts["refused"]
        assert unwritable.startswith("cannot write the history")
        assert undivided.startswith("a batch of 1 cannot be divided among 2 processes; give `bs=2` or more")


def test_files_are_complete_and_no_temporary_file_is_left(folder: Path, both: tuple[Facts, Facts]) -> None:
    assert [path.name for path in folder.rglob(".*")] == []
    assert load_predictor(folder / "model two").vocab == load_predictor(folder / "model one").vocab
