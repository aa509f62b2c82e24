"""CSV and TSV files as columns of text, compared with pandas where it reads the same."""

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest

from eyebright.errors import TableError
from eyebright.sources.csv_file import read_csv


@pytest.fixture
def read(tmp_path):
    def make(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path)

    return make


def cells(table):
    return {name: list(column) for name, column in table.columns.items()}


def test_columns_and_lines_are_those_of_the_file(read):
    table = read("file,labels\na.jpg,cat\nb.jpg,dog\n")
    assert cells(table) == {"file": ["a.jpg", "b.jpg"], "labels": ["cat", "dog"]}
    assert table.lines.tolist() == [2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_every_dialect_reads_the_same_as_pandas(end, mark, separator, read, tmp_path):
    rows = [["file", "labels"], ["ä ö.jpg", '"cat, dog"'], ["b.jpg", ""], ["c.jpg", '"say ""hi"""']]
    text = mark + end.join(separator.join(row) for row in rows) + end
    expected = pd.read_csv(_save(tmp_path, text), sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    assert cells(read(text)) == expected.to_dict("list")


def _save(folder, text):
    path = folder / "for_pandas.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("line", ["sep={}", "SEP={}", '"sep={}"'])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "^"])
def test_a_first_line_that_states_the_separator_as_in_excel_is_followed(line, separator, read):
    text = f"{line.format(separator)}\r\nfile{separator}labels\r\na.jpg{separator}cat: big\r\n"
    table = read("\ufeff" + text)
    assert cells(table) == {"file": ["a.jpg"], "labels": ["cat: big"]}
    assert table.lines.tolist() == [3]


def test_a_stated_separator_is_taken_where_the_header_has_another(read):
    assert cells(read("sep=;\nfile;labels, all\na.jpg;cat\n")) == {"file": ["a.jpg"], "labels, all": ["cat"]}


def test_a_file_that_only_states_its_separator_is_empty(read):
    with pytest.raises(TableError, match="is empty"):
        read("sep=;\n")


def test_a_value_over_several_lines_keeps_the_line_on_which_its_row_begins(read):
    table = read('file,note\n"a.jpg","one\ntwo"\n\nb.jpg,x\n')
    assert list(table.columns["note"]) == ["one\ntwo", "x"]
    assert table.lines.tolist() == [2, 5]


def test_many_blank_lines_before_the_header_are_ignored(read):
    table = read("\n" * 20_000 + "file,labels\na.jpg,cat\n")
    assert cells(table) == {"file": ["a.jpg"], "labels": ["cat"]}
    assert table.lines.tolist() == [20_002]


def test_blank_rows_and_spaces_around_values_are_ignored(read):
    table = read("\n file , labels \n a.jpg , cat \n,\n  \nb.jpg,dog")
    assert cells(table) == {"file": ["a.jpg", "b.jpg"], "labels": ["cat", "dog"]}
    assert table.lines.tolist() == [3, 6]


def test_a_column_without_a_name_is_ignored(read):
    assert cells(read(",file,labels\n0,a.jpg,cat\n")) == {"file": ["a.jpg"], "labels": ["cat"]}


def test_rows_can_be_chosen(read):
    table = read("file,labels\na.jpg,cat\nb.jpg,dog\nc.jpg,cow\n").take(np.array([2, 0]))
    assert cells(table) == {"file": ["c.jpg", "a.jpg"], "labels": ["cow", "cat"]}
    assert table.lines.tolist() == [4, 2]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", " \n,\n"])
def test_an_empty_file_is_an_error_that_says_what_was_expected(content, read):
    with pytest.raises(TableError, match=r"table.csv' is empty; a header such as 'file,labels'"):
        read(content)


def test_a_file_with_only_a_header_is_an_error(read):
    with pytest.raises(TableError, match="there is a header but no row"):
        read("file,labels\n")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a.jpg,cat\nb.jpg,dog\n", {"file": ["a.jpg", "b.jpg"], "column 2": ["cat", "dog"]}),
        ("cat\ta.jpg\ndog\tb.jpg\n", {"column 1": ["cat", "dog"], "file": ["a.jpg", "b.jpg"]}),
        ('"a, b.jpg",x\nc.jpg,y\n', {"file": ["a, b.jpg", "c.jpg"], "column 2": ["x", "y"]}),
        (
            "train,a.jpg,cat\nval,b.jpg,dog\n",
            {"split": ["train", "val"], "file": ["a.jpg", "b.jpg"], "column 3": ["cat", "dog"]},
        ),
        ("a.jpg,train\nb.jpg,test\n", {"file": ["a.jpg", "b.jpg"], "split": ["train", "test"]}),
        ("x/a.JPEG 65\nx/b.JPEG 970\n", {"file": ["x/a.JPEG", "x/b.JPEG"], "class": ["65", "970"]}),
        ("a.jpg  0\nb.jpg\t1\n", {"file": ["a.jpg", "b.jpg"], "class": ["0", "1"]}),
    ],
)
def test_a_list_of_images_and_labels_needs_no_header(text, columns, read):
    table = read(text)
    assert cells(table) == columns
    assert table.lines.tolist() == [1, 2]
    assert table.notes[0].startswith("there is no header; the columns are read as ")


@pytest.mark.parametrize(
    "text",
    ["a.jpg,cat,3\nb.jpg,dog,4\n", "a.jpg,b.jpg\nc.jpg,d.jpg\n", "a.jpg 1 2\nb.jpg 3 4\n"],
)
def test_other_rows_without_a_header_are_an_error(text, read):
    with pytest.raises(TableError, match="line 1: the header is missing; the first line names the columns"):
        read(text)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("image label\na.jpg  cat\nb.jpg dog \n", {"image": ["a.jpg", "b.jpg"], "label": ["cat", "dog"]}),
        ("2\nx y \na.jpg  1 -1\nb.jpg -1  1\n", {"file": ["a.jpg", "b.jpg"], "x": ["1", "-1"], "y": ["-1", "1"]}),
        ("x_x x_y\na.jpg 69 109\n", {"file": ["a.jpg"], "x_x": ["69"], "x_y": ["109"]}),
    ],
)
def test_a_table_with_spaces_between_its_cells_is_read(text, columns, read):
    assert cells(read(text)) == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3\nx y\na.jpg 1 1\nb.jpg 1 1\n", "line 1 announces 3 rows, and there are 2; is the file cut off?"),
        (
            "x y\n" + "a.jpg 1 1\n" * 30 + "b.jpg 1\n",
            "line 32: values in the row: 2, columns in the header: 3$",
        ),
    ],
)
def test_a_table_with_spaces_that_is_cut_off_is_an_error(text, message, read):
    with pytest.raises(TableError, match=message):
        read(text)


def test_commas_in_a_table_with_spaces_between_its_cells_belong_to_the_cells(read):
    assert cells(read("file labels\na.jpg cat,dog\n")) == {"file": ["a.jpg"], "labels": ["cat,dog"]}


def test_words_that_are_no_table_stay_one_column(read):
    assert cells(read("our images\ntwo words\n")) == {"our images": ["two words"]}


def test_a_column_that_is_named_twice_is_refused(read):
    with pytest.raises(TableError, match="line 1: the header names 'cat' twice"):
        read("file,cat,cat\na.jpg,1,0\n")


def test_a_row_with_too_many_values_is_an_error_with_its_line_that_suggests_quotes(read):
    with pytest.raises(
        TableError, match="line 3: values in the row: 3, columns in the header: 2; write values that contain ','"
    ):
        read("file,labels\na.jpg,cat\nb.jpg,cat,dog\n")


def test_a_row_with_too_few_values_is_an_error_with_its_line(read):
    with pytest.raises(TableError, match="line 3: values in the row: 1, columns in the header: 2$"):
        read("file,labels\na.jpg,cat\nb.jpg\n")


def test_an_unclosed_quotation_mark_is_an_error_with_its_line(read):
    with pytest.raises(TableError, match="line 3: a quotation mark is misplaced or not closed"):
        read('file,labels\na.jpg,cat\nb.jpg,"dog\nc.jpg,cow\n')


def test_a_latin1_file_is_an_error_with_the_line_and_the_conversion(read):
    with pytest.raises(TableError, match="line 3: the file is not UTF-8; save it as 'CSV UTF-8', or convert it.*iconv"):
        read("file,labels\na.jpg,cat\nb.jpg,Käfer\n".encode("latin1"))


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_utf16_file_is_an_error_with_the_conversion(code, read):
    with pytest.raises(TableError, match="line 1: the file contains NUL bytes.*iconv -f utf-16 -t utf-8"):
        read("file,labels\na.jpg,cat\n".encode(code))


def test_a_nul_byte_is_an_error_with_its_line(read):
    with pytest.raises(TableError, match="line 3: the file contains NUL bytes"):
        read("file,labels\na.jpg,cat\nb.jpg,d\0g\n")


def test_a_value_over_the_size_limit_is_an_error_with_its_line(read):
    with pytest.raises(TableError, match="line 3: a value of more than 131,072 characters.*quotation mark not closed"):
        read(f"file,labels\na.jpg,cat\nb.jpg,{'x' * 1_000_000}\n")


def test_an_excel_workbook_is_an_error_that_says_so(read):
    with pytest.raises(TableError, match="is an Excel workbook or another zip file; save the sheet as CSV"):
        read(b"PK\x03\x04 and so on", "table.xlsx")


def test_a_missing_file_and_a_folder_are_errors_that_say_so(tmp_path):
    with pytest.raises(TableError, match=r"there is no file '.*missing.csv'"):
        read_csv(tmp_path / "missing.csv")
    with pytest.raises(TableError, match="is a folder; a CSV or TSV file was expected"):
        read_csv(tmp_path)


def test_a_file_without_read_permission_is_an_error(tmp_path, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)  # chmod does not stop the root user
    with pytest.raises(TableError, match="cannot read '.*': Permission denied"):
        read_csv(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"file,label\n", mtime=0), r"is compressed \(gzip\); decompress it, for example with: gunzip"),
        (bz2.compress(b"file,label\n"), r"is compressed \(bzip2\)"),
        (lzma.compress(b"file,label\n"), r"is compressed \(xz\)"),
        (b"PAR1....", "is a Parquet file, which `format='parquet'` reads"),
        (b"\xd0\xcf\x11\xe0....", r"is an old Excel workbook \(.xls\)"),
        (b"%PDF-1.4", "is a PDF document"),
        (b"\n <!DOCTYPE html><html>", r"is a web page \(HTML\), not a table"),
        (b'<?xml version="1.0"?><annotation/>', "is XML, not a table; export the labels as CSV"),
        (b'[\n {"id": 1, "data": {"image": "a.jpg"}}\n]', r"is JSON \(Label Studio\), not a table; export"),
        (b'{"images": [], "annotations": []}', r"is JSON \(COCO\), not a table"),
        (b'\xef\xbb\xbf{"a": 1}', "is JSON, not a table"),
        (b'{"file": "a.jpg"}\n{"file": "b.jpg"}\n', "is JSON Lines, not a table"),
        (b"[]", "is JSON, not a table"),
    ],
)
def test_the_error_for_a_file_of_another_format_names_the_format(content, message, read):
    with pytest.raises(TableError, match=message):
        read(content)


def test_a_table_whose_first_column_begins_with_a_bracket_is_read(read):
    assert list(cells(read("[file],label\na.jpg,cat\n"))) == ["[file]", "label"]
