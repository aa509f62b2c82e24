"""`AllBut` is the set that it describes, and label sets with it are those with the same unknown labels."""

import copy
import pickle
import sys
from collections import Counter

from hypothesis import given, strategies as st

from eyebright._all_but import AllBut, count_labels
from eyebright.types import LabelSet

WORDS = st.frozensets(st.sampled_from("abcdefgh"))
MANY = frozenset(f"label {i}" for i in range(600))


@given(WORDS, WORDS, WORDS)
def test_it_equals_the_set_that_it_describes(vocabulary: frozenset[str], known: frozenset[str], other: frozenset[str]):
    one, plain = AllBut(vocabulary, known), vocabulary - known
    assert one == plain == one == AllBut(frozenset(vocabulary), known)
    assert hash(one) == hash(plain)
    assert (len(one), set(one), [label in one for label in "abcdefgh"]) == (
        len(plain),
        set(plain),
        [label in plain for label in "abcdefgh"],
    )
    assert (one & other, one | other, one - other, other - one) == (
        plain & other,
        plain | other,
        plain - other,
        other - plain,
    )
    assert (one == AllBut(vocabulary, other)) == (plain == vocabulary - other)


@given(st.lists(st.tuples(WORDS, WORDS)))
def test_labels_are_counted_as_in_plain_sets(pairs: list[tuple[frozenset[str], frozenset[str]]]):
    sets = [AllBut(vocabulary, known) for vocabulary, known in pairs]
    plain = Counter(label for vocabulary, known in pairs for label in vocabulary - known)
    assert +count_labels([*sets, *(frozenset(one) for one in sets)]) == +Counter({k: 2 * v for k, v in plain.items()})


def test_a_label_set_keeps_a_large_one_and_equals_the_one_with_a_plain_set():
    one = LabelSet(["label 1"], unknown=AllBut(MANY, ["label 1", "label 2"]))
    plain = LabelSet(["label 1"], unknown=MANY - {"label 1", "label 2"})
    assert isinstance(one.unknown, AllBut)
    assert one == plain
    assert hash(one) == hash(plain)
    assert one != LabelSet(["label 1"], unknown=AllBut(MANY, ["label 1"]))
    assert isinstance(LabelSet(unknown=AllBut(frozenset({"a", "b"}), ["a"])).unknown, frozenset)
    for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert again == one


def test_a_hundred_images_with_hundreds_of_unknown_labels_hold_the_vocabulary_once():
    sets = [LabelSet(unknown=AllBut(MANY, [f"label {i}"])) for i in range(100)]
    assert len(pickle.dumps(sets)) < 4 * len(pickle.dumps(MANY))
    assert all(sys.getsizeof(one.unknown) < 100 for one in sets)
