"""AutoGluon's MultiModalPredictor in the race: ``python -m peers.race_autogluon STEP FOLDER``.

``fit`` with its defaults, the race's model, image size and number of epochs. It has no task for several labels. Runs
under an interpreter with autogluon.multimodal.
"""

import pandas as pd
from autogluon.multimodal import MultiModalPredictor

from peers.race_protocol import LabelledImage, Run, run_step


def train(run: Run) -> None:
    """Writes the folder ``autogluon``."""
    predictor = MultiModalPredictor(label="label", path=str(run.path("autogluon")), verbosity=1)
    predictor.fit(
        train_data=table(run.train),
        tuning_data=table(run.valid),
        seed=run.seed,
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": run.arch,
            "model.timm_image.image_size": run.size[0],
            "optim.max_epochs": 1 if run.epochs is None else run.epochs,
            "env.batch_size": run.bs,
            "env.per_gpu_batch_size": run.bs,
        },
    )


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image."""
    predictor = MultiModalPredictor.load(str(run.path("autogluon")))
    probabilities = predictor.predict_proba(pd.DataFrame({"image": run.held_out}), as_pandas=True)
    run.save_predictions(probabilities[run.names].to_numpy())


def table(images: list[LabelledImage]) -> pd.DataFrame:
    """A row per image."""
    return pd.DataFrame({"image": [image["path"] for image in images], "label": [image["target"] for image in images]})


if __name__ == "__main__":
    run_step(train=train, predict=predict)
