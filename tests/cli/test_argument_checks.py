"""Arguments that a parser of options would change without a word."""

import pytest

from eyebright.cli.argument_checks import check_arguments
from eyebright.cli.main import options_of
from eyebright.errors import InputError


@pytest.mark.parametrize("line", [["", "--out", "a"], ["t.csv", "--out", ""], ["t.csv", "--out="], ["--", ""]])
def test_an_empty_path_is_not_the_working_folder(line: list[str]) -> None:
    with pytest.raises(InputError, match="empty.*give '.' for the working folder"):
        check_arguments(line, options_of("train"))


@pytest.mark.parametrize(
    "line",
    [
        ["t.csv", "--labels", "a", "--labels", "b"],  # may be repeated
        ["t.csv", "--delimiter", ""],  # text may be empty
        ["t.csv", "--delimiter="],
        ["t.csv", "--delimiter", "--out", "--out", "model"],  # a value that looks like an option
        ["t.csv", "--out", "m", "--", "--out"],
        ["--unknown", "x", "--unknown", "y"],  # the parser reports it
    ],
)
def test_other_arguments_are_left_to_the_parser(line: list[str]) -> None:
    check_arguments(line, options_of("train"))
