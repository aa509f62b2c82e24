import pytest
import torch

from eyebright.errors import InputError
from eyebright.evaluation.top_losses import (
    LabelCase,
    PointCase,
    top_losses_multilabel,
    top_losses_single_label,
    top_point_errors,
)
from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, image_losses
from eyebright.types import Thresholds, Vocab

NAN = float("nan")
VOCAB = Vocab(["ant", "bee", "cat"])
PROBABILITIES = torch.tensor([[0.9, 0.1, 0.2], [0.4, 0.7, 0.8], [0.6, 0.6, 0.1]])


def test_missing_and_extra_labels_are_named():
    target = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 0, 1]])
    losses = torch.tensor([0.1, 0.5, 0.9])
    cases = top_losses_multilabel(losses, PROBABILITIES, target, vocab=VOCAB, thresholds=Thresholds())
    assert [case.index for case in cases] == [2, 1, 0]
    assert [(case.missing, case.extra) for case in cases] == [
        (("cat",), ("ant", "bee")),
        (("ant",), ("bee",)),
        ((), ()),
    ]
    assert cases[0].loss == pytest.approx(0.9)
    assert cases[0].probabilities == pytest.approx({"ant": 0.6, "bee": 0.6, "cat": 0.1})


def test_a_label_of_which_a_person_is_asked_is_not_missing():
    thresholds = Thresholds(0.75, lower=(0.5, 0.65, 0.15))
    cases = top_losses_multilabel(
        torch.tensor([0.1, 0.5, 0.9]), PROBABILITIES, torch.ones(3, 3), vocab=VOCAB, thresholds=thresholds
    )
    assert [(case.index, case.missing, case.abstained) for case in cases] == [
        (2, ("bee", "cat"), ("ant",)),
        (1, ("ant",), ("bee",)),
        (0, ("bee",), ("cat",)),
    ]
    nothing = torch.zeros(3, 3)
    cases = top_losses_multilabel(torch.ones(3), PROBABILITIES, nothing, vocab=VOCAB, thresholds=thresholds)
    assert [case.abstained for case in cases] == [()] * 3


def test_an_unknown_label_is_neither_missing_nor_extra():
    target = torch.tensor([[1.0, NAN, NAN], [NAN, 0, 0], [0, NAN, 1]])
    cases = top_losses_multilabel(
        torch.tensor([0.1, 0.5, 0.9]), PROBABILITIES, target, vocab=VOCAB, thresholds=Thresholds()
    )
    assert [(case.missing, case.extra) for case in cases] == [
        (("cat",), ("ant",)),
        ((), ("bee", "cat")),
        ((), ()),
    ]


def test_an_image_of_unknown_class_is_ignored():
    target, logits = torch.tensor([0, -1, 0]), PROBABILITIES.log()
    losses = image_losses(CrossEntropyLossFlat(), logits, target)
    cases = top_losses_single_label(losses, logits.softmax(1), target, vocab=VOCAB)
    assert [case.index for case in cases] == [2, 0]


def test_each_class_uses_its_own_threshold():
    target = torch.ones(3, 3)
    cases = top_losses_multilabel(
        torch.tensor([0.0, 1.0, 0.0]),
        PROBABILITIES,
        target,
        vocab=VOCAB,
        thresholds=Thresholds((0.3, 0.7, 0.9)),
        k=1,
    )
    assert cases[0].missing == ("bee", "cat")  # 0.7 is not above 0.7


def test_images_are_sorted_by_decreasing_loss():
    losses = torch.tensor([1.0, NAN, 3.0, float("inf"), 1.0, 2.0])
    ones = torch.ones(6, 1)
    cases = top_losses_multilabel(losses, ones, ones, vocab=["a"], thresholds=Thresholds(), k=5)
    assert [case.index for case in cases] == [3, 2, 5, 0, 4]


def test_images_with_equal_losses_keep_their_order():
    ones = torch.ones(500, 1)
    cases = top_losses_multilabel(torch.ones(500), ones, ones, vocab=["a"], thresholds=Thresholds(), k=500)
    assert [case.index for case in cases] == list(range(500))


def test_for_a_misclassified_image_the_true_class_is_missing_and_the_predicted_one_extra():
    target = torch.tensor([0, 1, 0])
    logits = PROBABILITIES.log()
    losses = image_losses(CrossEntropyLossFlat(), logits, target)
    cases = top_losses_single_label(losses, logits.softmax(1), target, vocab=VOCAB, k=2)
    assert [(case.index, case.missing, case.extra) for case in cases] == [(1, ("bee",), ("cat",)), (2, (), ())]
    assert sum(cases[0].probabilities.values()) == pytest.approx(1)
    assert cases[0].loss == pytest.approx(-torch.tensor(cases[0].probabilities["bee"]).log().item())


def test_the_loss_of_an_image_is_the_mean_cross_entropy_of_its_labels():
    target = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 0, 1]])
    losses = image_losses(BCEWithLogitsLossFlat(), PROBABILITIES.logit(), target)
    worst = top_losses_multilabel(losses, PROBABILITIES, target, vocab=VOCAB, thresholds=Thresholds(), k=1)[0]
    expected = -torch.tensor([1 - 0.6, 1 - 0.6, 0.1]).log().mean().item()
    assert (worst.index, worst.loss) == (2, pytest.approx(expected))


def test_unknown_points_have_no_error():
    target = torch.tensor([[[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    predicted = torch.tensor([[0.0, 0.5, 1.0, 1.0], [3.0, 4.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]])
    cases = top_point_errors(predicted, target)
    assert [case.index for case in cases] == [1, 0]  # all points of the third image are unknown
    assert cases[0] == PointCase(1, 5.0, (5.0, pytest.approx(NAN, nan_ok=True)))
    assert cases[1] == PointCase(0, 0.25, (0.5, 0.0))


def test_cases_are_immutable():
    case = LabelCase(0, 1.0, ("a",), (), {"a": 0.1})
    assert case == LabelCase(0, 1.0, ("a",), (), {"a": 0.1})
    with pytest.raises(AttributeError, match="cannot assign"):
        case.loss = 2.0  # type: ignore[misc]


@pytest.mark.wrong_shapes
def test_arguments_of_different_lengths_are_an_error():
    with pytest.raises(InputError, match="losses for 2 images and names for 3 labels"):
        top_losses_multilabel(torch.zeros(2), PROBABILITIES, torch.ones(3, 3), vocab=VOCAB, thresholds=Thresholds())
    with pytest.raises(InputError, match="losses for 3 images and names for 2 labels"):
        top_losses_single_label(torch.zeros(3), PROBABILITIES, torch.zeros(3, dtype=torch.long), vocab=["a", "b"])
    with pytest.raises(InputError, match="do not fit: each image needs as many targets as outputs"):
        top_point_errors(torch.zeros(2, 2), torch.zeros(1, 1, 2))
