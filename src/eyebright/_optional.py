"""Import of packages that are installed only with an extra of Eyebright."""

import importlib
from types import ModuleType

from eyebright.errors import MissingExtraError


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The imported module.

    Args:
        module: dotted name, for example ``"matplotlib.pyplot"``.
        extra: the extra of Eyebright that installs it.
        purpose: what the package is needed for, as the subject of the error message: ``"drawing a figure"``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        package = module.split(".")[0]
        if missing.name is None or missing.name.split(".")[0] != package:
            raise
        raise _missing(package, extra, purpose) from None


def _missing(package: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(f"{purpose} needs the package '{package}': pip install 'eyebright[{extra}]'")
