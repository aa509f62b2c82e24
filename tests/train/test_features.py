"""Features come from the cache only where nothing that decides them has changed, and are the same as without it."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from torch import Tensor, nn

from eyebright.data.dataloaders import DataLoaders
from eyebright.image.cache import ImageCache
from eyebright.image.cache_store import SUBFOLDER
from eyebright.inference.runtimes import features as runtimes
from eyebright.learner.learner import Learner
from eyebright.train import features
from eyebright.train.events import Event, FeaturesComputed, FeaturesStarted
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import SQUARES, small_learner, squares_block


def loaders(folder: Path, table: pd.DataFrame, cache: Any = None, **changes: Any) -> DataLoaders:
    options: dict[str, Any] = {"num_workers": 0, "bs": 8} | {
        key: changes.pop(key) for key in ("bs", "skip_bad") if key in changes
    }
    return squares_block(folder, **{"item_tfms": Resize(32), "batch_tfms": [], **changes}).dataloaders(
        table, cache=cache, **options
    )


def fit(dls: DataLoaders, change: Callable[[Learner], object] = lambda _: None) -> tuple[Tensor, list[Event]]:
    """The head's outputs for the validation images, and the events of the features."""
    learner = small_learner(dls)
    change(learner)
    events: list[Event] = []
    learner.trainer._show_progress = lambda _: nullcontext(events.append)  # type: ignore[method-assign]
    learner.fit_head(C=0.01)
    return learner.trainer.outputs.of_loader(dls.valid, exact=True).outputs, events


@pytest.mark.parametrize("kind", ["category", "points"])
@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_second_training_computes_no_features_and_gives_the_same_model(
    kind: str, where: str, folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    expected, events = fit(loaders(folder, table, **SQUARES[kind]))
    memory = ImageCache.in_memory()
    for again in (False, True):
        cache = memory if where == "memory" else ImageCache.in_folder(tmp_path)
        outputs, computed = fit(loaders(folder, table, cache, **SQUARES[kind]))
        torch.testing.assert_close(outputs, expected, rtol=0, atol=0)
        assert computed == ([] if again else events)
    assert f"{len(table)} of {len(table) * (2 if where == 'memory' else 1)} lookups of features" in cache.summary


def test_another_label_or_split_or_batch_size_or_path_computes_no_features(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    cache = ImageCache.in_memory()
    fit(loaders(folder, table, cache))
    other = table.assign(labels=table["labels"].iloc[::-1].to_numpy(), is_valid=[i % 5 == 2 for i in range(len(table))])
    for name in table["fname"]:
        (tmp_path / f"copy_{name}").write_bytes((folder / name).read_bytes())
    other["fname"] = "copy_" + other["fname"]
    expected, _ = fit(loaders(tmp_path, other, bs=7))
    outputs, events = fit(loaders(tmp_path, other, cache, bs=7))
    assert events == []
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)  # batches of other sizes are rounded otherwise


def use_other_weight(learner: Learner) -> None:
    with torch.no_grad():
        next(learner.model.body.parameters())[0] += 1e-3


def use_other_statistics(learner: Learner) -> None:
    norm = next(module for module in learner.model.body.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean += 0.1


def use_other_layer(learner: Learner) -> None:
    name = next(name for name, module in learner.model.body.named_modules() if isinstance(module, nn.ReLU))
    learner.model.body.set_submodule(name, nn.SiLU())


def use_other_mean(learner: Learner) -> None:
    learner.model.mean += 0.1


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (use_other_weight, {}),
        (use_other_statistics, {}),
        (use_other_layer, {}),
        (use_other_mean, {}),
        (lambda _: None, {"item_tfms": Resize(48)}),
        (lambda _: None, {"item_tfms": Resize(32, method="pad", pad_mode="zeros")}),
        (lambda _: None, SQUARES["points"]),  # a grid of places
    ],
)
def test_other_weights_layers_pixels_or_pooling_find_no_features(
    change: Callable[[Learner], None], data: dict[str, Any], folder: Path, table: pd.DataFrame
) -> None:
    cache = ImageCache.in_memory()
    fit(loaders(folder, table, cache))
    expected, events = fit(loaders(folder, table, **data), change)
    outputs, computed = fit(loaders(folder, table, cache, **data), change)
    assert computed == events
    torch.testing.assert_close(outputs, expected, rtol=0, atol=0)


def test_another_version_of_a_library_finds_no_features(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ImageCache.in_memory()
    _, events = fit(loaders(folder, table, cache))
    monkeypatch.setattr(features, "version", lambda name: f"99.0 of {name}")
    assert fit(loaders(folder, table, cache))[1] == events


def test_only_changed_and_new_images_are_computed(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 24)
    cache = ImageCache.in_memory()
    fit(loaders(tmp_path, table.iloc[:22], cache))
    changed = next(str(name) for name, is_valid in zip(table["fname"], table["is_valid"], strict=True) if is_valid)
    PIL.Image.fromarray(np.full((48, 64, 3), 99, dtype=np.uint8)).save(tmp_path / changed)
    expected, _ = fit(loaders(tmp_path, table))
    before = cache.feature_hits
    outputs, events = fit(loaders(tmp_path, table, cache))
    assert len(table) - (cache.feature_hits - before) == 3  # one has changed and two are new
    assert [type(event) for event in events] == [FeaturesStarted, FeaturesComputed] * 2
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)


def test_a_file_that_changes_while_its_features_are_computed_is_not_kept(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 16)
    cache = ImageCache.in_memory()
    path = tmp_path / table["fname"].iloc[3]
    old = path.read_bytes()

    def change_file(_: Event) -> None:
        PIL.Image.fromarray(np.full((48, 64, 3), 99, dtype=np.uint8)).save(path)

    dls = loaders(tmp_path, table, cache)
    small_learner(dls).trainer.frozen.features(dls, change_file)
    path.write_bytes(old)
    expected, _ = fit(loaders(tmp_path, table))
    torch.testing.assert_close(fit(loaders(tmp_path, table, cache))[0], expected, rtol=0, atol=1e-5)


def test_damaged_features_are_computed_again_and_said(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    expected, _ = fit(loaders(folder, table, ImageCache.in_folder(tmp_path)))
    entries = [path for path in (tmp_path / SUBFOLDER).rglob("*") if path.is_file()]
    damaged = [path for path in entries if path.read_bytes().startswith(b"eyefea")][:3]
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[-2] ^= 1
        path.write_bytes(bytes(data))
    cache = ImageCache.in_folder(tmp_path)
    torch.testing.assert_close(fit(loaders(folder, table, cache))[0], expected, rtol=0, atol=1e-5)
    assert "; 3 damaged entries were replaced" in cache.summary
    cache = ImageCache.in_folder(tmp_path)
    assert fit(loaders(folder, table, cache))[1] == []
    assert cache.store.n_damaged == 0


def test_unreadable_images_are_skipped_with_features_from_the_cache(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 16)
    cache = ImageCache.in_memory()
    path = tmp_path / table["fname"].iloc[2]
    path.write_bytes(path.read_bytes()[:200])  # its header can be read
    for _ in range(2):
        dls = loaders(tmp_path, table, cache, skip_bad=True)
        outputs = small_learner(dls).trainer.frozen.features(dls, lambda _: None)
        assert sorted((*outputs.train.indices, *outputs.valid.indices)) == [i for i in range(16) if i != 2]
        assert list(dls.skipped) == [str(path)]
    assert (cache.feature_hits, cache.feature_lookups) == (15, 32)


def test_images_in_memory_have_features_in_the_cache(folder: Path, table: pd.DataFrame) -> None:
    cache = ImageCache.in_memory()

    def read(row: Any) -> np.ndarray[Any, Any]:
        return np.asarray(PIL.Image.open(folder / row["fname"]))

    expected, events = fit(loaders(folder, table, cache, get_x=read))
    assert events
    outputs, events = fit(loaders(folder, table, cache, get_x=read))
    assert events == []
    torch.testing.assert_close(outputs, expected, rtol=0, atol=0)


def test_features_of_pixels_that_the_installed_libraries_decide_are_not_kept(folder: Path, table: pd.DataFrame) -> None:
    cache = ImageCache.in_memory()
    transform = Resize(32, method="pad", pad_mode="reflection")
    for _ in range(2):
        assert fit(loaders(folder, table, cache, item_tfms=transform))[1]
    assert cache.feature_lookups == 0


def test_an_approximation_of_the_pixels_finds_no_features(folder: Path, table: pd.DataFrame) -> None:
    cache = ImageCache.in_memory()
    fit(loaders(folder, table, cache))
    before = cache.feature_lookups
    dls = loaders(folder, table, cache)
    dls.valid.pipeline = replace(dls.valid.pipeline, fast_decode=True)
    assert fit(dls)[1]
    assert cache.feature_lookups == before


def test_features_from_onnx_runtime_give_the_model_that_torch_gives(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = fit(loaders(folder, table))
    used: list[str] = []
    for name, value in (("_MIN_IMAGES", 0), ("_MIN_SECONDS", 0.0), ("_CLEAR_SPEEDUP", 0)):
        monkeypatch.setattr(runtimes, name, value)
    times = iter([1.0, 0.5, 0.5])
    monkeypatch.setattr(runtimes, "_timed", lambda compute, x: (compute(x), next(times)))
    choose = runtimes.FasterExtractor._choose

    def spy(extractor: runtimes.FasterExtractor, x: Tensor) -> None:
        choose(extractor, x)
        used.append(extractor.why)

    monkeypatch.setattr(runtimes.FasterExtractor, "_choose", spy)
    outputs, _ = fit(loaders(folder, table))
    assert [why.startswith("ONNX Runtime") for why in used] == [True]  # once for both sets
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-5)


def test_a_repeated_training_takes_the_runtime_of_the_first_one_whatever_is_faster_then(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EYEBRIGHT_HOME", str(tmp_path))
    for name, value in (("_MIN_IMAGES", 0), ("_MIN_SECONDS", 0.0), ("_CLEAR_SPEEDUP", 0)):
        monkeypatch.setattr(runtimes, name, value)
    seconds = {True: 1.0, False: 0.5}  # of torch, and of ONNX Runtime
    monkeypatch.setattr(
        runtimes, "_timed", lambda compute, x: (compute(x), seconds[isinstance(compute, torch.nn.Module)])
    )
    first, _ = fit(loaders(folder, table))
    seconds |= {True: 0.5, False: 1.0}
    again, _ = fit(loaders(folder, table))
    assert torch.equal(again, first)
    (tmp_path / "measured.json").unlink()
    measured_anew, _ = fit(loaders(folder, table))
    assert not torch.equal(measured_anew, first)  # torch now, with other last bits
