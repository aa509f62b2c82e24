"""The manifest of the model that a learner has trained."""

from collections.abc import Mapping
from typing import Any

from eyebright.inference.manifest import Manifest
from eyebright.models.weights import declared_licence
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.trainer import Trainer


def manifest_of(trainer: Trainer, decision: Decision, scores: Mapping[str, float]) -> Manifest:
    """The description of the trained model, of its training run and of its data, as `Learner.save_model` saves it.

    Args:
        trainer: the trainer, with the model, the data and the run.
        decision: calibration, thresholds and the target block.
        scores: the scores of the validation images, by metric.
    """
    model, dls, run = trainer.model, trainer.dls, trainer.run
    return Manifest(
        model=model.description,
        decision=decision,
        preprocessing=dls.valid.pipeline.transforms,
        pixels_version=dls.valid.pipeline.pixels_version,
        scores=dict(scores),
        training={
            "seed": run.seed,
            "precision": run.device.precision,
            "plans": [plan.to_json() for plan in run.plans],
            "weights": model.origin,
            "weights_licence": "" if model.origin is None else declared_licence(model.description.arch),
            "backbone_was_trained": model.backbone_was_trained,
            **({} if trainer.parent is None else {"parent": dict(trainer.parent)}),
            "linear_head": None if trainer.fitted_head is None else _C_of_outputs(trainer.fitted_head, dls.target),
        },
        data={
            "train": len(dls.train_ds),
            "valid": len(dls.valid_ds),
            "fingerprint": dls.datasets.fingerprint(),
            "skipped": len(dls.skipped),
        },
    )


def _C_of_outputs(head: LinearHead, block: TargetBlock) -> list[dict[str, Any]]:  # noqa: N802 - as in scikit-learn
    """Each C with which a head was fitted, and the names of its outputs, as JSON."""
    names = block.output_names
    return [{"C": choice.C, "outputs": [names[output] for output in choice.outputs]} for choice in head.C_choices]
