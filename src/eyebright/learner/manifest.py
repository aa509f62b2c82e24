"""The manifest of the model that a learner has trained."""

from collections.abc import Mapping

from eyebright.inference.manifest import Manifest
from eyebright.tasks.decision import Decision
from eyebright.train.trainer import Trainer


def manifest_of(trainer: Trainer, decision: Decision, scores: Mapping[str, float]) -> Manifest:
    """The description of the trained model, of its training run and of its data, as `Learner.save_model` saves it.

    Args:
        trainer: has the model, the data and the run.
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
        },
        data={
            "train": len(dls.train_ds),
            "valid": len(dls.valid_ds),
            "fingerprint": dls.datasets.fingerprint(),
            "skipped": len(dls.skipped),
        },
    )
