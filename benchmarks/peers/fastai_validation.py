"""fastai in the comparison of validation: ``python -m peers.fastai_validation < settings.json``."""

from fastai.vision.all import set_seed

from peers.fastai_training import make_learner
from peers.training_protocol import read_settings
from peers.validation_protocol import time_and_print


def main() -> None:
    settings = read_settings()
    set_seed(settings.seed)
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        learner.freeze_to(0)
        learner.fit_one_cycle(1, settings.lr)
        time_and_print(settings, learner.validate, learner.get_preds, vocab=list(learner.dls.vocab), library="fastai")


if __name__ == "__main__":
    main()
