"""Times of images: ISO 8601 and its usual variants, or numbers; anything else is an error with its line."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.text_table import strings
from eyebright.sources.times import read_times
from support.label_files import images, write_text


def source(cells: object, **more: object) -> Source:
    columns = pd.DataFrame({"taken": cells})
    files = strings([f"{i}.jpg" for i in range(len(columns))])
    return Source("regression", Path(), files, np.zeros((len(columns), 1)), columns=columns, **more)  # type: ignore[arg-type]


@given(st.lists(st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=8))
def test_every_date_is_read_as_python_reads_it(dates: list[datetime]) -> None:
    expected = [date.replace(tzinfo=UTC).timestamp() for date in dates]
    assert read_times(source([date.isoformat() for date in dates]), "taken").values == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "cell",
    [
        "2024-05-31",
        "2024/05/31",
        "2024.5.31",
        "2024:05:31 00:00:00",  # as cameras write it
        "2024-05-31T00:00",
        "2024-05-31 00:00:00.000",
        "2024-05-31T00:00:00Z",
        "2024-05-31T02:00:00+02:00",
    ],
)
def test_usual_spellings_of_a_day_are_the_same(cell: str) -> None:
    assert read_times(source([cell]), "taken").values.tolist() == [1717113600.0]


def test_a_month_or_a_year_is_its_first_day() -> None:
    assert np.diff(read_times(source(["2024", "2024-01", "2024-02"]), "taken").values).tolist() == [0, 31 * 86400]


@pytest.mark.parametrize("cells", [[3.5, -1, 2], ["20240531", "20240601", "7"]])
def test_numbers_are_themselves(cells: list[object]) -> None:
    assert read_times(source(cells), "taken").values.tolist() == [float(str(cell)) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2024-05-31", "31.05.2024"], "'31.05.2024' is neither a date nor a number in column 'taken'"),
        (["2024-05-31", "2024-13-01"], "'2024-13-01' is neither a date nor a number"),
        (["2024-05-31", None], "there is no time in column 'taken'"),
        ([1.0, float("nan")], "there is no time in column 'taken'"),
        (
            ["2024-05-31", "yesterday"],
            "'yesterday' is neither .*write dates as 2024-05-31 or 2024-05-31T12:30, or numbers",
        ),
        (["2024-05-31", "17.5"], "'17.5' is a number, and other cells are dates, in column 'taken'"),
        (["5", "x"], "'x' is neither a date nor a number"),
    ],
)
def test_a_cell_that_is_no_time_is_an_error_with_its_image(cells: list[object], message: str) -> None:
    with pytest.raises(TableError, match=f"^image '1.jpg': {message}"):
        read_times(source(cells), "taken")


def test_the_error_names_the_file_and_the_line(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    path = write_text(tmp_path / "t.csv", "file,labels,taken\na.jpg,cat,2024-05-31\nb.jpg,dog,soon\n")
    with pytest.raises(TableError, match="^'t.csv' line 3: 'soon' is neither a date nor a number in column 'taken'"):
        read_times(read_source(path), "taken")


def test_a_column_that_is_not_there_is_an_error_with_the_nearest() -> None:
    with pytest.raises(InputError, match="`time`: there is no column 'takn'. Did you mean 'taken'"):
        read_times(source(["2024"]), "takn")


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-05-31T10:00:00Z", "2024-05-31T09:00:00"],
        ["2024-05-30 10:00", "2024:05:31 10:00:00 +02:00"],
        ["2024-05-30", "2024-05-31T10:00+0200", "2024-05-31T11:00"],
    ],
)
def test_times_with_and_without_a_zone_have_no_order(cells: list[str]) -> None:
    with pytest.raises(
        TableError, match=r"names no time zone, and '2024.*' does, in column 'taken', which `time` names"
    ):
        read_times(source(cells), "taken")


def test_a_day_beside_times_of_one_zone_is_a_time() -> None:
    values = read_times(source(["2024-05-31", "2024-05-31T02:00+02:00"]), "taken").values
    assert values.tolist() == [1717113600.0, 1717113600.0]


def test_seconds_beside_milliseconds_are_refused_and_either_alone_is_read() -> None:
    with pytest.raises(TableError, match="'1717158600000' looks like milliseconds since 1970, and '1717158600' like"):
        read_times(source(["1717158600", "1717158600000"]), "taken")
    for cells in (["1717158600", "1717158601"], ["1717158600000", "1717158601000"], ["3", "1717158600000"]):
        assert read_times(source(cells), "taken").values.tolist() == [float(cell) for cell in cells]
