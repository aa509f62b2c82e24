"""Writes the model card of a saved model, ``README.md`` in its folder."""

from pathlib import Path

from eyebright.inference.manifest import Manifest
from eyebright.io.generated_text import write_generated
from eyebright.models.weights import declared_licence
from eyebright.report.card_metadata import LICENCE
from eyebright.report.data import ReportData
from eyebright.report.model_card import CardFacts, model_card
from eyebright.transforms.draw import output_size
from eyebright.types import Say

CARD = "README.md"


def card_text(manifest: Manifest, data: ReportData | None, *, licence: str = LICENCE) -> str:
    """The text of the model card, without the comment that marks it as generated.

    Args:
        manifest: the manifest of the model.
        data: the content of its report; None for a model without an evaluation.
        licence: the licence of the model, an identifier of the Hugging Face hub.
    """
    training = manifest.training
    if "weights_licence" in training:
        weights_licence = str(training["weights_licence"])
    else:  # not saved by older versions
        weights_licence = declared_licence(manifest.model.arch)
    content = manifest.to_json()
    facts = {name: content[name] for name in ("training", "data", "targets", "tuning", "versions", "created")}
    size = output_size(manifest.preprocessing) or manifest.model.input.size
    return model_card(CardFacts(manifest.decision, manifest.model.arch, size, facts, weights_licence, licence), data)


def write_card(folder: Path, manifest: Manifest, data: ReportData | None, *, say: Say = lambda _: None) -> None:
    """Writes the model card, unless the existing one was edited.

    Args:
        folder: the model folder.
        manifest: the manifest of the model.
        data: the content of its report.
        say: called with a sentence if the card is kept.

    Raises:
        ArtifactError: the file cannot be written.
    """
    if not write_generated(folder / CARD, card_text(manifest, data)):
        say(
            f"'{folder / CARD}' was written or edited by a person, so it is kept unchanged, even if its scores are "
            f"outdated; remove it to have the model card written"
        )
