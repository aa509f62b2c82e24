"""The goal of `until`: what it may say, and that training ends where the corrected interval has reached it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eyebright.errors import InputError
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.metric_intervals import metric_interval
from eyebright.evaluation.scores import bootstrap
from eyebright.learner.learner import Learner
from eyebright.learner.stop_at import StopAt
from eyebright.metrics.labels import mean_ap
from eyebright.sources.read import read_source
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.workflow.fine_tuning import check_goal
from eyebright.workflow.goal import Goal, parse_goal
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import SQUARES, TINY_ARCH, small_learner, squares_block, use_random_weights

LABELS = MultiCategoryBlock(vocab=["a"]).metrics()
POINTS = PointBlock(1, names=["a"]).metrics()


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 48)


def learner_of(folder: Path, table: pd.DataFrame, kind: str) -> Learner:
    dls = squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8, num_workers=0)
    return small_learner(dls, metrics=dls.target.metrics(), train_bn=False, keep_statistics=True)


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("mAP >= 0.8", Goal("mAP", ">=", 0.8)),
        ("mAP>=.8", Goal("mAP", ">=", 0.8)),
        (" macro F1 >= 1e-1 ", Goal("macro F1", ">=", 0.1)),
        ("mean distance <= 12", Goal("mean distance", "<=", 12)),
    ],
)
def test_a_goal_is_a_metric_a_sign_and_a_number(text: str, goal: Goal) -> None:
    assert parse_goal(text) == goal
    assert parse_goal(TrainOptions(until=text).until or "") == goal


@pytest.mark.parametrize("text", ["", "mAP", "mAP > 0.8", "mAP = 0.8", ">= 0.8", "mAP >= ", "mAP >= nan", "0.8 <= x"])
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="`until` must be a metric, >= or <=, and a number, such as 'mAP >= 0.8'"):
        TrainOptions(until=text)


def test_a_goal_needs_a_metric_of_the_target_and_its_direction() -> None:
    assert check_goal(TrainOptions(), LABELS) is None
    assert check_goal(TrainOptions(until="map >= 0.8"), LABELS) is mean_ap
    assert check_goal(TrainOptions(until="macro f1 >= 0.8"), LABELS) == check_goal(
        TrainOptions(until="f1_macro>=1"), LABELS
    )
    with pytest.raises(InputError, match="unknown metric 'mAPP'. Did you mean 'mAP'"):
        check_goal(TrainOptions(until="mAPP >= 0.8"), LABELS)
    with pytest.raises(InputError, match="`until`: mAP is better when it is higher: write >="):
        check_goal(TrainOptions(until="mAP <= 0.8"), LABELS)
    (error,) = POINTS
    with pytest.raises(InputError, match=f"{error.display_name} is better when it is lower: write <="):
        check_goal(TrainOptions(until=f"{error.name} >= 3"), POINTS)


@pytest.mark.parametrize(("kind", "sign"), [("multicategory", 1), ("points", -1)])
def test_training_ends_where_the_corrected_interval_has_reached_the_value(
    kind: str, sign: int, folder: Path, table: pd.DataFrame
) -> None:
    head = learner_of(folder, table, kind)
    head.fit_head(C=1e-6)  # a poor one, so that the interval has a width
    metric = head.dls.target.metrics()[0]
    plain, wider = (metric_interval(head.evaluate(), metric, level=level) for level in (0.95, 1 - 0.05 / 4))
    limit, narrower = (wider.low, plain.low) if sign == 1 else (wider.high, plain.high)
    assert sign * limit < sign * narrower
    reached, beyond = learner_of(folder, table, kind), learner_of(folder, table, kind)
    reached.lp_ft(3, lr=1e-30, C=1e-6, cbs=[StopAt(reached, metric, limit)])
    assert reached.run.history == []  # the look before the first epoch: the frozen model is good enough
    assert str(reached.run.stopped).endswith("(95 % corrected for 4 looks)")
    beyond.lp_ft(3, lr=1e-30, C=1e-6, cbs=[StopAt(beyond, metric, limit + sign * 1e-3)])
    assert len(beyond.run.history) == 3
    assert beyond.run.stopped is None


def test_a_look_after_an_epoch_ends_training_too(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "multicategory")
    stop = StopAt(learner, mean_ap, 0.0)
    learner.fit_one_cycle(3, cbs=[lambda event: stop(event) if learner.run.history else None])
    assert len(learner.run.history) == 1


def test_looks_with_a_moving_average_are_at_the_average_and_change_nothing(folder: Path, table: pd.DataFrame) -> None:
    ends = []
    for cbs in (False, True):
        learner = learner_of(folder, table, "multicategory")
        learner.options = replace(learner.options, ema=0.9)
        seen: list[Any] = []
        look: Sequence[Any] = [StopAt(learner, mean_ap, 2.0)] if cbs else []
        learner.fit_one_cycle(2, cbs=[*look, seen.append])
        ends.append([tensor.clone() for tensor in learner.model.state_dict().values()])
    assert all(bool((a == b).all()) for a, b in zip(*ends, strict=True))


def test_the_interval_of_a_metric_holds_the_metric_and_is_near_that_of_the_bootstrap(
    folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table, "points")
    learner.fit_head()
    evaluation, metric = learner.evaluate(), learner.dls.target.metrics()[0]
    expected = bootstrap(metric, [evaluation.activated, evaluation.targets], n_resamples=50, level=0.9)
    found = metric_interval(evaluation, metric, n_resamples=50, level=0.9)
    width = expected.high - expected.low
    assert found.low < metric(evaluation.activated, evaluation.targets) < found.high
    assert found.low == pytest.approx(expected.low, abs=width / 2)
    assert found.high == pytest.approx(expected.high, abs=width / 2)
    broken = replace(evaluation, outputs=evaluation.outputs * np.nan)
    nan = metric_interval(broken, metric)
    assert isinstance(nan, Interval)
    assert np.isnan(nan.low)


def test_the_command_says_why_it_ended_and_its_report_has_no_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_random_weights(monkeypatch)
    rows = coloured_squares(tmp_path / "photos", 40)
    rows[["fname", "labels", "is_valid"]].to_csv(tmp_path / "t.csv", index=False)
    source = read_source(tmp_path / "t.csv", images=tmp_path / "photos", labels=["labels"])
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=2, bs=6, precision="float32", progress="lines", device="cpu")
    said: list[str] = []
    train_model(source, tmp_path / "model", options=replace(options, until="mAP >= 0.01"), say=said.append)
    assert "stopped early: mAP >= 0.01: its interval is" in capsys.readouterr().out
    assert any("the frozen model is kept" in line for line in said)
    assert b'id="training"' not in (tmp_path / "model" / "report.html").read_bytes()
    with pytest.raises(InputError, match="`until`: unknown metric 'AUC'"):
        train_model(source, tmp_path / "other", options=replace(options, until="AUC >= 0.5"))
    assert not (tmp_path / "other").exists()
