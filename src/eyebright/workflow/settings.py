"""The settings of a training run: the values that were used, for ``options.json``, and as words for the report."""

from typing import Any

from eyebright.learner.learner import Learner
from eyebright.workflow.fine_tuning_options import fine_tuning_of
from eyebright.workflow.loaders import flips_images, shows_whole_images
from eyebright.workflow.option import option_fields
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.setting_words import setting_in_words

NOT_USED = "not used"
_OPTIONS_WITHOUT_EFFECT = ("profile", "progress")  # options that do not change the model


def settings_in_words(learner: Learner, options: TrainOptions) -> list[tuple[str, str]]:
    """(name, value) of each option as a person writes it; an option that had no effect on the model is "not used".

    Args:
        learner: the trained learner.
        options: the training options.
    """
    block = learner.dls.target
    head = fine_tuning_of(options).head if options.trains_epochs else "linear"
    values: dict[str, Any] = {
        **vars(options),
        **chosen_values(learner, options),
        "head": head,
        "whole": shows_whole_images(block, options),
        "flip": flips_images(block, options),
        "start_from": options.start_from and options.start_from.resolve().name,  # no path of the user
    }
    fields = {field.name: field for field in option_fields(TrainOptions) if field.name not in _OPTIONS_WITHOUT_EFFECT}
    words: list[tuple[str, str]] = []
    for name, field in fields.items():
        needs = field.option.needs
        used = not needs or bool(getattr(block, needs))
        used &= options.trains_epochs or name == "head" or not field.option.needs_epochs
        used &= field.option.head in ("", head)
        words.append((name, setting_in_words(field, values[name]) if used else NOT_USED))
    return [*words, ("weights", values["weights"] or "none")]


def chosen_values(learner: Learner, options: TrainOptions) -> dict[str, Any]:
    """The values that were used, by option, including those that were chosen automatically.

    Args:
        learner: the trained learner.
        options: the training options.
    """
    dls, device = learner.dls, learner.run.device
    settings = fine_tuning_of(options)._asdict() if options.trains_epochs else {}
    if options.start_from is not None:
        settings.pop("dropout", None)  # taken from the head of the other model
    return {
        "bs": dls.bs,
        "device": str(device.torch_device),
        "precision": device.precision if options.trains_epochs else "float32",
        "workers": dls.train.workers,
        "weights": learner.model.origin,
        **{name: value for name, value in settings.items() if value is not None},
    }
