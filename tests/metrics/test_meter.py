"""`Meter`: metrics over a whole set, from batches."""

from functools import partial

import pytest
import torch

from eyebright.errors import InputError
from eyebright.metrics import calibration, decisions, labels, ordinal, points, rankings, values
from eyebright.metrics.labels import (
    accuracy_metric,
    accuracy_multi,
    error_rate,
    error_rate_metric,
    f1,
    f1_macro,
    hamming_loss_metric,
    mean_ap,
    subset_accuracy_metric,
)
from eyebright.metrics.meter import Meter, Metric, as_metric
from eyebright.metrics.values import rmse
from eyebright.types import Thresholds


def fed(metrics, logits, target, *, cuts):
    """A meter that got the set in batches that end at the given places."""
    meter = Meter(metrics)
    for batch, wanted in zip(logits.tensor_split(cuts), target.tensor_split(cuts), strict=True):
        meter.add(batch, wanted)
    return meter


def test_metrics_of_the_whole_set_do_not_depend_on_the_batches(plain):
    logits = plain.scores.logit(eps=1e-6)
    metrics = [mean_ap, f1_macro, hamming_loss_metric, subset_accuracy_metric, accuracy_multi]
    whole = fed(metrics, logits, plain.target, cuts=[]).result(torch.sigmoid)
    parts = fed(metrics, logits, plain.target, cuts=[1, 17, 40]).result(torch.sigmoid)
    assert parts == whole
    assert whole["f1_macro"] == f1(plain.decisions, plain.target, average="macro")


def test_a_smaller_last_batch_does_not_distort_the_metric(gold):
    predicted, target = torch.tensor([1.0, 2, 3, 4, 10]), torch.zeros(5)
    found = fed([rmse], predicted, target, cuts=[4]).result(lambda x: x)
    assert found["rmse"] == pytest.approx(gold["exact rmse"])
    assert found["rmse"] != pytest.approx(gold["AvgMetric(rmse) over batches of 4 and 1"], rel=0.1)


def test_a_plain_callable_gets_logits_as_in_the_book(gold):
    logits, target = torch.tensor(gold["inp"]), torch.tensor(gold["targ"])
    found = fed([partial(accuracy_multi, thresh=0.2)], logits, target, cuts=[2]).result(torch.sigmoid)
    assert found == {"accuracy_multi": pytest.approx(gold["accuracy_multi"]["thresh=0.2,sigmoid=True"])}


def test_each_metric_gets_the_input_that_it_declares():
    logits, target = torch.tensor([[-1.0, 2.0]]), torch.tensor([[0.0, 1.0]])
    seen = {}

    def keep(kind):
        return Metric(kind, lambda given, _: seen.update({kind: given.tolist()}) or 0.0, takes=kind)

    meter = fed([keep("logits"), keep("probabilities"), keep("decisions"), keep("values")], logits, target, cuts=[])
    meter.result(lambda x: x / 10 + 0.5, Thresholds((0.3, 0.7)))
    assert seen["logits"] == [[-1.0, 2.0]]
    assert seen["probabilities"] == seen["values"] == [[pytest.approx(0.4), pytest.approx(0.7)]]
    assert seen["decisions"] == [[True, False]]


def test_the_default_threshold_is_one_half():
    meter = fed([hamming_loss_metric], torch.tensor([[0.5, 0.51]]), torch.tensor([[0, 1]]), cuts=[])
    assert meter.result(lambda x: x) == {"hamming_loss": 0.0}


def test_one_label_per_image_has_accuracy_and_error():
    logits, target = torch.tensor([[2.0, 1], [0, 1], [3, 2], [5, 6]]), torch.tensor([0, 1, 1, 1])
    found = fed([accuracy_metric, error_rate_metric, error_rate], logits, target, cuts=[3]).result(
        lambda x: x.softmax(1)
    )
    assert found == {"accuracy": 0.75, "error_rate": 0.25, "error_rate_2": 0.25}


def test_metrics_with_the_same_name_get_numbered_names():
    meter = Meter([partial(accuracy_multi, thresh=t) for t in (0.2, 0.5, 0.9)])
    assert [metric.name for metric in meter.metrics] == ["accuracy_multi", "accuracy_multi_2", "accuracy_multi_3"]


def test_a_metric_is_named_after_its_function():
    class Named:
        def __call__(self, predicted, target):
            return 0.0

    assert as_metric(partial(partial(accuracy_multi, thresh=0.1), sigmoid=False)).name == "accuracy_multi"
    assert as_metric(Named()).name == "Named"
    assert as_metric(mean_ap) is mean_ap


def test_half_precision_outputs_are_kept_as_float32():
    meter = fed([], torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3), cuts=[])
    assert meter.concatenated()[0].dtype == torch.float32


def test_kept_outputs_have_no_gradient():
    meter = fed([], torch.ones(2, 3, requires_grad=True), torch.ones(2, 3), cuts=[1])
    logits, target = meter.concatenated()
    assert not logits.requires_grad
    assert (len(meter), logits.shape, target.shape) == (2, (2, 3), (2, 3))


def test_a_class_where_a_metric_was_meant_is_refused():
    with pytest.raises(InputError, match="got the class Metric; call it first"):
        as_metric(Metric)


def test_something_that_cannot_be_called_is_refused():
    with pytest.raises(InputError, match="a metric must be a function or a Metric, got 'f1'"):
        Meter(["f1"])


def test_a_metric_of_many_numbers_is_refused():
    meter = fed([Metric("each", lambda p, t: p - t, takes="logits")], torch.ones(2), torch.ones(2), cuts=[])
    with pytest.raises(InputError, match="the metric 'each' must give one number, got Tensor"):
        meter.result(lambda x: x)


def test_without_any_batch_the_result_is_an_error():
    with pytest.raises(InputError, match="no batch was added"):
        Meter([mean_ap]).result(torch.sigmoid)


@pytest.mark.wrong_shapes
def test_outputs_and_targets_of_different_numbers_of_images_are_refused():
    with pytest.raises(InputError, match="outputs for 3 images and targets for 2"):
        Meter([]).add(torch.ones(3, 1), torch.ones(2, 1))


def test_metrics_are_imported_by_the_name_that_they_show():
    """A metric has the name of its column, with ``_metric`` where a function has that name already."""
    by_function = {"mean_ap": "mAP", "ordinal_accuracy_metric": "accuracy", "ordinal_mae_metric": "mae"}
    for module in (calibration, decisions, labels, ordinal, points, rankings, values):
        for name, value in vars(module).items():
            if isinstance(value, Metric):
                assert value.name == by_function.get(name, name.removesuffix("_metric"))
