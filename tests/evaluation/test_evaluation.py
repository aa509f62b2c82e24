"""An evaluation is what it was when it comes back from its file, for every kind of target."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings, strategies as st

from eyebright.errors import ArtifactError, DataError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.parquet import read_parquet, to_parquet
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Thresholds
from support.evaluations import make_evaluation

NAN = float("nan")
IMAGES = 6
NAMES = ["a:b", "output:a", "target", ""]
TASKS: dict[str, tuple[TargetBlock, torch.Tensor]] = {
    "category": (CategoryBlock(NAMES), torch.tensor([0, 1, -1, 2, 3, 0])),
    "multicategory": (
        MultiCategoryBlock(vocab=NAMES),
        torch.tensor([[1, 0, NAN, 1], [0, 0, 0, 0], [NAN] * 4, [1, 1, 1, 1], [0, NAN, 1, 0], [1, 0, 0, 0]]),
    ),
    "ordinal": (OrdinalBlock(NAMES), torch.tensor([3, 1, -1, 2, 3, 0])),
    "points": (
        PointBlock(names=NAMES),
        torch.where(torch.arange(48).reshape(6, 4, 2) % 7 < 2, NAN, torch.arange(48.0).reshape(6, 4, 2) / 3),
    ),
    "regression": (
        RegressionBlock(names=tuple(NAMES)),
        torch.tensor([[1.5, -2e9, NAN, 0]] * 5 + [[NAN] * 4]),
    ),
}


def evaluation(kind: str = "multicategory", **changes: Any) -> Evaluation:
    task, targets = TASKS[kind]
    outputs = torch.randn(IMAGES, task.n_out, generator=torch.Generator().manual_seed(0))
    return replace(make_evaluation(task, outputs, targets, training=()), **changes)


def back(given: Evaluation, metadata: dict[str, str] | None = None) -> Evaluation:
    return read_parquet(to_parquet([given], metadata or {}), given.decision, given.training)[0][given.part]


def test_the_cases_cover_every_target_block() -> None:
    assert set(TASKS) == set(TARGET_BLOCKS)


# ------------------------------------------------------------------------------- the round trip


@pytest.mark.parametrize("kind", TASKS)
def test_outputs_and_targets_survive_a_round_trip_exactly(kind: str) -> None:
    given = evaluation(kind)
    read = back(given)
    assert torch.equal(read.outputs, given.outputs)
    assert read.outputs.dtype == torch.float32
    torch.testing.assert_close(read.targets, given.targets, equal_nan=True, rtol=0, atol=0)
    assert torch.equal(read.sizes, given.sizes)
    assert (read.files, read.root, read.part) == (given.files, given.root, given.part)
    torch.testing.assert_close(read.activated, given.activated, rtol=0, atol=0)
    assert [str(value) for value in read.decoded] == [str(value) for value in given.decoded]


@pytest.mark.parametrize("kind", TASKS)
def test_unknown_cells_are_null_in_the_file(kind: str) -> None:
    given = evaluation(kind)
    table = pq.read_table(pa.BufferReader(to_parquet([given], {})))
    targets = table.select([name for name in table.column_names if name.startswith("target:")])
    nulls = sum(column.null_count for column in targets.columns)
    task = given.decision.target
    assert nulls == sum(int(task.target_row(target).isnan().sum()) for target in given.targets) > 0
    assert not any(column.null_count for column in table.columns[:4])


def test_the_file_has_the_documented_columns() -> None:
    task = CategoryBlock(["cat", "dog"])
    given = replace(
        make_evaluation(task, torch.zeros(2, 2), torch.tensor([0, 1])), columns=pd.DataFrame({"shop": ["a", "b"]})
    )
    table = pq.read_table(pa.BufferReader(to_parquet([given], {})))
    assert table.column_names == [
        "file",
        "set",
        "height",
        "width",
        "output:cat",
        "output:dog",
        "target:cat",
        "target:dog",
        "column:shop",
    ]
    assert table.schema.field("output:cat").type == pa.float32()


def test_part_training_summary_and_metadata_survive_a_round_trip() -> None:
    task = CategoryBlock(["cat", "dog"])
    given = make_evaluation(task, torch.zeros(2, 2), torch.tensor([0, 1]), training=["cat", "dog", "dog"], part="test")
    evaluations, metadata = read_parquet(to_parquet([given], {"id": "7"}), given.decision, given.training)
    read = evaluations["test"]
    assert read.part == "test"
    assert read.training == given.training
    assert metadata["id"] == "7"


def test_other_columns_survive_a_round_trip_with_their_types() -> None:
    columns = pd.DataFrame(
        {
            "text": ["a", None, "c", "", "e:f", "g"],
            "whole": [1, 2, 3, 4, 5, 6],
            "number": [0.5, np.nan, 1, 2, 3, 4],
            "flag": [True, False, True, False, True, True],
            "when": pd.date_range("2026-01-01", periods=6),
            "shop": pd.Categorical(list("aabbcc")),
            "mixed": [1, "two", 3.5, None, True, "six"],
            "column:x": [1, 2, 3, 4, 5, 6],
            7: [1, 2, 3, 4, 5, 6],
        }
    )
    read = back(evaluation(columns=columns)).columns
    assert list(read) == [*list(columns)[:-1], "7"]
    for name in ("whole", "number", "flag", "column:x"):
        pd.testing.assert_series_equal(read[name], columns[name], check_dtype=True)
    assert list(pd.to_datetime(read["when"])) == list(columns["when"])
    assert list(read["shop"]) == list("aabbcc")
    assert [None if pd.isna(cell) else cell for cell in read["text"]] == ["a", None, "c", "", "e:f", "g"]
    assert [None if pd.isna(cell) else cell for cell in read["mixed"]] == ["1", "two", "3.5", None, "True", "six"]


def test_columns_with_the_same_name_are_all_kept() -> None:
    columns = pd.DataFrame([[1, 2, 3, 4]] * IMAGES, columns=["a", "a", "a.1", "a"])
    read = back(evaluation(columns=columns)).columns
    assert list(read) == ["a", "a.2", "a.1", "a.3"]
    assert read.iloc[0].tolist() == [1, 2, 3, 4]


def test_text_that_is_not_valid_unicode_is_kept_or_escaped() -> None:
    odd = "caf\udce9"  # as Python reads the file name b"caf\xe9" on a disk with UTF-8 names
    given = evaluation(
        files=(f"{odd}.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", f"{odd}/f.jpg"),
        root=Path(odd),
        columns=pd.DataFrame([[odd]] * IMAGES, columns=pd.Index([odd], dtype=object), dtype=object),
    )
    read = back(given)
    assert (read.files, read.root) == (given.files, given.root)
    assert read.columns.to_dict("list") == {"caf\\udce9": ["caf\\udce9"] * IMAGES}
    table = pq.read_table(pa.BufferReader(to_parquet([given], {})))
    assert table["file"].to_pylist()[0] == "caf\\udce9.jpg"


def test_names_that_differ_only_in_what_is_not_valid_unicode_have_columns_of_their_own() -> None:
    task = CategoryBlock(["\udcff", r"\udcff"])
    given = make_evaluation(task, torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.tensor([0, 1]))
    assert back(given).outputs.tolist() == [[9.0, 0.0], [0.0, 9.0]]


def test_class_names_that_are_not_valid_unicode_survive_a_round_trip() -> None:
    task = CategoryBlock(["caf\udce9", "dog"])
    given = make_evaluation(task, torch.eye(2), torch.tensor([0, 1]))
    assert back(given).decoded == ["caf\udce9", "dog"]


@settings(deadline=None, max_examples=50)
@given(
    files=st.lists(st.text(min_size=1), min_size=IMAGES, max_size=IMAGES),
    names=st.lists(st.text(), min_size=4, max_size=4, unique=True),
    columns=st.lists(st.text(), max_size=4),
    data=st.data(),
)
def test_any_file_names_class_names_and_columns_survive_a_round_trip(
    files: list[str], names: list[str], columns: list[str], data: st.DataObject
) -> None:
    cells = st.lists(st.one_of(st.none(), st.text()), min_size=IMAGES, max_size=IMAGES)
    frame = pd.DataFrame([data.draw(cells) for _ in columns], dtype=object).T
    frame.columns = columns
    task = MultiCategoryBlock(vocab=names)
    targets = TASKS["multicategory"][1]
    given = replace(
        make_evaluation(task, torch.randn(IMAGES, 4), targets), files=tuple(files), columns=frame, root=Path("a b")
    )
    read = back(given)
    assert read.files == given.files
    assert torch.equal(read.outputs, given.outputs)
    torch.testing.assert_close(read.targets, targets, equal_nan=True)
    assert read.columns.shape[1] == len(columns)
    for i in range(len(columns)):
        before = [None if pd.isna(cell) else cell for cell in frame.iloc[:, i]]
        assert [None if pd.isna(cell) else cell for cell in read.columns.iloc[:, i]] == before


# ------------------------------------------------------------------------------- several sets


@pytest.mark.parametrize("kind", TASKS)
def test_several_sets_of_one_model_share_a_file(kind: str) -> None:
    whole = evaluation(kind, columns=pd.DataFrame({"shop": list("aabbcc")}), groups=("p", None, "p", "q", None, "q"))
    rows = {"valid": [0, 1, 2], "promise": [3], "test": [4, 5]}
    parts = [replace(whole.take(of), part=part) for part, of in rows.items()]
    read, _ = read_parquet(to_parquet(parts, {}), whole.decision, whole.training)
    assert list(read) == ["valid", "promise", "test"]
    for one in parts:
        same = read[one.part]
        assert (same.files, same.groups, same.part) == (one.files, one.groups, one.part)
        assert torch.equal(same.outputs, one.outputs)
        torch.testing.assert_close(same.targets, one.targets, equal_nan=True, rtol=0, atol=0)
        assert list(same.columns["shop"]) == list(one.columns["shop"])


def test_sets_in_different_folders_keep_the_paths_of_their_images(tmp_path: Path) -> None:
    first = replace(evaluation().take([0, 1]), root=tmp_path / "photos" / "valid")
    second = replace(evaluation().take([2]), root=tmp_path / "test", part="test")
    read, _ = read_parquet(to_parquet([first, second], {}), first.decision, {})
    assert read["valid"].paths == first.paths
    assert read["test"].paths == second.paths


def test_a_set_with_other_columns_than_another_has_no_cells_in_them() -> None:
    first = replace(evaluation().take([0, 1]), columns=pd.DataFrame({"shop": ["a", "b"], "year": [1, 2]}))
    second = replace(evaluation().take([2]), part="test")
    read, _ = read_parquet(to_parquet([first, second], {}), first.decision, {})
    assert read["valid"].columns["year"].tolist() == [1, 2]
    assert read["test"].columns.isna().all(axis=None)


def test_two_evaluations_of_one_set_cannot_be_in_a_file() -> None:
    given = evaluation()
    with pytest.raises(InputError, match=r"one or several different sets, got \['valid', 'valid'\]"):
        to_parquet([given, given], {})
    with pytest.raises(InputError, match=r"different sets, got \[\]"):
        to_parquet([], {})


def test_images_of_one_group_have_one_code_and_images_alone_have_their_own() -> None:
    codes = evaluation(groups=("p", None, "p", "q", None, "q")).group_codes
    assert codes is not None
    assert codes[0] == codes[2]
    assert codes[3] == codes[5]
    assert len(set(codes.tolist())) == 4


@pytest.mark.parametrize("groups", [(), (None,) * IMAGES, tuple("abcdef")])
def test_without_two_images_of_a_group_there_are_no_codes(groups: tuple[str | None, ...]) -> None:
    assert evaluation(groups=groups).group_codes is None


# ------------------------------------------------------------------------------- files that are something else


def test_a_damaged_file_is_an_error() -> None:
    given = evaluation()
    data = to_parquet([given], {})
    for damaged in (b"", b"PAR1", data[:-20], data[20:], data[:200] + bytes(100) + data[300:]):
        with pytest.raises(ArtifactError, match="the saved evaluation cannot be read"):
            read_parquet(damaged, given.decision, {})


def test_a_file_of_another_program_is_an_error() -> None:
    given, file = evaluation(), io.BytesIO()
    pd.DataFrame({"file": ["a.jpg"], "output:a": [0.5]}).to_parquet(file)
    with pytest.raises(ArtifactError, match="cannot be read: it was written by another program"):
        read_parquet(file.getvalue(), given.decision, {})


def test_the_file_of_a_model_with_other_classes_is_an_error() -> None:
    given = evaluation("multicategory")
    with pytest.raises(ArtifactError, match="output:lion"):
        read_parquet(
            to_parquet([given], {}),
            make_evaluation(MultiCategoryBlock(vocab=["lion"]), torch.zeros(1, 1), torch.zeros(1, 1)).decision,
            {},
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set": ["holdout"] * 6}, r"'set' holds \['holdout'\]"),
        ({"output:target": ["text"] * 6}, "cannot be read"),
        ({"height": [None] * 6}, "cannot be read"),
    ],
)
def test_columns_with_invalid_values_are_an_error(change: dict[str, list[Any]], message: str) -> None:
    given, file = evaluation(), io.BytesIO()
    table = pq.read_table(pa.BufferReader(to_parquet([given], {})))
    for name, cells in change.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(cells))
    pq.write_table(table, file)
    with pytest.raises(ArtifactError, match=message):
        read_parquet(file.getvalue(), given.decision, {})


@pytest.mark.parametrize("note", [b"[]", b"{}", b"{", b'{"root": 3}', b'{"root": "a", "files": 3}'])
def test_damaged_metadata_is_an_error(note: bytes) -> None:
    given, file = evaluation(), io.BytesIO()
    table = pq.read_table(pa.BufferReader(to_parquet([given], {})))
    pq.write_table(table.replace_schema_metadata({b"eyebright": note}), file)
    with pytest.raises(ArtifactError, match="the saved evaluation cannot be read"):
        read_parquet(file.getvalue(), given.decision, {})


# ------------------------------------------------------------------------------- the value


@pytest.mark.wrong_shapes
def test_an_evaluation_is_of_a_part_that_exists() -> None:
    with pytest.raises(DataError, match="`part` of an evaluation is one of .*'valid'.*, got 'banana'"):
        make_evaluation(CategoryBlock(vocab=["a", "b"]), torch.zeros(2, 2), torch.tensor([0, 1]), part="banana")


@pytest.mark.wrong_shapes
def test_parts_with_another_number_of_rows_are_an_error() -> None:
    given = evaluation()
    with pytest.raises(
        DataError, match=r"each field of an evaluation of 6 images needs as many rows, got outputs: 5, columns: 2"
    ):
        replace(given, outputs=given.outputs[:5], columns=pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(DataError, match="an evaluation needs at least one image, got none"):
        replace(given, files=(), outputs=given.outputs[:0], targets=given.targets[:0], sizes=given.sizes[:0])


def test_another_decision_changes_the_answers_but_not_the_outputs() -> None:
    given = evaluation()
    strict = given.with_decision(given.decision.with_thresholds(Thresholds(1.0)))
    assert all(not value for value in strict.decoded)
    assert any(given.decoded)
    assert strict.outputs is given.outputs


def test_paths_are_inside_the_root_folder() -> None:
    given = evaluation()
    assert given.paths[0] == given.root / given.files[0]
    assert repr(given) == f"Evaluation: 6 images (valid); {given.decision.target.describe()}"


@pytest.mark.parametrize("kind", TASKS)
def test_some_images_of_an_evaluation_are_those_images(kind: str) -> None:
    whole = evaluation(kind)
    rows = [4, 1, 1]
    some = whole.take(rows)
    assert some.files == tuple(whole.files[row] for row in rows)
    assert torch.equal(some.outputs, whole.outputs[rows])
    assert torch.equal(some.targets.nan_to_num(-9), whole.targets[rows].nan_to_num(-9))
    assert torch.equal(some.sizes, whole.sizes[rows])
    assert some.columns.equals(whole.columns)
    with_columns = replace(whole, columns=pd.DataFrame({"site": list("abcdef")})).take(rows)
    assert with_columns.columns["site"].tolist() == ["e", "b", "b"]
    with pytest.raises(DataError, match="an evaluation needs at least one image, got none"):
        whole.take([])
