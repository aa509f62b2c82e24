"""A training job reads its source with all reading options."""

from dataclasses import fields
from pathlib import Path

import pytest

from eyebright.cli.worker import TrainingJob, run_training
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions


def test_every_reading_option_reaches_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ReadOptions(
        images=Path("photos"), files="f", labels=("x", "y"), not_labels=("sex",), delimiter=";", kind="points",
        mirror="a:b", unit="percent", format="coco", blank="no", uncertain="yes", none_label="No", pattern="(.+)_",
        group="patient", split="none",
        valid_fold=1, valid=Path("v.csv"), test=Path("t.csv"),
    )  # fmt: skip
    assert all(getattr(asked, field.name) not in (None, ()) for field in fields(ReadOptions))
    given: dict[str, object] = {}

    def stop(_: Path, **options: object) -> None:
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("eyebright.workflow.reading.read_source", stop)
    with pytest.raises(KeyboardInterrupt):
        run_training(TrainingJob(Path("labels.csv"), Path("model"), asked, TrainOptions(), resume=False, started=0.0))
    assert given == {field.name: getattr(asked, field.name) for field in fields(ReadOptions)}
