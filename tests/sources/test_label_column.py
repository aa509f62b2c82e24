"""The rules by which a column of labels is read, each with its edge cases."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.errors import TableError
from eyebright.sources.cells import means_no_label
from eyebright.sources.label_column import read_labels, read_labels_or_class
from eyebright.types import LabelSet
from support.tables import Understood, text_table


def understood(cells, *, name="labels", delimiter=None):
    return Understood(read_labels_or_class(text_table({name: cells}), name, delimiter))


# ------------------------------------------------------------------ no label


@pytest.mark.parametrize("empty", ["", "NaN", "nan", "[]", "<NA>", "['']", '[""]'])
@pytest.mark.parametrize("other", ["cat dog", "['cat', 'dog']"])
def test_blank_nan_and_empty_list_cells_have_no_label(empty, other):
    assert understood([other, empty]).labels == [{"cat", "dog"}, set()]


@pytest.mark.parametrize("cell", ["cat;nan", "<NA>;cat", "['cat', 'NaN']", '["nan", "cat"]'])
def test_nan_beside_labels_is_no_label_and_is_said(cell):
    found = understood([cell, cell])
    assert found.labels == [{"cat"}, {"cat"}]
    assert f"cells with nan or <NA> beside labels, which is a missing value and no label: 2 ('{cell}')" in (
        found.messages
    )
    assert not any("<NA>" in message for message in understood(["nan bread;cat", "nanny;cat"], delimiter=";").messages)


@pytest.mark.parametrize(("value", "delimiter"), [("cat,,dog,", ","), (" cat ;; dog", ";"), ("cat  dog ", " ")])
def test_repeated_delimiters_make_no_empty_label(value, delimiter):
    assert understood([value]).labels == [{"cat", "dog"}]
    assert understood([value], delimiter=delimiter).labels == [{"cat", "dog"}]


def test_a_label_that_is_repeated_counts_once():
    assert understood(["cat dog cat", "dog"]).labels == [{"cat", "dog"}, {"dog"}]


def test_a_column_without_any_label_is_an_error():
    with pytest.raises(TableError, match=r"'t.csv': column 'labels' holds no label at all"):
        understood(["", "nan", "[]"])


def test_a_missing_class_is_an_error_with_its_line_and_a_remedy():
    with pytest.raises(
        TableError, match=r"line 3: there is no class in column 'breed'.*name the column 'labels' or give"
    ):
        understood(["pug", "", "boxer"], name="breed")


def test_a_class_called_none_is_a_class():
    assert understood(["none", "scratch"], name="label").labels == [{"none"}, {"scratch"}]


# ------------------------------------------------------------------ delimiters

DELIMITERS = {" ": "' ' (space)", ",": "',' (comma)", ";": "';' (semicolon)", "|": "'|' (pipe)"}


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_each_delimiter_is_detected_and_named_in_a_message(delimiter):
    found = understood([f"cat{delimiter}dog", "cat", ""])
    assert found.labels == [{"cat", "dog"}, {"cat"}, set()]
    assert found.task_type == "labels"
    assert found.messages[0] == f"labels in column 'labels' are split at {DELIMITERS[delimiter]}: 2 different labels"


@pytest.mark.parametrize("delimiter", [*DELIMITERS, " and ", "/"])
def test_a_delimiter_can_be_given(delimiter):
    assert understood([f"cat{delimiter}dog", "cow"], delimiter=delimiter).labels == [{"cat", "dog"}, {"cow"}]


def test_names_may_contain_spaces_if_the_delimiter_is_another():
    assert understood(["traffic light, fire hydrant", "bus"]).labels == [{"traffic light", "fire hydrant"}, {"bus"}]


@pytest.mark.parametrize("mark", [",", ";", "|"])
def test_comma_semicolon_and_pipe_split_even_in_a_column_with_a_singular_name(mark):
    found = understood([f"cat{mark}dog", "cow"], name="label")
    assert (found.task_type, found.labels) == ("labels", [{"cat", "dog"}, {"cow"}])


def test_two_delimiters_in_one_column_are_an_error():
    with pytest.raises(
        TableError, match=r"line 3: column 'labels' holds ',' \(comma\).*'a,b' and ';' .*'c;d'; name the one between"
    ):
        understood(["a,b", "c;d"])
    assert understood(["a,b", "c;d"], delimiter=",").labels == [{"a", "b"}, {"c;d"}]


def test_a_delimiter_that_occurs_nowhere_while_another_does_is_an_error():
    with pytest.raises(
        TableError, match=r"line 3: the delimiter ';' \(semicolon\) occurs nowhere .* ',' \(comma\) does"
    ):
        understood(["cow", "cat,dog"], delimiter=";")


def test_a_given_delimiter_may_be_absent_if_no_other_occurs():
    assert understood(["cat", "dog"], name="label", delimiter=";").labels == [{"cat"}, {"dog"}]


# ------------------------------------------------------------------ spaces and the column's name


@pytest.mark.parametrize("name", ["label", "Breed", "class", "Class Name", "category", "target", "species"])
def test_spaces_in_a_column_with_a_singular_name_belong_to_the_class(name):
    found = understood(["golden retriever", "pug", "golden retriever"], name=name)
    assert (found.task_type, found.labels[0]) == ("classes", {"golden retriever"})
    assert found.messages[0] == f"column '{name}' holds one class for each image; spaces belong to the names: 2 classes"


@pytest.mark.parametrize("name", ["labels", "Tags", "classes", "categories"])
def test_spaces_in_a_column_with_a_plural_name_split(name):
    assert understood(["haze primary", "clear"], name=name).labels == [{"haze", "primary"}, {"clear"}]


def test_spaces_in_a_column_with_another_name_split_if_words_recur_in_different_combinations():
    values = ["haze primary", "clear primary", "haze water", "clear water", "clear primary water"]
    found = understood(values, name="what is there")
    assert (found.task_type, found.labels[-1]) == ("labels", {"clear", "primary", "water"})


def test_spaces_in_a_column_with_another_name_belong_to_the_class_if_words_do_not_recur():
    values = ["golden retriever", "great dane", "french bulldog", "pug"]
    assert understood(values, name="dog").task_type == "classes"


def test_a_column_with_a_plural_name_is_multi_label_even_with_one_label_per_image():
    found = understood(["cat", "dog", ""])
    assert (found.task_type, found.labels) == ("labels", [{"cat"}, {"dog"}, set()])
    assert "are not split, no value holds more than one: 2 different labels" in found.messages[0]


def test_an_empty_delimiter_makes_every_value_one_class():
    found = understood(["salt, pepper", "golden retriever"], delimiter="")
    assert (found.task_type, found.labels) == ("classes", [{"salt, pepper"}, {"golden retriever"}])


# ------------------------------------------------------------------ lists


@pytest.mark.parametrize("labels", [["cat", "dog"], ["traffic light", "it's"], ['say "hi"', "a,b"], ["Käfer", "日本"]])
def test_lists_as_json_python_and_numpy_write_them(labels):
    for text in (json.dumps(labels), str(labels), str(np.array(labels))):
        found = understood([text, "[]"])
        assert (found.task_type, found.labels) == ("labels", [set(labels), set()])
        assert found.messages[0] == "labels in column 'labels' are lists: 2 different labels"


def test_lists_without_quotes_and_of_numbers():
    assert understood(["[cat, dog]", "[1, 2]"], name="label").labels == [{"cat", "dog"}, {"1", "2"}]


def test_a_list_with_null_in_it_has_no_label_there():
    assert understood(['["cat", null]', "['dog', nan]"]).labels == [{"cat"}, {"dog"}]


@pytest.mark.parametrize("bad", ["cat dog", "['cat' dog]", "cat", "[[1, 2], [3, 4]]"])
def test_a_cell_that_is_not_a_list_among_lists_is_an_error_with_its_line(bad):
    with pytest.raises(TableError, match="line 3: column 'labels' holds lists, but '.*' cannot be parsed as a list"):
        understood(["['cat']", bad])


# ------------------------------------------------------------------ numbers


def test_many_distinct_whole_numbers_are_an_error_since_they_look_like_a_measurement():
    with pytest.raises(
        TableError, match=r"numbers such as '100' that look like a measurement.*`kind='numbers'` .*`kind='class'`"
    ):
        understood([str(100 + i) for i in range(40)], name="target")


def test_few_distinct_whole_numbers_are_classes():
    found = understood([str(i % 10) for i in range(40)], name="label")
    assert (found.task_type, set(map(min, found.labels))) == ("classes", {str(i) for i in range(10)})


def test_delimited_numbers_are_labels():
    assert understood(["3 5", "5", "7 3"]).labels == [{"3", "5"}, {"5"}, {"7", "3"}]


def test_with_kind_class_many_distinct_numbers_are_classes():
    assert understood(["1.5", "2.25"], delimiter="").labels == [{"1.5"}, {"2.25"}]


def test_a_delimiter_that_is_given_wins_over_the_reading_as_a_list():
    assert understood(["[a]|[b]", "[c]"], delimiter="|").labels == [{"[a]", "[b]"}, {"[c]"}]


def test_a_given_delimiter_that_would_split_lists_with_their_brackets_is_an_error():
    with pytest.raises(
        TableError, match=r"holds lists such as '\['a', 'b'\]', which the delimiter .* leave `delimiter` out"
    ):
        understood(["['a', 'b']", "['c']"], delimiter=",")


@pytest.mark.parametrize("cells", [["1,5", "0,5", "2"], ["1,500", "20"], ["-0,5", "3,25"]])
def test_cells_that_may_be_numbers_with_commas_are_an_error_that_shows_both_readings(cells):
    first, second = cells[0].split(",")
    with pytest.raises(
        TableError,
        match=f"line 2: column 'price' holds '{cells[0]}', which may be one number or the labels '{first}' and "
        f"'{second}'; write numbers with a decimal point .*; `delimiter=','` takes them for labels",
    ):
        understood(cells, name="price")
    assert understood(cells, name="price", delimiter=",").labels[0] == {first, second}
    assert understood(cells, name="labels").labels[0] == {first, second}


AMOUNTS = [
    "{} kg",
    "{}kg",
    "{}.5 km/h",
    "{}%",
    "$3.{}",
    "{},5 \u20ac",
    "EUR {}",
    "1 {}.5",
    "1\u202f{}",
    "1'{}.5",
    "1_{}",
    "\u2212{}.5",
    "({}.5)",
    "0x{}",
    "03:{}",
    "2024-01-{}",
    "{}.01.2024",
    "2024-01-02T03:{}",
    "\u0661{}",
]


@pytest.mark.parametrize("pattern", AMOUNTS)
def test_many_distinct_amounts_dates_and_times_look_like_a_measurement(pattern):
    first = 100 if " " in pattern or "\u202f" in pattern else 10
    digits = [str(i) for i in range(first, first + 30)]
    with pytest.raises(TableError, match=r"line 2: column 'x' holds amounts such as .* that look like a measurement"):
        understood([pattern.format(i) for i in digits], name="x")
    assert len(understood([pattern.format(i) for i in digits], name="x", delimiter="").labels) == 30
    few = [pattern.format(i) for i in digits[:10]]
    assert understood(few * 3, name="label", delimiter="").labels == [{one} for one in few * 3]


@pytest.mark.parametrize("pattern", ["img{}", "n{}", "{} kg of {}", "person {}"])
def test_many_distinct_names_with_digits_are_classes(pattern):
    cells = [pattern.format(100 + i, i) for i in range(30)]
    assert understood(cells, name="label").task_type == "classes"


def test_amounts_with_a_unit_each_are_names():
    units = [a + b for a in "abcdef" for b in "abcde"]
    assert understood([f"3 {unit}" for unit in units], name="label").task_type == "classes"


@pytest.mark.parametrize("name", ["labels", "tags"])
def test_many_distinct_lists_of_numbers_are_labels(name):
    cells = [f"{100 + i} {200 + i}" for i in range(30)]
    assert understood(cells, name=name).labels[1] == {"101", "201"}
    assert understood([cell.replace(" ", ",") for cell in cells], name=name).labels[1] == {"101", "201"}


@pytest.mark.parametrize(
    "cells",
    [['{"cat": 1, "dog": 0}', '{"cat": 0, "dog": 1}'], ["{'cat': 0.5}", "{'cat': 1}"], ["{cat: 1}", "cat"]],
)
@pytest.mark.parametrize("name", ["labels", "label", "x"])
def test_objects_of_json_are_an_error_and_not_cut_at_their_commas(cells, name):
    with pytest.raises(TableError, match=r"line 2: '{.*}' in column '.*' is an object of JSON, not a list of labels"):
        understood(cells, name=name)


def test_a_set_of_labels_with_colons_is_no_object():
    assert understood(["{'16:9', 'wide'}", "{'4:3'}"]).labels == [{"16:9", "wide"}, {"4:3"}]


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("cat (big, black)", "'cat (big', 'black)'"),
        ('"a, b"', """'"a', 'b"'"""),
        ("x[1,2]", r"'x[1', '2]'"),
        ("<cat {a, b}>", "'<cat {a', 'b}>'"),
    ],
)
def test_a_cell_that_would_be_split_inside_of_brackets_is_an_error(cell, parts):
    with pytest.raises(TableError, match=rf"split inside of brackets or quotes, into {re.escape(parts)}; name"):
        understood([cell, "cow,dog"])
    assert understood([cell, "cow,dog"], delimiter=",").labels[1] == {"cow", "dog"}


@pytest.mark.parametrize("cells", [["a) cat, b) dog"], ["cat (big), dog (small)"], ["it's, that's"], ["dog's, cat"]])
def test_brackets_that_a_split_leaves_whole_and_apostrophes_belong_to_the_labels(cells):
    assert understood(cells).labels == [set(cells[0].split(", "))]


@pytest.mark.parametrize(
    "cells",
    [["1 0 0", "1 1 1", "0 0 0"], ["0,1,1", "1,0,0"], ["[1, 0]", "[0, 0]"], ["1.0 0.0", "0.0 0.0"], ["True False"]],
)
def test_rows_of_zeros_and_ones_in_a_cell_are_an_error_that_shows_both_readings(cells):
    with pytest.raises(TableError, match=r"a row with one for each label, or the labels '0' and '1'; write a 0/1"):
        understood(cells)


def test_rows_of_zeros_and_ones_are_labels_with_a_delimiter():
    assert understood(["1 0", "1"], delimiter=" ").labels == [{"1", "0"}, {"1"}]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("labels", ["cat:0.9 dog:0.1", "dog:1.0"]),
        ("labels", ["cat=1;dog=0"]),
        ("label", ["cat:.9", "dog:0.8"]),
        ("labels", ['["cat: 90%", "dog: 10%"]']),
    ],
)
def test_labels_with_scores_are_an_error(name, cells):
    with pytest.raises(TableError, match=r"line 2: column '.*' holds labels with a number each, such as 'cat"):
        understood(cells, name=name)


def test_labels_with_colons_and_no_scores_are_labels():
    assert understood(["ratio:16 dog", "time=12:30"]).labels == [{"ratio:16", "dog"}, {"time=12:30"}]
    assert understood(["cat:0.9", "dog:0.1"], delimiter=",").labels == [{"cat:0.9"}, {"dog:0.1"}]


@pytest.mark.parametrize("mark", ["\n", "\t", "/", "+", " / ", "\u3001", "\uff0c"])
def test_a_cell_of_labels_that_occur_alone_elsewhere_is_an_error_that_shows_both_readings(mark):
    cells = [f"cat{mark}dog", "cat", "dog"]
    if " " in mark:
        with pytest.raises(TableError, match=r"into labels without a letter or digit, 'cat', '/', 'dog'; name what"):
            understood(cells)
    else:
        with pytest.raises(TableError, match=r"column 'labels' may be one label, or 'cat', 'dog'; `delimiter` names"):
            understood(cells)
        assert understood(cells, delimiter="").labels == [{cell} for cell in cells]
        assert understood(cells, name="label").labels == [{cell} for cell in cells]
    assert understood(cells, delimiter=mark.strip(" ")).labels == [{"cat", "dog"}, {"cat"}, {"dog"}]


def test_a_mark_in_a_label_whose_parts_do_not_occur_alone_belongs_to_the_label():
    assert understood(["cat/dog", "cat", "cow"]).labels == [{"cat/dog"}, {"cat"}, {"cow"}]


@pytest.mark.parametrize("cells", [["1,5", "1,2,3"], ["0,5", "cat"]])
def test_cells_with_commas_that_are_no_numbers_split(cells):
    assert understood(cells, name="price").labels[0] == set(cells[0].split(","))


def test_a_few_words_among_many_distinct_numbers_do_not_make_them_classes():
    with pytest.raises(TableError, match="numbers such as '100' that look like a measurement"):
        understood([*(str(100 + i) for i in range(40)), "null", "-"], name="age")


@pytest.mark.parametrize("cell", ["cat;?", '["cat", "?"]'])
def test_a_question_mark_beside_labels_means_that_the_others_are_unknown(cell):
    other = "dog;cow" if ";" in cell else '["dog", "cow"]'
    found = read_labels(text_table({"labels": [cell, other, "?"]}), "labels")
    partly, known, unknown = found.values
    assert partly == LabelSet(["cat"], unknown=["dog", "cow"])
    assert known == {"dog", "cow"}
    assert unknown == LabelSet(unknown=["cat", "dog", "cow"])
    assert f"images whose other labels are unknown (such as '{cell}'): 1" in found.messages


@given(st.lists(st.lists(st.text(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_lists_tuples_and_sets_are_read_as_python_writes_them(rows):
    """What `repr` wrote is read as Python itself reads it, whatever the characters."""
    wanted = [{label.strip() for label in row if not means_no_label(label.strip()) and label != "?"} for row in rows]
    for form in (list, tuple, set):
        cells = [str(form(row)) for row in rows]
        if not any(wanted):
            return
        found = read_labels(text_table({"labels": cells}), "labels")
        assert [set(one) for one in found.values] == [one - {"?"} for one in wanted]


def test_numbers_in_lists_stay_as_they_are_written():
    assert understood(["[1.10, 1e3]", "[007]", "[true, -0]"]).labels == [{"1.10", "1e3"}, {"007"}, {"true", "-0"}]


def test_a_mapping_among_lists_is_an_error():
    with pytest.raises(TableError, match="line 3: column 'labels' holds lists, but .* cannot be parsed as a list"):
        understood(["['a']", "{'a': 'b'}"])


@pytest.mark.parametrize(
    ("cells", "delimiter"), [(["['cat']", "['?']", "['dog']"], None), (["cat;dog", "?;?", "cat"], None)]
)
def test_a_list_with_nothing_but_a_question_mark_is_unknown_and_said(cells, delimiter):
    read = read_labels_or_class(text_table({"labels": cells}), "labels", delimiter)
    assert list(read.values)[1].unknown == {"cat", "dog"}
    assert "images of which every label is unknown (?): 1" in read.messages
    assert not any("without a label" in message for message in read.messages)


@pytest.mark.parametrize("cells", [["['?']", "['?']"], ["?;?", "?;"], ["['?']", "?"], ["['']", "[null]"]])
def test_a_column_in_which_no_label_is_named_is_an_error(cells):
    with pytest.raises(TableError, match="column 'labels' holds no label at all"):
        understood(cells)
