"""Finds labels of a saved model's data that are probably wrong, using only its folder, without running a model."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.suspects import Suspect, find_suspects
from eyebright.inference.model_folder import load_evaluation, load_manifest
from eyebright.io.atomic import write_text
from eyebright.io.files import check_replaceable
from eyebright.io.text import valid_unicode
from eyebright.report.report_json import plain
from eyebright.workflow.command_options.labelling import SuspectOptions

COLUMNS = ("file", "kind", "label", "given", "predicted", "probability", "predicted_probability", "score", "copies")
"""The columns of the CSV file, and the keys of each suspect in JSON."""

_BEGINNING = '{\n "suspects_of":'
COPY_SEPARATOR = "; "
"""The separator of the names of copies in a cell of the CSV file."""


@dataclass(frozen=True, eq=False)
class FoundSuspects:
    """The suspects of a model folder.

    Args:
        evaluation: the predictions that the suspects are from: out-of-fold, or for the validation images.
        suspects: the suspects, the most suspicious first.
        notice: a sentence if not all labelled images were examined, or some have changed; empty otherwise.
    """

    evaluation: Evaluation
    suspects: Sequence[Suspect]
    notice: str


def make_suspects(options: SuspectOptions) -> FoundSuspects:
    """Finds the suspects; writes all of them to the files that the options name.

    Raises:
        ArtifactError: the model or its evaluation is missing or damaged, or a file cannot be written.
        DataError: an output is NaN or infinite.
        InputError: a file to write exists and has other content.
    """
    for path, beginning in ((options.out, ",".join(COLUMNS)), (options.json, _BEGINNING)):
        if path is not None:
            check_replaceable(path, [beginning], "suspects")
    evaluation, notice = unseen_answers(options.model)
    found = FoundSuspects(evaluation, find_suspects(evaluation), notice)
    if options.out is not None:
        write_text(options.out, _csv(found.suspects), "suspects")
    if options.json is not None:
        write_text(options.json, _json(found, options.model), "suspects")
    return found


def unseen_answers(folder: Path) -> tuple[Evaluation, str]:
    """(out-of-fold predictions, or those for the validation images; a sentence about that, and about changed images).

    Raises:
        ArtifactError: as in `load_evaluation`.
    """
    if load_manifest(folder).out_of_fold_hash is not None:
        evaluation = load_evaluation(folder, part="out_of_fold")
        return evaluation, evaluation.changed_message
    evaluation = load_evaluation(folder)
    notice = f"no out-of-fold predictions: only the {len(evaluation):,} validation images are examined"
    return evaluation, "; ".join(filter(None, [notice, evaluation.changed_message]))


def _csv(suspects: Sequence[Suspect]) -> str:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows([_cell(getattr(suspect, name)) for name in COLUMNS] for suspect in suspects)
    return file.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return valid_unicode(value if isinstance(value, str) else COPY_SEPARATOR.join(value))


def _json(found: FoundSuspects, folder: Path) -> str:
    content = {
        "suspects_of": str(folder),
        "part": found.evaluation.part,
        "images": len(found.evaluation),
        "notice": found.notice,
        "suspects": [{name: asdict(suspect)[name] for name in COLUMNS} for suspect in found.suspects],
    }
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
