import pytest
from hypothesis import given, strategies as st

from eyebright.errors import InputError
from eyebright.evaluation.promise import Promise, parse_promise

NUMBERS = st.integers(1, 99).map(lambda percent: percent / 100)


@pytest.mark.parametrize(
    ("text", "promise"),
    [
        ("precision >= 0.95", Promise("precision", 0.95)),
        ("  Precision>=95%", Promise("precision", 0.95)),
        ("recall ≥ 90 %", Promise("recall", 0.9)),
        ("fpr <= 0.01", Promise("false_positive_rate", 0.01)),
        ("false positive rate <= 1e-2", Promise("false_positive_rate", 0.01)),
        ("false-positive-rate ≤ 1 %", Promise("false_positive_rate", 0.01)),
        ("FALSE_POSITIVE_RATE=<.01", Promise("false_positive_rate", 0.01)),
    ],
)
def test_a_promise_is_read_as_people_write_it(text, promise):
    assert parse_promise(text) == promise


@given(st.sampled_from(["precision", "recall", "false_positive_rate"]), NUMBERS, NUMBERS, st.booleans())
def test_what_a_promise_says_of_itself_is_read_as_the_same_promise(metric, bound, confidence, at_once):
    promise = Promise(metric, bound, confidence, None, at_once)
    assert parse_promise(str(promise), confidence=confidence, all_labels=at_once) == promise
    assert Promise.from_json(promise.to_json()) == promise


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "presicion >= 0.95",
            r"unknown metric of a promise: 'presicion'. Did you mean 'precision'\? Known: precision, ",
        ),
        (
            "f1 >= 0.95",
            r"unknown metric of a promise: 'f1'. .*Known: precision, recall, false_positive_rate, accuracy, fpr",
        ),
        ("precision 0.95", r"a promise is written as 'precision >= 0.95' or 'fpr <= 0.01', got 'precision 0.95'"),
        ("", "a promise is written as 'precision >= 0.95'"),
        ("precision <= 0.95", "a promise of precision is written with >=, got 'precision <= 0.95'"),
        ("recall > 0.9", "a promise of recall is written with >="),
        ("fpr >= 0.01", "a promise of fpr is written with <=, got 'fpr >= 0.01'"),
        ("precision >= 95", "between 0 and 1, got 95; for a percentage write '95 %'"),
        ("precision >= high", "a promise needs a number such as 0.95, got 'high'"),
        ("precision >= 1", r"the bound of a promise must be between 0 and 1 \(not included\), got 1.0"),
        ("precision >= 0 %", "the bound of a promise must be between 0 and 1"),
        ("precision >= nan", "the bound of a promise must be between 0 and 1"),
        ("precision >= -0.5", "the bound of a promise must be between 0 and 1"),
    ],
)
def test_other_texts_are_refused_with_what_to_write(text, message):
    with pytest.raises(InputError, match=message):
        parse_promise(text)


def test_a_confidence_outside_of_0_and_1_is_refused():
    with pytest.raises(InputError, match="the confidence of a promise must be between 0 and 1"):
        parse_promise("precision >= 0.9", confidence=95)


def test_a_promise_is_for_one_label_or_for_all_at_once():
    with pytest.raises(InputError, match="a promise is for one label or for all labels, got the label 'cat' and all"):
        Promise("precision", 0.9, label="cat", all_labels=True)
