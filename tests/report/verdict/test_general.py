"""What holds for every kind: leaks come first, and slices, epochs and wide intervals are said with their numbers."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.slices import IMAGE_SIZE, Slice
from eyebright.report.build import build_report
from eyebright.report.data import MetricRow, ReportFacts
from eyebright.report.verdict.general import (
    baseline_sentences,
    leak_recommendation,
    more_evaluated,
    slice_recommendations,
    slice_sentences,
    training_recommendations,
)
from eyebright.tasks.category import CategoryBlock
from support.evaluations import make_evaluation

ROW = MetricRow("mAP", 0.8, 0.75, 0.85, 0.2)
SOUTH = Slice("site", "south", 40, 0.5, Interval(0.4, 0.6), 0.875, 0.001, is_worse=True)


def test_leaks_put_every_other_change_behind_them(evaluation, page):
    data = page(leaking=list(evaluation.files[:6]))
    first = data.verdict.recommendations[0]
    assert first.rule == "leaks"
    assert first.evidence.startswith("6 of the 60 evaluated images are copies of training images")
    without = build_report(evaluation.take(range(6, 60)), ReportFacts()).metric_rows[0]
    assert first.evidence.endswith(f"without them the mAP is {without.text} instead of {data.metric_rows[0].text}.")


def test_without_leaks_nothing_is_said_of_them():
    assert leak_recommendation(0, 60, ROW, None) == []
    assert leak_recommendation(60, 60, ROW, None)[0].evidence.endswith("no score here is for new images.")


@pytest.mark.parametrize(
    ("low", "value", "baseline", "words"),
    [(0.75, 0.8, 0.2, None), (0.15, 0.3, 0.2, "may be no better"), (0.05, 0.1, 0.2, "is no better")],
)
def test_a_score_whose_interval_contains_its_baseline_is_said(low, value, baseline, words):
    sentences = baseline_sentences(MetricRow("mAP", value, low, value + 0.1, baseline))
    assert [words in one for one in sentences] == ([] if words is None else [True])
    error = MetricRow("MAE", -value, -value - 0.1, -low, -baseline, higher_is_better=False)
    assert bool(baseline_sentences(error)) == bool(sentences)
    assert baseline_sentences(MetricRow("mAP", math.nan, baseline=0.2)) == []


def test_the_slice_that_is_significantly_worse_is_named_with_its_gain():
    unsure = replace(SOUTH, value="north", p_value=0.2)
    assert slice_sentences([SOUTH, unsure], "mAP") == [
        "Worse where the 'site' is 'south': mAP 0.5 on 40 images, against 0.875 on all others "
        "(p < 0.05, corrected for 2 slices)."
    ]
    (recommendation,) = slice_recommendations([SOUTH, unsure], ROW, is_share=True)
    assert (recommendation.gain.before, recommendation.gain.after) == (0.8, 0.875)
    assert recommendation.about == ("site: south",)
    assert slice_sentences([unsure], "mAP") == slice_recommendations([unsure], ROW, is_share=True) == []
    size = replace(SOUTH, column=IMAGE_SIZE, value="up to 0.2 megapixels")
    assert "whose size is up to 0.2 megapixels" in slice_recommendations([size], ROW, is_share=True)[0].action


def test_a_slice_of_a_report_reaches_its_first_screen():
    rng = np.random.default_rng(0)
    sites = rng.choice(["north", "south"], 400)
    targets = torch.from_numpy(rng.integers(0, 2, 400))
    right = torch.from_numpy(rng.random(400) < np.where(sites == "south", 0.5, 0.95))
    outputs = torch.nn.functional.one_hot(torch.where(right, targets, 1 - targets), 2).float()
    evaluation = replace(
        make_evaluation(CategoryBlock(["a", "b"]), outputs, targets), columns=pd.DataFrame({"site": sites})
    )
    found = build_report(evaluation, ReportFacts()).verdict
    assert any("'site' is 'south'" in one for one in found.cannot) or any(
        "'site' is 'north'" in c for c in found.cannot
    )


def test_a_validation_loss_that_rises_again_asks_for_fewer_epochs():
    losses = [0.5, 0.3, 0.35, 0.45]
    (recommendation,) = training_recommendations(ReportFacts(history=[{"valid_loss": loss} for loss in losses]))
    assert recommendation.action.startswith("Train for fewer epochs (about 2)")
    assert training_recommendations(ReportFacts(history=[{"valid_loss": loss} for loss in losses[:2]])) == []
    assert training_recommendations(ReportFacts(history=[{"valid_loss": math.nan}] * 4)) == []


def test_a_frozen_model_that_was_kept_is_said():
    text = (
        "fine-tuning changed mAP from 0.9 to 0.89: -0.01 (95 % CI -0.02 to 0.001), in 5.0 s; the frozen model is kept"
    )
    facts = ReportFacts(fine_tuning=text, keeps_frozen=True, history=[{"valid_loss": 0.5}])
    (recommendation,) = training_recommendations(facts)
    assert recommendation.rule == "frozen_kept"
    assert recommendation.evidence == f"Fine-tuning{text[len('fine-tuning') :]}."
    assert not training_recommendations(replace(facts, keeps_frozen=False))


def test_a_folder_of_an_older_version_says_in_its_sentence_which_model_was_kept():
    kept = "fine-tuning changed mAP from 0.9 to 0.89: -0.01, in 5.0 s; the frozen model is kept"
    no_time = "the frozen model is kept: there was no time for fine-tuning"
    assert ReportFacts.from_json({"fine_tuning": kept}).keeps_frozen
    assert not ReportFacts.from_json({"fine_tuning": no_time}).keeps_frozen
    assert not ReportFacts.from_json({}).keeps_frozen


def test_a_wide_interval_asks_for_more_evaluated_images():
    assert more_evaluated(ROW, has_folds=False) == []
    wide = MetricRow("mAP", 0.8, 0.6, 0.9)
    (recommendation,) = more_evaluated(wide, has_folds=False)
    assert recommendation.action == "Evaluate on more images: label more for validation, or train with folds."
    assert "may be anything from 0.60 to 0.90 on new images" in recommendation.evidence
    assert more_evaluated(MetricRow("mAP", 0.8), has_folds=False) == []
    assert more_evaluated(wide, has_folds=True)[0].action == "Evaluate on more images: label more for validation."
