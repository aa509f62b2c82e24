"""Saving after every epoch."""

from pathlib import Path

from eyebright.train.events import EpochDone
from eyebright.train.observers.checkpoint import checkpoint
from eyebright.train.state import read_checkpoint
from support.training import tiny_plans, tiny_run, train_all


def test_the_folder_has_only_the_checkpoint_of_the_last_epoch(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    run = tiny_run()
    run.begin(*tiny_plans())
    observe = checkpoint(run, path)
    written: list[int] = []
    for event in train_all(run):
        observe(event)
        if isinstance(event, EpochDone):
            written.append(read_checkpoint(path)[1]["epoch"])
        assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"] * bool(written)
    assert written == [1, 2, 3, 4]
