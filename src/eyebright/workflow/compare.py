"""Compares two saved models on the images that both evaluated, from their folders, without running a model."""

import json
from collections.abc import Collection
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.evaluation.model_comparison import ModelComparison, compare_models
from eyebright.inference.model_folder import load_evaluation, load_manifest, weights_hash
from eyebright.io.atomic import write_text
from eyebright.io.files import check_replaceable
from eyebright.report.comparison import comparison_json, comparison_page
from eyebright.review.journal import JOURNAL, files_in_journal
from eyebright.sources.csv_file import read_csv
from eyebright.web.page import check_page_file, write_page
from eyebright.workflow.command_options.evaluation import CompareOptions
from eyebright.workflow.suspects import COPY_SEPARATOR

_BEGINNING = '{\n "models":'


def make_comparison(options: CompareOptions) -> ModelComparison:
    """Compares the models; writes the JSON file and the page that the options name.

    Raises:
        ArtifactError: a model or its evaluation is missing or damaged, or a file cannot be written.
        InputError: the models cannot be compared, there is no such folder of images, or a file to write exists and has
            other content.
    """
    if options.out is not None:
        check_page_file(options.out, "comparison")
    if options.json is not None:
        check_replaceable(options.json, [_BEGINNING], "comparison")
    first, second = (load_evaluation(folder, part=options.part) for folder in (options.first, options.second))
    nominated = () if options.nominated is None else _nominated_files(options.nominated, first.files)
    comparison = replace(compare_models(first, second, nominated=nominated), lineage=_lineage(options))
    if options.images is not None:
        if not options.images.is_dir():
            raise InputError(f"there is no folder of images '{options.images}'")
        comparison = replace(comparison, first=replace(comparison.first, root=options.images))
    names = _names(options.first, options.second)
    if options.json is not None:
        _write_json(comparison, names, options.json)
    if options.out is not None:
        write_page(comparison_page(comparison, names), options.out, "comparison")
    return comparison


def _nominated_files(path: Path, evaluated: Collection[str]) -> frozenset[str]:
    """The files whose labels were reviewed.

    Args:
        path: the path of a table with a column ``file`` and optionally ``copies``, as ``eyebright suspects --out``
            writes it; or of the journal of a review, or of its folder.
        evaluated: the files that the first model evaluated.

    Raises:
        ArtifactError: the journal cannot be read.
        InputError: the file is not a journal and has no column ``file``, or none of the files was evaluated.
    """
    if path.is_dir() or path.suffix == Path(JOURNAL).suffix:
        files = files_in_journal(path / JOURNAL if path.is_dir() else path)
    else:
        table = read_csv(path)
        if "file" not in table.columns:
            raise InputError(f"'{path}' has no column 'file' with the nominated images, only {listing(table.columns)}")
        copies = (cell.split(COPY_SEPARATOR) for cell in table.columns.get("copies", ()))
        files = frozenset((*table.columns["file"], *(name for names in copies for name in names))) - {""}
    if files and files.isdisjoint(evaluated):
        raise InputError(
            f"none of the {len(files):,} files in '{path}', such as '{min(files)}', was evaluated by the first model, "
            f"whose files are such as '{min(evaluated)}': give the review of these images, or name files as "
            f"`eyebright suspects` does"
        )
    return files


def _lineage(options: CompareOptions) -> str:
    """A sentence if one model was trained from the other; empty otherwise."""
    models = ("first", options.first), ("second", options.second)
    for (name, folder), (other, origin) in permutations(models, 2):
        parent, weights = load_manifest(folder).training.get("parent"), weights_hash(origin)
        if weights and isinstance(parent, dict) and {**parent}.get("weights") == weights:
            return f"the {name} model was trained from the {other}"
    return ""


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The names of the folders, with their parent folders if the names are equal."""
    names = first.resolve().name, second.resolve().name
    return names if names[0] != names[1] else (str(first), str(second))


def _write_json(found: ModelComparison, names: tuple[str, str], path: Path) -> None:
    text = json.dumps(comparison_json(found, names), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, "comparison")
