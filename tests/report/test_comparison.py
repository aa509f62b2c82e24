"""The page and the JSON of a comparison say the same, for each kind of target."""

import json

import pytest

from eyebright.evaluation.model_comparison import compare_models
from eyebright.report.comparison import comparison_json, comparison_page, comparison_sentences
from eyebright.report.report_json import plain
from eyebright.types import Thresholds
from eyebright.web.page import render_page
from support.four_kinds import EVALUATIONS


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_a_comparison_is_a_page_and_json(kind: str) -> None:
    a, b = EVALUATIONS[kind](), EVALUATIONS[kind]()
    b = type(b)(b.decision, b.outputs.flip(0), b.targets, b.files, b.root, b.sizes)
    found = compare_models(a, b)
    page = render_page(comparison_page(found, ("old", "<new>")))
    assert "<new>" not in page
    content = json.loads(json.dumps(comparison_json(found, ("old", "<new>")), allow_nan=False))
    assert content["images"] == 40
    assert [one["difference"] for one in content["metrics"]] == plain([one.difference for one in found.metrics])
    assert len(content["worse"]) == len(found.worse) > 0
    assert found.worse[0].file in page
    sentences = comparison_sentences(found)
    assert sentences[0] == "40 images that both models evaluated"
    assert f"{len(found.worse)} with" in sentences[-1]


def test_images_of_only_one_model_are_counted() -> None:
    a, b = EVALUATIONS["labels"](), EVALUATIONS["labels"]()
    found = compare_models(a.take(range(30)), b.take(range(5, 40)))
    assert comparison_sentences(found)[0] == (
        "25 images that both models evaluated; 5 images only by the first, 10 images only by the second"
    )


def test_how_many_images_ask_a_person_is_said() -> None:
    first = EVALUATIONS["labels"]()
    thresholds = Thresholds(0.9, lower=0.1)
    second = first.with_decision(first.decision.with_thresholds(thresholds))
    found = compare_models(first, second)
    share = 100 * float(thresholds.abstains(second.activated).any(dim=1).double().mean())
    sentence = (
        f"on 0 % of the images by the first model, on {share:.3g} % by the second; such an answer is not a mistake"
    )
    assert sentence in comparison_sentences(found)[-1]
    abstention, wrong = found.handed_over
    assert f"{abstention} from wrong to asking a person, {wrong} from asking" in comparison_sentences(found)[-2]
    assert comparison_json(found, ("old", "new"))["asking"] == [0.0, pytest.approx(share / 100)]
    assert comparison_json(compare_models(first, first), ("old", "new"))["asking"] is None
