"""The values of training options as a person writes them, for the settings in a report."""

import re
from collections.abc import Sequence
from typing import Any

from eyebright.types import Size
from eyebright.workflow.option import OptionField, command_line_text, option_fields
from eyebright.workflow.options import TrainOptions

_CONSTANTS = {"None": None, "True": True, "False": False, "[]": None}
_LIST = re.compile(r"\[(.+)\]")
_SEPARATORS = {"size": "x", "normalize_by": ","}  # between the elements of options that were printed as lists


def setting_in_words(field: OptionField, value: Any) -> str:
    """The value of an option: on or off for a flag, and for None what it means."""
    if value is None or value == ():
        return field.option.unset.partition(";")[0]
    if isinstance(value, bool):
        return "on" if value else "off"
    if field.name == "size":
        return str(Size.of(value))
    return command_line_text(value)


def saved_settings_in_words(settings: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The settings of a saved report in words, also those that an earlier version saved as Python prints them.

    Args:
        settings: (name, value) pairs of a training run, as they were saved.
    """
    fields = {field.name: field for field in option_fields(TrainOptions)}
    return [(name, _former_in_words(fields.get(name), text)) for name, text in settings]


def _former_in_words(field: OptionField | None, text: str) -> str:
    """A saved value in words: unchanged unless it is one of Python's constants, or the list of an option that has one.

    Other options are names and folders, whose brackets are part of them.
    """
    if text in _CONSTANTS:
        value = _CONSTANTS[text]
        if field is not None:
            return setting_in_words(field, value) or "none"
        return "none" if value is None else "on" if value else "off"
    elements = _LIST.fullmatch(text)
    if field is None or elements is None or field.name not in _SEPARATORS:
        return text
    return _SEPARATORS[field.name].join(element.strip().strip("'\"") for element in elements[1].split(","))
