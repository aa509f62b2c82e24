"""The images that the documents of the book are tested on serve the examples as well."""

from seeds.test_seeds import no_window as no_window
from seeds.test_seeds import small_sets as small_sets
