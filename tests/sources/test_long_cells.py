"""Cells, labels and names of any length: an error with the line, at once, and never a message that fills the screen."""

import time
from pathlib import Path

import PIL.Image
import pytest

from eyebright.errors import MESSAGE_LIMIT, InputError, LabelError, TableError
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import MAX_LABEL_LENGTH, Vocab


def write(folder: Path, header: str, *rows: str) -> Path:
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "t.csv"


LONG = {
    "a cell of 100 MB": ("file,label", "a.png," + "x" * 100_000_000, "a value of more than 131,072 characters"),
    "a label of 100,000 characters": (
        "file,label",
        "a.png," + "x" * 100_000,
        "column 'label': a label has 100,000",
    ),
    "a label among others": (
        "file,labels",
        'a.png,"b,' + "x" * 1001 + ',c"',
        "column 'labels': a label has 1,001 ",
    ),
    "a name of 10,000 characters": (
        "file,label",
        "x" * 10_000 + ".png,a",
        "the name of an image .* has 10,004 ",
    ),
    "lists in lists": (
        "file,labels",
        'a.png,"' + "[" * 60_000 + "]" * 60_000 + '"',
        "column 'labels' holds lists, but",
    ),
    "a column of 5,000 characters": (
        "file,label," + "x" * 5000,
        "a.png,b,c",
        "a column's name has 5,000 ",
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_too_long_is_a_short_error_with_its_line_at_once(name: str, tmp_path: Path) -> None:
    header, row, says = LONG[name]
    table = write(tmp_path, header, f"a.png,{'[a]' if 'lists' in name else 'a'}" + ",b" * header.count(",", 11), row)
    line = 1 if "column of" in name else 3
    start = time.perf_counter()
    with pytest.raises(TableError, match=f"line {line}: {says}") as caught:
        read_source(table)
    assert time.perf_counter() - start < 5
    assert len(str(caught.value)) <= MESSAGE_LIMIT


def test_a_file_name_that_no_system_takes_is_skipped_with_a_short_reason(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    source = read_source(write(tmp_path, "file,label", "a.png,a", "y" * 4000 + ".png,b"))
    with pytest.raises(InputError, match="file name too long; `skip_bad=True` skips them") as caught:
        readable(source, skip_bad=False)
    assert len(str(caught.value)) <= MESSAGE_LIMIT
    assert len(readable(source, skip_bad=True)) == 1


def test_labels_have_at_most_1000_characters_wherever_they_come_from() -> None:
    assert len(Vocab(["a", "x" * MAX_LABEL_LENGTH])) == 2
    for make in (Vocab, lambda names: MultiCategoryBlock(vocab=names)):
        with pytest.raises(
            LabelError, match=r"a label has 1,001 characters, at most 1,000 .*'x+\.\.\.'; is it running text\?$"
        ):
            make(["a", "x" * (MAX_LABEL_LENGTH + 1)])


def test_messages_about_long_names_are_bounded(tmp_path: Path) -> None:
    columns = [f"{'c' * 900}{i}" for i in range(50)]
    source = read_source(write(tmp_path, ",".join(["file", "label", *columns]), ",".join(["a.png", "b", *"z" * 50])))
    assert max(map(len, source.messages)) <= MESSAGE_LIMIT


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_is_too_large_for_a_float_is_no_number(number: str, tmp_path: Path) -> None:
    table = write(tmp_path, "file,weight", "a.png,1.5", f"b.png,{number}", "c.png,2.5")
    with pytest.raises(TableError, match=f"line 3: .*{number}"):
        read_source(table, labels="weight", kind="numbers")
