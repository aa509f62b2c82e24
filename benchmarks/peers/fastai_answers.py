"""fastai's side of the comparison of validations: ``python -m peers.fastai_answers < settings.json``."""

from fastai.vision.all import set_seed

from peers.answers_job import give_answers
from peers.fastai_side import make_learner
from peers.job import read_settings


def main() -> None:
    settings = read_settings()
    set_seed(settings.seed)
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        learner.freeze_to(0)
        learner.fit_one_cycle(1, settings.lr)
        give_answers(settings, learner.validate, learner.get_preds, vocab=list(learner.dls.vocab), library="fastai")


if __name__ == "__main__":
    main()
