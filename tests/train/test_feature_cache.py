"""Kept features change what a frozen epoch costs, not what it learns."""

import gc
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from eyebright.data.batch import Batch, Shard
from eyebright.data.getters import ColReader
from eyebright.errors import InputError, TrainingError
from eyebright.learner.learner import Learner
from eyebright.metrics.labels import mean_ap
from eyebright.models.split_model import split_at_head
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.train.device import Device
from eyebright.train.events import EpochDone, Event
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.phase_setups import PhaseSetups
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import small_learner, squares_block


def frozen(folder: Path, table: pd.DataFrame, *, changes: dict[str, Any] | None = None, **options: Any) -> Learner:
    data = {name: options.pop(name) for name in ("skip_bad", "drop_last") if name in options}
    # 30 of the 40 images train: three batches of 8, and 6 that are dropped, others in each epoch.
    dls = squares_block(folder, **(changes or {})).dataloaders(table, bs=8, num_workers=2, **data)
    learner = small_learner(dls, train_bn=False, **options)
    learner.freeze()
    return learner


def without_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no phase caches features."""
    for name in ("_train_cache", "_valid_cache"):
        monkeypatch.setattr(PhaseSetups, name, lambda *_: None)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> dict[bool, list[int]]:
    """Of how many images features were computed each time, in training (True) and in validation."""
    seen: dict[bool, list[int]] = {True: [], False: []}
    made = FeatureCache._features

    def spy(self: FeatureCache, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seen[self._loader.training].append(len(batch.x))
        return made(self, batch)

    monkeypatch.setattr(FeatureCache, "_features", spy)
    return seen


@pytest.fixture
def looked_at(computed: dict[bool, list[int]]) -> list[int]:
    """Of how many training images features were computed each time."""
    return computed[True]


def test_backbone_and_head_together_equal_the_model(folder: Path, table: pd.DataFrame) -> None:
    model = frozen(folder, table).model.eval()
    x = torch.rand(4, 3, 32, 32)
    feature_extractor, head = split_at_head(model)
    features = feature_extractor(x)
    assert features.ndim == 2
    assert torch.equal(head(features), model(x))
    learn = {id(parameter) for parameter in model.head.parameters()}
    assert {id(parameter) for parameter in head.parameters()} == learn


@pytest.mark.parametrize("views", [2, 5])
def test_with_as_many_views_as_epochs_the_losses_equal_those_without_a_cache(
    views: int, folder: Path, table: pd.DataFrame, looked_at: list[int]
) -> None:
    plain, kept = frozen(folder, table), frozen(folder, table)
    plain.fit(1, 1e-2)
    kept.fit(1, 1e-2)  # a phase need not begin with the first epoch
    assert looked_at == []
    plain.fit_one_cycle(2, 1e-2)
    kept.fit_one_cycle(2, 1e-2, augment_views=views)
    assert kept.run.losses == plain.run.losses
    # The head's statistics are counted anew for validation, here on what the folded body gave: the same up to noise.
    scores = [[row["valid_loss"] for row in learner.run.history] for learner in (plain, kept)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-5)
    assert looked_at == [8] * 6


def test_fine_tune_caches_features_only_while_the_backbone_is_frozen(
    folder: Path, table: pd.DataFrame, looked_at: list[int]
) -> None:
    plain, kept = frozen(folder, table), frozen(folder, table)
    plain.fine_tune(1, 1e-2, freeze_epochs=2)
    kept.fine_tune(1, 1e-2, freeze_epochs=2, augment_views=2)
    assert kept.run.losses == plain.run.losses
    assert [plan.augment_views for plan in kept.run.plans] == [2, None]
    assert looked_at == [8] * 6
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), kept.model.parameters(), strict=True))


def test_later_epochs_read_no_image(folder: Path, table: pd.DataFrame, looked_at: list[int]) -> None:
    learner = frozen(folder, table)
    learner.fit(6, 1e-2, augment_views=2)
    # Each view: three batches in its own epoch, then once the six that these did not contain, with one beside them.
    assert looked_at == [8] * 6 + [7] * 2
    assert len(learner.run.losses) == 18


def test_validation_with_cached_features_has_the_same_scores(
    folder: Path, table: pd.DataFrame, computed: dict[bool, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = frozen(folder, table, metrics=[mean_ap])
    kept.fine_tune(2, 1e-2, freeze_epochs=3)
    assert computed == {True: [], False: [8, 2]}
    without_caches(monkeypatch)
    plain = frozen(folder, table, metrics=[mean_ap])
    plain.fine_tune(2, 1e-2, freeze_epochs=3)
    rows = [[(row["valid_loss"], row["mAP"]) for row in learner.run.history] for learner in (kept, plain)]
    assert rows[0] == rows[1]
    assert computed[False] == [8, 2]


def test_later_epochs_have_their_own_order_and_the_views_of_earlier_ones(folder: Path, table: pd.DataFrame) -> None:
    learner = frozen(folder, table)
    train, device = learner.dls.train, learner.run.device
    model = split_at_head(learner.model.eval())
    kept = FeatureCache(model, train, device, first_epoch=5, views=2)
    for epoch in range(5, 11):
        view = 5 + (epoch - 5) % 2
        for (features, targets), group in zip(kept.batches(epoch), train.index_batches(epoch), strict=True):
            x, y, *_ = train.collate([train.sample(i, view) for i in group])
            torch.testing.assert_close(features, model.feature_extractor(x))
            assert torch.equal(targets, y)


def test_each_process_caches_the_images_that_it_reads(folder: Path, table: pd.DataFrame) -> None:
    learner = frozen(folder, table)
    train, device, model = learner.dls.train, learner.run.device, split_at_head(learner.model.eval())
    whole = FeatureCache(model, train, device)
    parts = [FeatureCache(model, train, device, Shard(number, 2)) for number in range(2)]
    for epoch in range(3):
        both = zip(*(part.batches(epoch) for part in parts), strict=True)
        for (features, targets), read in zip(whole.batches(epoch), both, strict=True):
            assert [len(part[1]) for part in read] == [4, 4]
            torch.testing.assert_close(torch.cat([part[0] for part in read]), features)
            assert torch.equal(torch.cat([part[1] for part in read]), targets)


def test_cached_points_are_those_of_the_view(folder: Path, table: pd.DataFrame) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    points = {"blocks": (ImageBlock, PointBlock), "get_y": ColReader(["x", "y"])}
    learner = frozen(folder, marked, changes=points)
    train = learner.dls.train
    kept = FeatureCache(split_at_head(learner.model.eval()), train, learner.run.device)
    first, later = list(kept.batches(0)), list(kept.batches(1))
    assert len(first) == len(later) > 0
    for (_, targets), group in zip(later, train.index_batches(1), strict=True):
        expected = train.collate([train.sample(i, 0) for i in group]).y
        torch.testing.assert_close(targets, expected, rtol=0, atol=0, equal_nan=True)


def test_an_image_that_is_drawn_several_times_per_epoch_is_cached_once(folder: Path, table: pd.DataFrame) -> None:
    weights = [1.0 + 9 * (i % 7 == 0) for i in range(len(table))]
    block = squares_block(folder)
    train = block.dataloaders(table, bs=8, drop_last=False, sample_weights=weights).train
    model = split_at_head(frozen(folder, table).model.eval())
    cache = FeatureCache(model, train, Device("cpu", "float32"), views=1)
    for epoch in range(3):
        batches = list(cache.batches(epoch))
        assert [len(targets) for _, targets in batches] == [len(group) for group in train.index_batches(epoch)]
        for (features, targets), group in zip(batches, train.index_batches(epoch), strict=True):
            images = [train.sample(i if epoch == 0 else i % 30, 0) for i in group]
            x, y, *_ = train.collate(images)
            assert torch.equal(targets, y)
            if epoch == 0:
                torch.testing.assert_close(features, model.feature_extractor(x))


def test_without_augmentation_features_are_cached_automatically_with_equal_losses(
    folder: Path, table: pd.DataFrame, looked_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = {"item_tfms": Resize(32, method="squish"), "batch_tfms": None}
    unasked = frozen(folder, table, changes=as_it_is)
    unasked.fit(4, 1e-2)
    assert looked_at == [8] * 3 + [7]
    asked = frozen(folder, table, changes=as_it_is)
    asked.fit(4, 1e-2, augment_views=1)
    without_caches(monkeypatch)
    plain = frozen(folder, table, changes=as_it_is)
    plain.fit(4, 1e-2)
    assert len(looked_at) == 8
    assert asked.run.losses == unasked.run.losses
    assert unasked.run.losses == pytest.approx(plain.run.losses, rel=1e-5)


def test_with_random_transforms_features_are_not_cached_automatically(
    folder: Path, table: pd.DataFrame, looked_at: list[int]
) -> None:
    frozen(folder, table).fit(2, 1e-2)
    assert looked_at == []


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    whole = frozen(folder, table)
    whole.fit_one_cycle(5, 1e-2, augment_views=2)
    cut = frozen(folder, table)

    def die(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit_one_cycle(5, 1e-2, cbs=[die], augment_views=2, checkpoint=tmp_path / "c")
    resumed = frozen(folder, table)
    resumed.fit_one_cycle(5, 1e-2, augment_views=2, checkpoint=tmp_path / "c", resume=True)
    assert resumed.run.losses == whole.run.losses
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))
    with pytest.raises(TrainingError, match="augment_views was 2 and is 3"):
        frozen(folder, table).fit_one_cycle(5, 1e-2, augment_views=3, checkpoint=tmp_path / "c", resume=True)


def test_unreadable_images_are_omitted_in_every_epoch(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 40)
    (tmp_path / "002.png").write_bytes((tmp_path / "002.png").read_bytes()[:200])
    plain, kept = (frozen(tmp_path, table, skip_bad=True) for _ in range(2))
    plain.fit(2, 1e-2)
    kept.fit(2, 1e-2, augment_views=2)
    assert kept.run.losses == plain.run.losses
    kept.fit(4, 1e-2, augment_views=1)
    sizes = [len(batch.x) for epoch in range(2, 6) for batch in kept.dls.train.batches(epoch)]
    assert sum(sizes) < 4 * 24 + 1
    assert [Path(path).name for path in kept.dls.skipped] == ["002.png"]


def test_the_time_of_the_backbone_counts_as_the_forward_pass(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = frozen(folder, table)
    forward = type(split_at_head(learner.model).feature_extractor).forward

    def slow(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.2)
        return forward(self, x)

    monkeypatch.setattr(type(split_at_head(learner.model).feature_extractor), "forward", slow)
    learner.fit(1, 1e-2, augment_views=1)
    seconds = learner.run.timer.seconds
    assert seconds["forward"] > 0.6  # three batches
    assert 0 <= seconds["waiting for images"] < seconds["epoch"] - 0.6


def test_the_cache_is_freed_after_the_fit_and_built_again_by_the_next(
    folder: Path, table: pd.DataFrame, looked_at: list[int]
) -> None:
    learner = frozen(folder, table)
    learner.fit(2, 1e-2, augment_views=1)
    gc.collect()
    assert [thing for thing in gc.get_objects() if type(thing) is FeatureCache] == []
    learner.fit(2, 1e-2, augment_views=1)
    assert looked_at == ([8] * 3 + [7]) * 2


def test_lr_find_does_not_use_the_cache(folder: Path, table: pd.DataFrame, looked_at: list[int]) -> None:
    learner = frozen(folder, table)

    def die(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.fit(3, 1e-2, cbs=[die], augment_views=2)
    looked_at.clear()
    learner.lr_find(num_it=20, show_plot=False)
    assert looked_at == []


def test_augment_views_without_a_frozen_backbone_is_an_error(folder: Path, table: pd.DataFrame) -> None:
    learner = frozen(folder, table)
    with pytest.raises(InputError, match="`freeze_epochs=0` never freezes it"):
        learner.fine_tune(1, freeze_epochs=0, augment_views=2)
    with pytest.raises(
        InputError, match=r"`augment_views` must be a whole number of views of each image, at least 1, got 0"
    ):
        learner.fit(1, augment_views=0)
    learner.unfreeze()
    with pytest.raises(InputError, match=r"`augment_views=2` .* but it learns: freeze it first, or leave it out"):
        learner.fit_one_cycle(1, augment_views=2)
    book = small_learner(learner.dls)
    book.freeze()
    with pytest.raises(InputError, match="its norm layers learn: train with train_bn=False"):
        book.fine_tune(1, augment_views=2)


@pytest.mark.parametrize("asked", [True, False])
def test_features_that_do_not_fit_into_memory_are_an_error_or_not_cached(
    asked: bool, folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, looked_at: list[int]
) -> None:
    monkeypatch.setattr("eyebright.train.feature_cache.available_memory", lambda: 1000)
    changes = {} if asked else {"item_tfms": Resize(32, method="squish"), "batch_tfms": None}
    learner = frozen(folder, table, changes=changes, keep_statistics=True)

    def fit() -> None:
        learner.fit(3, 1e-2, augment_views=2 if asked else None)

    if asked:
        with pytest.raises(InputError, match="features of 2 views of 30 images take .* give fewer augment_views"):
            fit()
        return
    fit()
    assert looked_at == [8] * 9


def test_a_resumed_training_whose_features_do_not_fit_has_all_its_batches(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyebright.train.feature_cache.available_memory", lambda: 1000)
    learner = frozen(folder, table, changes={"item_tfms": Resize(32, method="squish"), "batch_tfms": None})
    cache = FeatureCache(split_at_head(learner.model.eval()), learner.dls.train, Device("cpu", "float32"))
    assert [len(features) for features, _ in cache.batches(2)] == [8, 8, 8]
    assert [len(features) for features, _ in cache.batches(3)] == [8, 8, 8]


def test_a_head_without_pooling_or_with_dropout_first_is_split_from_its_backbone(
    folder: Path, table: pd.DataFrame
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    plain = small_learner(dls, train_bn=False, first_bn=False, ps=0.9)
    feature_extractor, head = split_at_head(plain.model)
    assert isinstance(head.layers[0], nn.Dropout)
    assert not any(isinstance(layer, nn.Dropout) for layer in feature_extractor.pooling)
