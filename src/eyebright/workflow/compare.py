"""Compares two saved models on the images that both evaluated, from their folders, without running a model."""

import json
from dataclasses import replace
from pathlib import Path

from eyebright.errors import ArtifactError, InputError, os_reason
from eyebright.evaluation.model_comparison import ModelComparison, compare_models
from eyebright.inference.model_folder import load_evaluation
from eyebright.io.atomic import write_atomically
from eyebright.io.files import check_replaceable
from eyebright.report.comparison import comparison_json, comparison_page
from eyebright.types import EvaluatedPart
from eyebright.web.page import check_page_file, write_page
from eyebright.workflow.command_options import CompareOptions

_PARTS: dict[str, EvaluatedPart] = {"valid": "valid", "promise": "promise", "test": "test"}
_BEGINNING = '{\n "models":'


def make_comparison(options: CompareOptions) -> ModelComparison:
    """Compares the models; writes the JSON file and the page that the options name.

    Raises:
        ArtifactError: a model or its evaluation is missing or damaged, or a file cannot be written.
        InputError: the models cannot be compared, there is no such folder of images, or a file to write exists and
            holds something else.
    """
    if options.out is not None:
        check_page_file(options.out, "comparison")
    if options.json is not None:
        check_replaceable(options.json, [_BEGINNING], "comparison")
    part = _PARTS[options.part]
    first, second = (load_evaluation(folder, part=part) for folder in (options.first, options.second))
    found = compare_models(first, second)
    if options.images is not None:
        if not options.images.is_dir():
            raise InputError(f"there is no folder of images '{options.images}'")
        found = replace(found, first=replace(found.first, root=options.images))
    names = _names(options.first, options.second)
    if options.json is not None:
        _write_json(found, names, options.json)
    if options.out is not None:
        write_page(comparison_page(found, names), options.out, "comparison")
    return found


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The names of the folders, with the folders above them where they are the same."""
    names = first.resolve().name, second.resolve().name
    return names if names[0] != names[1] else (str(first), str(second))


def _write_json(found: ModelComparison, names: tuple[str, str], path: Path) -> None:
    text = json.dumps(comparison_json(found, names), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"cannot write the comparison '{path}': {os_reason(error)}") from error
