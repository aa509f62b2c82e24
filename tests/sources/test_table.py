"""Tables: the layouts of a label file, the split columns, and errors with their lines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_text
from support.tables import ReadTable


@pytest.fixture
def read(tmp_path):
    def make(text, **options):
        path = tmp_path / "labels.csv"
        path.write_text(text, encoding="utf-8")
        return ReadTable(read_source(path, **options))

    return make


# ------------------------------------------------------------------ layouts


def test_a_file_column_and_a_labels_column(read):
    table = read("fname,labels,is_valid\na.jpg,cat dog,True\nb.jpg,,False\n")
    assert table.files == ["a.jpg", "b.jpg"]
    assert table.labels == [{"cat", "dog"}, set()]
    assert (table.task_type, table.parts, table.lines) == ("labels", ["valid", "train"], [2, 3])
    assert table.others == []
    assert table.messages == (
        "images are named in column 'fname'",
        "labels in column 'labels' are split at ' ' (space): 2 different labels",
        "images without a label: 1 of 2",
        "column 'is_valid' gives the split: train 1, valid 1",
    )


@pytest.mark.parametrize(("on", "off"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("1", "")])
def test_a_file_column_and_one_column_for_each_label(on, off, read):
    table = read(f"image,MEL,NV,BCC\na.jpg,{on},{off},{on}\nb.jpg,{off},{on},0\nc.jpg,0,0,0\n")
    assert (table.task_type, table.labels) == ("labels", [{"MEL", "BCC"}, {"NV"}, set()])
    assert "labels are the 0/1 columns 'MEL', 'NV', 'BCC'" in table.messages


def test_a_single_indicator_column_is_one_label(read):
    table = read("image,blurred\na.jpg,1\nb.jpg,0\n")
    assert (table.task_type, table.labels) == ("labels", [{"blurred"}, set()])
    assert "the label is 'blurred' (0/1)" in table.messages


def test_an_indicator_column_that_is_asked_for_is_one_label_beside_others_too(read):
    text = "image,blurred,dark\na.jpg,1,0\nb.jpg,0,1\n"
    assert read(text, labels="blurred").labels == [{"blurred"}, set()]
    assert read(text, labels="blurred", kind="class").task_type == "classes"


@pytest.mark.parametrize("name", ["class", "label"])
def test_a_column_called_class_holds_classes_although_they_are_0_and_1(name, read):
    assert read(f"image,{name},dark\na.jpg,1,0\nb.jpg,0,1\n", labels=name).task_type == "classes"


def test_indicator_columns_equal_pandas_dummies(read):
    labels = ["cat dog", "dog", "", "cow cat", "cow"]
    frame = pd.Series(labels).str.get_dummies(" ")
    frame.insert(0, "file", [f"{i}.jpg" for i in range(5)])
    assert [set(row) for row in read(frame.to_csv(index=False)).labels] == [set(text.split()) for text in labels]


def test_a_file_column_and_a_class_column(read):
    table = read("file,breed\na.jpg,great dane\nb.jpg,pug\n")
    assert (table.task_type, table.labels, table.parts) == ("classes", [{"great dane"}, {"pug"}], None)


def test_a_class_column_of_0_and_1_is_two_classes(read):
    assert read("file,label\na.jpg,0\nb.jpg,1\n").labels == [{"0"}, {"1"}]


def test_the_only_column_that_is_left_holds_the_labels(read):
    table = read("file,animal,split\na.jpg,cat|dog,train\nb.jpg,cow,val\n")
    assert (table.labels, table.parts) == ([{"cat", "dog"}, {"cow"}], ["train", "valid"])


def test_a_table_written_by_pandas_with_its_index_reads_the_same(read):
    frame = pd.DataFrame({"file": ["a.jpg", "b.jpg"], "labels": [["cat", "dog"], []], "is_valid": [True, False]})
    for text in (frame.to_csv(), frame.reset_index().to_csv(index=False)):
        table = read(text)
        assert (table.labels, table.parts) == ([{"cat", "dog"}, set()], ["valid", "train"])
    flags = pd.DataFrame({"file": ["a.jpg", "b.jpg"], "cat": [1, 0]}).reset_index()
    assert read(flags.to_csv(index=False)).labels == [{"cat"}, set()]


# ------------------------------------------------------------------ which column


@pytest.mark.parametrize("name", ["file", "Filename", "fname", "image", "Image Path", "img_path", "path", "photo"])
def test_known_names_of_the_file_column(name, read):
    assert read(f"label,{name}\ncat,a\ndog,b\n").files == ["a", "b"]


def test_the_file_column_is_detected_by_its_values_if_its_name_is_unknown(read):
    assert read("class,where\ncat,x/a.jpg\ndog,x/b.PNG\n").files == ["x/a.jpg", "x/b.PNG"]


def test_of_several_known_names_the_one_with_images_wins(read):
    assert read("image,path,label\n1,a.jpg,cat\n2,b.jpg,dog\n").files == ["a.jpg", "b.jpg"]


def test_an_id_column_names_the_images_if_no_other_column_does(read):
    assert read("id,breed\n000bec,pug\n001513,boxer\n").files == ["000bec", "001513"]


def test_columns_can_be_named(read):
    text = "file,copy,label,other\na.jpg,x.jpg,cat,pug\nb.jpg,y.jpg,dog,boxer\n"
    table = read(text, files="copy", labels="other")
    assert (table.files, table.labels) == (["x.jpg", "y.jpg"], [{"pug"}, {"boxer"}])
    assert "not used for training: the columns 'file', 'label'" in table.messages


def test_some_of_the_indicator_columns_can_be_named(read):
    text = "file,cat,dog,cow,note\na.jpg,1,1,0,x\nb.jpg,0,1,1,y\n"
    assert read(text, labels=["cat", "cow"]).labels == [{"cat"}, {"cow"}]


def test_the_delimiter_can_be_given(read):
    assert read("file,label\na.jpg,salt and pepper\n", delimiter=" and ").labels == [{"salt", "pepper"}]
    assert read('file,labels\na.jpg,"salt, pepper"\n', delimiter="").labels == [{"salt, pepper"}]


def test_backslashes_in_names_are_slashes(read):
    assert read("file,label\ntrain\\a.jpg,cat\n").files == ["train/a.jpg"]


def test_unicode_and_spaces_in_names_stay(read):
    table = read("file,labels\nmein Käfer 1.jpg,Käfer\n日本/写真.png,猫\n")
    assert (table.files, table.labels) == (["mein Käfer 1.jpg", "日本/写真.png"], [{"Käfer"}, {"猫"}])


# ------------------------------------------------------------------ training, validation, test


@pytest.mark.parametrize(
    ("yes", "no"), [("True", "False"), ("1", "0"), ("1.0", "0.0"), ("yes", "no"), ("TRUE", "FALSE")]
)
def test_is_valid_accepts_the_usual_spellings_of_true_and_false(yes, no, read):
    assert read(f"file,label,is_valid\na.jpg,cat,{yes}\nb.jpg,dog,{no}\n").parts == ["valid", "train"]


@pytest.mark.parametrize(("train", "valid"), [("train", "valid"), ("Train", "VAL"), ("training", "validation")])
def test_split_accepts_the_usual_names_of_the_parts(train, valid, read):
    assert read(f"file,label,Split\na.jpg,cat,{valid}\nb.jpg,dog,{train}\n").parts == ["valid", "train"]


def test_test_rows_without_any_label_are_ignored(read):
    table = read("file,label,split\na.jpg,cat,train\nt.jpg,,test\nb.jpg,dog,val\n")
    assert (table.files, table.lines, table.parts) == (["a.jpg", "b.jpg"], [2, 4], ["train", "valid"])
    assert "images for testing without any label, which are ignored: 1" in table.messages


def test_test_rows_are_held_out_and_used_neither_for_training_nor_for_validation(read):
    table = read("file,label,split\na.jpg,cat,train\nt.jpg,dog,test\nb.jpg,dog,val\np.jpg,cat,promise\n")
    assert table.parts == ["train", "test", "valid", "promise"]
    assert table.source.split == ([0], [2])
    assert "column 'split' gives the split: train 1, valid 1, promise 1, test 1" in table.messages
    assert "held-out images, used neither for training nor for validation: 2" in table.messages


def test_a_split_of_train_and_test_only_has_no_validation_set(read):
    table = read("file,label,split\na.jpg,cat,train\nt.jpg,dog,test\nb.jpg,dog,train\n")
    assert table.source.split is None
    assert table.source.not_held_out() == [0, 2]


def test_a_table_of_test_rows_only_is_an_error(read):
    with pytest.raises(TableError, match="column 'split' marks every image as held out"):
        read("file,label,split\na.jpg,cat,test\n")


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("is_valid", "maybe", "true or false"),
        ("is_valid", "", "true or false"),
        ("split", "trian", "train, valid or test"),
    ],
)
def test_an_unknown_value_in_the_split_column_is_an_error_with_its_line(column, value, expected, read):
    good = "true" if column == "is_valid" else "train"
    with pytest.raises(TableError, match=f"line 3: '{value}' in column '{column}'; {expected} was expected"):
        read(f"file,label,{column}\na.jpg,cat,{good}\nb.jpg,dog,{value}\n")


def test_two_columns_that_split_are_an_error(read):
    with pytest.raises(TableError, match="'is_valid', 'split' both specify which images are for validation; keep one"):
        read("file,label,is_valid,split\na.jpg,cat,True,train\n")


# ------------------------------------------------------------------ images named twice


def test_the_same_image_with_the_same_labels_is_kept_once_and_said(read):
    table = read("file,labels\na.jpg,cat dog\nb.jpg,cow\na.jpg,dog cat\n")
    assert (table.files, table.lines) == (["a.jpg", "b.jpg"], [2, 3])
    assert "duplicate rows (same image and target), which are ignored: 1" in table.messages


def test_the_same_image_with_different_labels_names_both_lines(read):
    with pytest.raises(TableError, match=r"line 4: image 'a.jpg' has dog, but on line 2 it has cat; give"):
        read("file,labels\na.jpg,cat\nb.jpg,cow\na.jpg,dog\n")


def test_the_same_image_with_and_without_labels_says_none(read):
    with pytest.raises(TableError, match="has no label, but on line 2 it has cat"):
        read("file,labels\na.jpg,cat\na.jpg,\n")


def test_the_same_image_for_training_and_validation_is_a_leak(read):
    with pytest.raises(TableError, match=r"line 3: image 'a.jpg' is for training and for validation \(see line 2\)"):
        read("file,label,is_valid\na.jpg,cat,True\na.jpg,cat,False\n")


@pytest.mark.parametrize("other", ["./a.jpg", "x/../a.jpg", "x\\..\\a.jpg", ".//a.jpg"])
def test_the_same_image_by_another_path_is_the_same_image(other, read):
    with pytest.raises(TableError, match=r"line 3: image '.*a.jpg' .*is for training and for validation \(see line 2"):
        read(f"file,label,is_valid\na.jpg,cat,True\n{other},cat,False\n")


@pytest.mark.parametrize("name", ["absolute", "above", "symbolic link", "hard link"])
def test_a_file_by_another_name_is_the_same_image(name, read, tmp_path):
    image = tmp_path / "a.jpg"
    image.write_bytes(b"")
    (tmp_path / "soft.jpg").symlink_to(image)
    (tmp_path / "hard.jpg").hardlink_to(image)
    other = {
        "absolute": image,
        "above": f"../{tmp_path.name}/a.jpg",
        "symbolic link": "soft.jpg",
        "hard link": "hard.jpg",
    }[name]
    with pytest.raises(TableError, match=r"line 3: image '.*' \(the same file as 'a.jpg'\) has dog, but on line 2"):
        read(f"file,label\na.jpg,cat\n{other},dog\n")
    table = read(f"file,label\na.jpg,cat\n{other},cat\n")
    assert table.files == ["a.jpg"]
    assert "duplicate rows (same image and target), which are ignored: 1" in table.messages


# ------------------------------------------------------------------ what cannot be understood


def test_without_a_file_column_the_error_lists_the_columns(read):
    with pytest.raises(
        TableError, match=r"labels.csv': no column has names of images; the columns are 'a', 'b'; rename"
    ):
        read("a,b\n1,cat\n")


def test_without_a_label_column_the_error_lists_the_columns(read):
    with pytest.raises(
        TableError,
        match=r"no column is called 'labels' or 'class'; there are 'age' \(numbers with decimals\), 'sex' \(text\), "
        r"'year' \(whole numbers\); name those that hold the targets with `labels`",
    ):
        read("file,age,sex,year\na.jpg,10.5,f,1950\n")
    with pytest.raises(TableError, match="no column holds labels: there is no other column"):
        read("file\na.jpg\n")


def test_a_missing_column_is_an_error_that_names_the_nearest(read):
    text = "file,labels\na.jpg,cat\n"
    for options in ({"files": "flie"}, {"labels": "label"}, {"labels": ["label"]}):
        with pytest.raises(
            TableError, match=r"there is no column '.*'. Did you mean '(file|labels)'\? Columns: 'file', 'labels'"
        ):
            read(text, **options)


@pytest.mark.parametrize(
    ("labels", "part"), [("file", "names the images"), ("is_valid", "defines the images for validation")]
)
def test_a_column_cannot_have_two_roles(labels, part, read):
    with pytest.raises(TableError, match=rf"column '{labels}' {part}.*, and cannot hold the labels as well"):
        read("file,label,is_valid\na.jpg,cat,True\n", labels=labels)
    with pytest.raises(TableError, match=rf"column '{labels}' {part}.*, and cannot hold the labels as well"):
        read("file,label,is_valid\na.jpg,cat,True\n", labels=[labels])


def test_a_blank_file_name_is_an_error_with_its_line(read):
    with pytest.raises(TableError, match="line 3: there is no name of an image in column 'file'"):
        read("file,label\na.jpg,cat\n,dog\n")


def test_an_invalid_cell_in_an_indicator_column_is_an_error_with_its_line(read):
    rows = "".join(f"{i}.jpg,{i % 2},1\n" for i in range(20))
    with pytest.raises(TableError, match="line 22: '2' in column 'cat'; 0 or 1 was expected"):
        read(f"file,cat,dog\n{rows}last.jpg,2,0\n")


def test_unused_columns_beside_indicators_are_listed_in_a_message(read):
    table = read("file,age,cat,dog\na.jpg,33,1,0\nb.jpg,44,0,1\n")
    assert table.labels == [{"cat"}, {"dog"}]
    assert "not used for training: the columns 'age'" in table.messages


def test_a_labels_column_of_decimals_holds_numbers_to_predict(read):
    table = read("file,labels\na.jpg,0.73\nb.jpg,0.11\nc.jpg,\n")
    assert table.task_type == "numbers"
    assert np.array_equal(table.source.targets, [[0.73], [0.11], [np.nan]], equal_nan=True)
    assert "the number to predict is in column 'labels'" in table.messages
    assert "numbers that are unknown: 1 of 3" in table.messages


# ------------------------------------------------------------------ size and the real tables


def test_a_hundred_thousand_rows_keep_their_order_and_lines(read):
    count = 100_000
    table = read("file,labels\n" + "".join(f"{i}.jpg,l{i % 7} l{i % 5}\n" for i in range(count)))
    assert table.files == [f"{i}.jpg" for i in range(count)]
    assert table.lines == list(range(2, count + 2))
    assert all(set(table.labels[i]) == {f"l{i % 7}", f"l{i % 5}"} for i in range(0, count, 997))


@pytest.mark.shared
@pytest.mark.parametrize(("table", "files"), [("pascal_2007/train.csv", "fname"), ("voc128/labels.csv", "filename")])
def test_the_real_tables_read_as_pandas_reads_them(table, files, shared_data):
    ours, frame = ReadTable(read_source(shared_data / table)), pd.read_csv(shared_data / table)
    assert [Path(file).name for file in ours.files] == frame[files].tolist()
    assert ours.labels == [set(text.split()) for text in frame["labels"]]
    assert ours.task_type == "labels"
    valid = None if "is_valid" not in frame else ["valid" if valid else "train" for valid in frame["is_valid"]]
    assert ours.parts == valid


def test_a_column_without_a_name_is_said_unless_it_numbers_the_rows(read):
    said = "columns without a name in the header, which are ignored: 1"
    assert said in read("file,label,\na.jpg,cat,good\nb.jpg,dog,bad\n").messages
    assert said not in read(",file,label\n0,a.jpg,cat\n1,b.jpg,dog\n").messages
    assert said not in read("file,label,\na.jpg,cat,\nb.jpg,dog,\n").messages


def test_a_number_with_a_typing_error_does_not_turn_a_column_of_numbers_into_classes(read):
    rows = "".join(f"{i}.jpg,{i}.5\n" for i in range(5))
    with pytest.raises(TableError, match="line 7: '3 kg' in column 'price'; a number was expected, or a blank cell"):
        read(f"file,price\n{rows}x.jpg,3 kg\n")


def test_one_bad_coordinate_does_not_drop_its_point(read):
    rows = "".join(f"{i}.jpg,1,2,3,4\n" for i in range(5))
    with pytest.raises(TableError, match="line 7: '4O' in column 'ear_y'; a number was expected"):
        read(f"file,nose_x,nose_y,ear_x,ear_y\n{rows}x.jpg,1,2,3,4O\n")


def test_a_delimiter_for_one_class_is_an_error(read):
    with pytest.raises(
        TableError, match="the delimiter ';' would split cells into labels, and each image has one class"
    ):
        read("file,label\na.jpg,x;y\nb.jpg,z\n", kind="class", delimiter=";")


def test_a_column_that_is_named_twice_is_an_error(read):
    with pytest.raises(TableError, match="column 'cat' is named twice in `labels`"):
        read("file,cat,dog\na.jpg,1,0\nb.jpg,0,1\n", labels=["cat", "cat"])


def test_images_without_a_known_group_are_groups_of_their_own(read):
    rows = "".join(f"{i}.jpg,{'ab'[i % 2]},{cell}\n" for i, cell in enumerate(["p", "p", "", "?", "q", "", "nan"]))
    table = read(f"file,label,patient_id\n{rows}")
    group = list(table.source.group)
    assert group[0] == group[1]
    assert len(set(group)) == 6
    assert "images without a known 'patient_id', each of which is on its own: 4" in table.messages


def test_a_group_column_in_which_only_blanks_repeat_groups_nothing(read):
    table = read("file,label,patient_id\na.jpg,x,p\nb.jpg,y,q\nc.jpg,x,\nd.jpg,y,\n")
    assert table.source.group is None


@pytest.mark.parametrize(
    ("header", "row", "options", "content"),
    [
        ("nose_x,nose_y", "3.5,4.5", {"kind": "points"}, "points"),
        ("mass", "3.5", {"kind": "numbers"}, "numbers"),
        ("cat,dog", "1,0", {"kind": "labels", "labels": ["cat", "dog"]}, "0 and 1"),
    ],
)
def test_a_delimiter_for_cells_that_hold_no_labels_is_an_error(tmp_path, header, row, options, content):
    (tmp_path / "t.csv").write_text(f"file,{header}\na.png,{row}\nb.png,{row}\n")
    with pytest.raises(TableError, match=f"the delimiter ';' separates labels in a cell, and the cells hold {content}"):
        read_source(tmp_path / "t.csv", delimiter=";", **options)


def test_the_order_of_ratings_and_the_images_of_each_are_said(tmp_path: Path) -> None:
    rows = "".join(f"i{i}.jpg,{33 if i == 3 else i % 3}\n" for i in range(12))
    (tmp_path / "t.csv").write_text("fname,stars\n" + rows)
    messages = read_source(tmp_path / "t.csv", kind="ratings").messages
    expected = "'0 (3 images)', '1 (4 images)', '2 (4 images)', '33 (1 image)'"
    assert f"ratings from the lowest to the highest: {expected}" in messages
    assert not [one for one in read_source(tmp_path / "t.csv", kind="class").messages if "lowest" in one]


def test_a_column_of_another_name_whose_cells_lead_to_images_names_them(tmp_path):
    images(tmp_path, "train/x1.png", "train/x2.png")
    write_text(tmp_path / "labels.csv", "id_code,diagnosis\nx1,0\nx2,3\n")
    assert labels(read_source(tmp_path / "labels.csv")) == {"train/x1.png": "0", "train/x2.png": "3"}
    write_text(tmp_path / "labels.csv", "id_code,diagnosis\nx1,0\nx3,3\n")
    with pytest.raises(TableError, match="no column has names of images; the columns are 'id_code', 'diagnosis'"):
        read_source(tmp_path / "labels.csv")


def test_a_table_of_names_without_extension_beside_folders_of_images_is_not_passed_over(tmp_path):
    images(tmp_path, "images_part_1/x1.png", "images_part_2/x2.png")
    write_text(tmp_path / "metadata.csv", "image_id,dx\nx1,mel\nx2,nv\n")
    with pytest.raises(InputError, match="can be read in 2 ways: 'metadata.csv' as a table .* or class folders"):
        read_source(tmp_path)
    assert labels(read_source(tmp_path, format="table")) == {
        "images_part_1/x1.png": "mel",
        "images_part_2/x2.png": "nv",
    }


def test_counts_of_images_beside_class_folders_are_no_table_of_labels(tmp_path):
    images(tmp_path, "cat/1.png", "dog/1.png")
    write_text(tmp_path / "summary.csv", "class,images\ncat,1\ndog,1\n")
    assert read_source(tmp_path).kind == "category"


def test_columns_without_an_answer_between_0_1_columns_are_labels_that_no_image_has(tmp_path):
    text = "file,site,cat,dog,cow,pig,note\na.jpg,x,1,,,0,\nb.jpg,y,0,,-1,1,\n"
    source = read_source(write_text(tmp_path / "labels.csv", text))
    assert source.unused == ("dog", "cow")
    assert labels(source) == {"a.jpg": ["cat", "cow?", "dog?"], "b.jpg": ["cow?", "dog?", "pig"]}


def test_a_column_whose_name_ends_with_labels_comes_before_other_columns_of_0_and_1(read):
    rows = "00_000.png,Edema,0,1\n00_001.png,Edema|Mass,1,1\n01_000.png,No Finding,0,2\n"
    table = read(f"Image Index,Finding Labels,Follow-up #,Patient ID\n{rows}")
    assert table.labels == [{"Edema"}, {"Edema", "Mass"}, {"No Finding"}]


def test_a_column_of_numbers_whose_name_ends_with_labels_is_none(read):
    assert read("file,n_labels,cat,dog\na.jpg,2,1,1\nb.jpg,0,0,0\n", labels=["cat", "dog"]).labels == [
        {"cat", "dog"},
        set(),
    ]
    with pytest.raises(TableError, match="more than one column|no column is called"):
        read("file,n_labels,size\na.jpg,2,17\nb.jpg,3,18\n")
