"""Values that an option can have, where functions and the command line share them; importing this loads no torch."""

from typing import Literal

Balance = Literal["none", "pos_weight", "effective_number"]
"""How rare classes are weighted: not at all, by their frequency, or by the effective number of their images."""

OptimizerName = Literal["adamw", "sgd"]
"""AdamW, which with beta2 = 0.99 and eps = 1e-5 is the book's Adam, or SGD with momentum."""
