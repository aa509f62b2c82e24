"""The common inputs of exports: the saved model, its preprocessing as numbers, and the images for the comparison."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from eyebright._defaults import EXPORT_IMAGES
from eyebright._version import __version__
from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.export.answers_graph import ANSWERS, class_threshold, thresholds_of
from eyebright.export.model_graph import as_text
from eyebright.export.out_of_distribution_graph import MEANING
from eyebright.export.parity import existing
from eyebright.export.pixels_graph import Steps, steps_of
from eyebright.export.record import CONTRACT, decision_hash
from eyebright.image.canonical import CANONICAL
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_manifest, manifest_content
from eyebright.inference.out_of_distribution import THRESHOLD
from eyebright.inference.predictor import Predictor
from eyebright.models.weights import declared_licence
from eyebright.tasks.registry import block_to_json
from eyebright.transforms.draw import output_size


class Validation(NamedTuple):
    """The validation images that an export is compared on.

    Args:
        evaluation: the evaluation of these images, with their targets; None if the model has none.
        paths: those that are compared.
        sentences: what a user should know of those that are missing.
    """

    evaluation: Evaluation | None
    paths: list[str]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exportable:
    """A saved model that can be exported.

    Args:
        predictor: the predictor in torch, on the CPU.
        steps: its preprocessing.
        validation: the images that are compared.
        facts: the facts of the model for the record and the metadata of what is exported.
    """

    predictor: Predictor
    steps: Steps
    validation: Validation
    facts: dict[str, Any]

    @property
    def metadata(self) -> dict[str, str]:
        """The facts as texts, as ONNX has them; the fingerprint is that of weights and decision."""
        model = self.facts["model"]
        fingerprint = hashlib.sha256(f"{model['weights']} {model['decision']}".encode()).hexdigest()
        texts = {name: value if isinstance(value, str) else as_text(value) for name, value in self.facts.items()}
        return {**texts, "fingerprint": fingerprint}

    @property
    def has_points(self) -> bool:
        """Whether the answers are points, which a graph of the model's size gives in pixels of its input."""
        return ANSWERS[self.predictor.target.name].has_points

    @property
    def without_sets(self) -> tuple[str, ...]:
        """The sentence on prediction sets, where the model has them."""
        has_sets = self.predictor.manifest.decision.prediction_sets is not None
        return ("what is exported has no prediction sets; `eyebright predict` has them",) if has_sets else ()


def load_exportable(folder: Path, validation: Validation | None, *, packages: Sequence[str]) -> Exportable:
    """The saved model in a folder.

    Args:
        folder: the model folder.
        validation: the images that are compared; None for the default ones of `validation_images`.
        packages: those whose versions are recorded.

    Raises:
        ArtifactError: the folder contains no model or a damaged one.
        InputError: the model cannot be exported.
    """
    predictor = load_predictor(folder, runtime="torch", device="cpu")
    steps = exportable_steps(predictor.manifest)
    validation = validation_images(folder) if validation is None else validation
    versions = {"eyebright": __version__, **{name: metadata.version(name) for name in ("torch", *packages)}}
    facts = {**_facts(folder, predictor, steps), "versions": versions}
    return Exportable(predictor, steps, validation, facts)


def exportable_steps(manifest: Manifest) -> Steps:
    """The preprocessing of a model that can be exported.

    Raises:
        InputError: its images have different sizes or not three channels, or their pixels are not supported by graphs.
    """
    if manifest.pixels_version != CANONICAL:
        raise InputError(
            f"the model was evaluated with preprocessing version '{manifest.pixels_version}', whose pixels depend on "
            f"the installed libraries, and a graph computes '{CANONICAL}': train it again"
        )
    if output_size(manifest.preprocessing) is None:
        raise InputError(
            "the model's preprocessing keeps different image sizes, and an exported graph needs a fixed one: train it "
            "with a size"
        )
    if manifest.model.n_in != 3:
        raise InputError(f"the model takes images of {manifest.model.n_in} channels, and only 3 can be exported")
    return steps_of(manifest.preprocessing)


def validation_images(folder: str | Path, *, images: str | Path | None = None, most: int = EXPORT_IMAGES) -> Validation:
    """The validation images of a saved model that are there.

    Args:
        folder: the model folder.
        images: their folder; None for where they were evaluated.
        most: the most of them that are compared.

    Raises:
        InputError: there is no folder ``images``.
    """
    if images is not None and not Path(images).is_dir():
        raise InputError(f"there is no folder of images '{images}'")
    load_manifest(folder)  # a folder without a model is an error, but a model without an evaluation is not
    try:
        evaluation = load_evaluation(folder)
    except ArtifactError as error:
        reason = f"only synthetic images are compared, since the validation images are unknown: {error}"
        return Validation(None, [], (reason,))
    evaluation = evaluation if images is None else replace(evaluation, root=Path(images))
    existing_paths = existing(evaluation.paths, most)
    if existing_paths or not most:
        return Validation(evaluation, existing_paths)
    reason = (
        f"only synthetic images are compared, since none of the {len(evaluation):,} validation images was found, such "
        f"as '{evaluation.paths[0]}'; give their folder as `images`"
    )
    return Validation(evaluation, [], (reason,))


def _facts(folder: Path, predictor: Predictor, steps: Steps) -> dict[str, Any]:
    """The facts of the model in the record and in the metadata of the graphs."""
    manifest = predictor.manifest
    content, decision = manifest_content(folder), manifest.decision
    kind = ANSWERS[manifest.target.name]
    facts: dict[str, Any] = {
        "contract": CONTRACT,
        "kind": manifest.target.name,
        "answers": kind.meaning,
        "names": list(manifest.target.value_names),
    }
    if manifest.target.has_thresholds:
        facts["thresholds"], facts["lower_thresholds"] = thresholds_of(decision)
    elif decision.thresholds.is_three_way:
        facts["asks_up_to"] = class_threshold(decision)
    if predictor.ood is not None:
        facts["answers"] += f"; {MEANING}"
        facts["ood_threshold"] = THRESHOLD
    return {
        **facts,
        "calibration": decision.to_json()["calibration"],
        "target": block_to_json(manifest.target),
        "preprocessing": steps.to_json(),
        "pixels": manifest.pixels_version,
        "model": {
            "id": content.get("id"),
            "weights": content.get("weights"),
            "decision": decision_hash(manifest),
            "arch": manifest.model.arch,
        },
        "licence": declared_licence(manifest.model.arch) or "not declared",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
