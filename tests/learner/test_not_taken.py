"""Names of fastai that Eyebright does not have: each says what to use, and the page for fastai's users lists it."""

from pathlib import Path

import pytest

from eyebright import all as notebook
from eyebright.errors import InputError
from eyebright.learner.not_taken import NOT_TAKEN

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-fastai.md"


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_every_use_of_a_name_that_is_not_taken_says_what_to_use(name: str) -> None:
    value = getattr(notebook, name)
    assert name in notebook.__all__
    said = f"^{name} is not part of Eyebright: "
    with pytest.raises(InputError, match=said):
        value(1, size=2)
    with pytest.raises(InputError, match=said):
        _ = value.from_something
    with pytest.raises(InputError, match=said):
        list(value)
    with pytest.raises(InputError, match=said):

        class Mine(value):  # type: ignore[misc,valid-type]
            pass

    assert repr(value).startswith(f"{name} is not part of Eyebright: ")
    assert not hasattr(value, "_repr_html_")


def test_no_name_is_taken_and_not_taken() -> None:
    for name in NOT_TAKEN:
        assert type(getattr(notebook, name)).__name__ == "NotTaken", name


def test_the_page_for_fastais_users_lists_every_name() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in NOT_TAKEN if f"`{name}`" not in page] == []


def test_what_a_sentence_names_for_use_is_there() -> None:
    for name in ("F1ScoreMulti", "PrecisionMulti", "CutMix", "FitOptions", "download_images", "PerspectiveWarp"):
        assert name in notebook.__all__
        assert any(name in sentence for sentence in NOT_TAKEN.values())
