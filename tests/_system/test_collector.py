"""The garbage collector pauses, and is afterwards as it was."""

import gc

import pytest

from eyebright._system.collector import collector_paused


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_off_and_then_as_it_was_before(was_on):
    (gc.enable if was_on else gc.disable)()
    try:
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is was_on
    finally:
        gc.enable()


def test_an_error_turns_it_on_again():
    with pytest.raises(KeyError), collector_paused():
        raise KeyError
    assert gc.isenabled()
