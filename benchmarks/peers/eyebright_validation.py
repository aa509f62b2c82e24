"""Eyebright in the comparison of validation: ``python -m peers.eyebright_validation < settings.json``."""

from peers.eyebright_training import make_learner
from peers.training_protocol import read_settings
from peers.validation_protocol import time_and_print


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    learner.freeze_to(0)
    learner.fit_one_cycle(1, settings.lr)
    device = learner.run.device
    time_and_print(
        settings,
        learner.validate,
        learner.get_preds,
        vocab=list(learner.dls.vocab),
        library="eyebright",
        configuration=f"{device.precision}: {device.precision_reason}",
    )


if __name__ == "__main__":
    main()
