"""Fixtures with small datasets, shared with the tests of the seed documents."""

from seeds.test_seeds import no_window as no_window, small_datasets as small_datasets
