"""The section of the report on labels that are probably wrong, with thumbnails of the most suspicious images."""

from collections.abc import Sequence

from eyebright.errors import count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.suspects import Suspect, find_suspects
from eyebright.report.collapsing import MAX_CARDS, MAX_EXPANDED_CARDS
from eyebright.report.evaluated_thumbnail import evaluated_thumbnail
from eyebright.web.blocks import Card, Collapsed, Gallery, Section, Tag
from eyebright.web.text import short_names

_LEGEND = (Tag("in the data, not predicted", "missing"), Tag("predicted, not in the data", "extra"))
_SETS = {
    "out_of_fold": "labelled images (each predicted by a head that was not fitted to it)",
    "valid": "validation images",
}
_PROBABILITIES = (
    "The numbers are probabilities after a calibration that was fitted to the other images, so that 0.9 means the same "
    "for each label; other sections have the probabilities of the model's predictions, which can differ a little."
)


def suspects_section(evaluation: Evaluation) -> list[Section]:
    """The section; empty if nothing is suspicious.

    Args:
        evaluation: the evaluation on images that the models were not trained on: out-of-fold, or the validation images.
    """
    suspects = find_suspects(evaluation)
    if not suspects:
        return []
    images, by_image = _by_image(suspects)
    names = short_names(evaluation.files, images)
    cards = [_card(evaluation, row, name, by_image[row]) for row, name in zip(images, names, strict=True)]
    blocks: list[Gallery | Collapsed] = [Gallery(cards[:MAX_EXPANDED_CARDS], _LEGEND)]
    if rest := cards[MAX_EXPANDED_CARDS:]:
        blocks.append(Collapsed(f"{count_text(len(rest), 'further image')}", [Gallery(rest, _LEGEND)]))
    which = _SETS.get(evaluation.part, f"{evaluation.part} images")
    intro = (
        f"{len(suspects):,} values in the data of {len(evaluation):,} {which} are improbable according to the model; "
        f"shown: {count_text(len(cards), 'image')}, the most suspicious first. Check before you change anything: the "
        "model also makes mistakes. The command eyebright suspects lists all of them."
    )
    if evaluation.decision.target.can_calibrate:
        intro += f" {_PROBABILITIES}"
    return [Section("Labels to look at", "suspects", blocks, intro)]


def _by_image(suspects: Sequence[Suspect]) -> tuple[list[int], dict[int, list[Suspect]]]:
    """The rows of the first images, and the suspects of each."""
    by_image: dict[int, list[Suspect]] = {}
    for suspect in suspects:
        if suspect.row in by_image or len(by_image) < MAX_CARDS:
            by_image.setdefault(suspect.row, []).append(suspect)
    return list(by_image), by_image


def _card(evaluation: Evaluation, row: int, name: str, suspects: Sequence[Suspect]) -> Card:
    image = evaluated_thumbnail(evaluation, row)
    tags = [tag for suspect in suspects for tag in _tags(suspect)]
    copies = sorted({copy for suspect in suspects for copy in suspect.copies})
    note = f"a copy has another label: {', '.join(copies)}" if copies else ""
    words = "; ".join(
        f"{suspect.kind} {suspect.label}: given {suspect.given}, predicted {suspect.predicted}" for suspect in suspects
    )
    return Card(name, evaluation.files[row], image, f"{name}: {words}", tags, note=note)


def _tags(suspect: Suspect) -> list[Tag]:
    """What is given, and what is predicted."""
    if suspect.kind == "wrong label":
        return [Tag(f"{suspect.label} {suspect.probability:.2f}", "missing")]
    if suspect.kind == "missing label":
        return [Tag(f"{suspect.label} {suspect.predicted_probability:.2f}", "extra")]
    if suspect.kind == "wrong class":
        predicted = Tag(f"{suspect.predicted} {suspect.predicted_probability:.2f}", "extra")
        return [Tag(f"{suspect.given} {suspect.probability:.2f}", "missing"), predicted]
    return [Tag(f"{suspect.label}: {suspect.given}", "missing"), Tag(f"{suspect.label}: {suspect.predicted}", "extra")]
