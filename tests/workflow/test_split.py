"""`make_split`: the shares by default, and the file that is read back as it was written."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from eyebright.errors import DataError, InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.split_file import with_parts_of
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet
from eyebright.workflow.command_options.data import SplitOptions
from eyebright.workflow.split import make_split, write_split
from support.label_files import images

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0\r\n"), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and name not in (".", "..")
)


def source_of(n: int, **columns: Any) -> Source:
    sets = Categorical.of([LabelSet("ab"[i % 2]) for i in range(n)])
    return Source("multicategory", Path("photos"), strings([f"{i}.jpg" for i in range(n)]), sets, **columns)


def options(**given: Any) -> SplitOptions:
    return SplitOptions(Path("labels.csv"), **given)


@pytest.mark.parametrize(
    ("n", "given", "expected"),
    [
        (1999, {}, {"train": 1399, "valid": 400, "test": 200}),
        (2000, {}, {"train": 1200, "valid": 400, "promise": 200, "test": 200}),
        (2000, {"promise_pct": 0.0}, {"train": 1400, "valid": 400, "test": 200}),
        (100, {"promise_pct": 0.3, "test_pct": 0.0}, {"train": 50, "valid": 20, "promise": 30}),
        (2000, {"folds": 4}, {"0": 500, "1": 500, "2": 500, "3": 500}),
        (100, {"folds": 2, "test_pct": 0.2}, {"0": 40, "1": 40, "test": 20}),
    ],
)
def test_the_shares_of_the_parts(n: int, given: dict[str, Any], expected: dict[str, int]) -> None:
    split = make_split(source_of(n), options(**given))
    assert Counter(split.plan.part) == pytest.approx(expected, abs=1)
    is_said = any("are kept for promises; `promise_pct=0` keeps none" in line for line in split.messages)
    assert is_said == ("promise" in expected and "promise_pct" not in given)


def test_near_duplicates_stay_together_and_are_in_the_summary() -> None:
    same = np.arange(100, dtype=np.int32) // 2
    split = make_split(source_of(100), options(), same=same)
    assert split.summary.duplicates is not None
    assert (split.summary.duplicates.total, split.summary.duplicates.divided) == (50, 0)
    assert split.plan.why[0] == "near-duplicate of 1.jpg; label 'a' (50 images)"


def test_options_for_data_that_say_all_parts_are_an_error() -> None:
    given = source_of(4, part=Categorical.of(["train", "valid"] * 2))
    with pytest.raises(InputError, match="the data specify the images for validation, so `valid_pct` has no effect"):
        make_split(given, options(valid_pct=0.5))
    assert Counter(make_split(given, options()).plan.part) == {"train": 2, "valid": 2}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, NAMES), min_size=3, max_size=12, unique_by=lambda row: row[0]), st.booleans())
def test_the_file_is_read_as_it_was_written(tmp_path: Path, rows: list[tuple[str, str]], has_folds: bool) -> None:
    files = [f"{i}/{name}.jpg" for i, (name, _) in enumerate(rows)]
    labels = Categorical.of([LabelSet([label]) for _, label in rows])
    source = Source("multicategory", tmp_path, strings(files), labels, group=Categorical.of([name for name, _ in rows]))
    split = make_split(source, options(folds=2) if has_folds else options(valid_pct=0.4))
    write_split(split, tmp_path / "split.csv")
    read = with_parts_of(source, tmp_path / "split.csv", valid_fold=1 if has_folds else None)
    folds = {"0": "train", "1": "valid"}
    assert read.part is not None
    assert list(read.part) == [folds.get(part, part) for part in split.plan.part]


def test_a_file_whose_name_is_no_unicode_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = np.array([f"\udcff{i}.jpg" for i in range(10)], dtype=object)
    source = Source("multicategory", tmp_path, files, Categorical.of([LabelSet(["a"])] * 10))
    split = make_split(source, options())
    write_split(split, tmp_path / "split.csv")
    assert list(with_parts_of(source, tmp_path / "split.csv").part or ()) == list(split.plan.part)


def test_a_part_that_no_image_is_left_for_is_said() -> None:
    split = make_split(source_of(3), options())
    assert Counter(split.plan.part) == {"train": 2, "valid": 1}
    assert "no image is for testing: there are too few that can be divided" in split.messages
    assert not any("no image is for" in line for line in make_split(source_of(3), options(test_pct=0.0)).messages)


def test_a_time_that_all_images_share_is_no_order() -> None:
    source = source_of(4, columns=pd.DataFrame({"taken": ["2024-05-31"] * 4}))
    with pytest.raises(InputError, match="`time`: all 4 images have the same time in column 'taken'"):
        make_split(source, options(time="taken"))


def test_data_that_hold_all_images_out_are_an_error() -> None:
    with pytest.raises(DataError, match="of 4 images none is left for training: the data hold out all of them"):
        make_split(source_of(4, part=Categorical.of(["test"] * 4)), options())


def test_shares_that_leave_nothing_but_a_rounding_are_an_error() -> None:
    with pytest.raises(InputError, match="must add up to less than 1: they leave no image for training"):
        make_split(source_of(100), options(valid_pct=0.7, test_pct=0.2, promise_pct=0.1))


@pytest.mark.parametrize("begin", ["file,split,group,why\n", "\ufefffile,split,group,why\r\n"])
def test_a_split_beside_class_folders_is_no_table_of_labels(tmp_path: Path, begin: str) -> None:
    root = images(tmp_path, "cat/a.png", "dog/b.png")
    (root / "split.csv").write_text(f"{begin}cat/a.png,train,,x\ndog/b.png,valid,,x\n", encoding="utf-8", newline="")
    assert len(read_source(root)) == 2
    assert list(read_source(root, split=str(root / "split.csv")).part or ()) == ["train", "valid"]
