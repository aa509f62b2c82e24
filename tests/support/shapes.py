"""The check of shapes in annotations: `jaxtyping`'s import hook, with beartype for the annotations that have shapes.

What the check says follows from types, dtypes and shapes. It takes longer than many of the functions that it checks,
and took half the time of all tests: each function is therefore checked once for each combination of them.
"""

import dataclasses
import functools
import inspect
import operator
import re
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, install_import_hook
from torch import Tensor, nn

SOURCE = Path(__file__).resolve().parents[2] / "src"
_MAX_COMBINATIONS = 2000  # combinations that are kept for a function
_library: Any = jaxtyping
_each_call: Callable[..., Any] = jaxtyping.jaxtyped
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as type checkers have it


def check_shapes(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """The function, with those arguments and results checked whose annotations have shapes.

    All other annotations are ignored: many tests give wrong types on purpose, to read the error.
    """
    given = inspect.get_annotations(function)
    hints = {name: _without_items(hint) if _has_shape(hint) else Any for name, hint in given.items()}
    if all(hint is Any for hint in hints.values()):
        return function
    function.__annotations__ = hints
    return _check(function)


def install() -> None:
    """Checks the shapes of all modules of Eyebright that are imported from now on and have any."""
    _library.jaxtyped = once_per_shape  # the name by which the hook decorates
    files = sorted((SOURCE / "eyebright").rglob("*.py"))
    with_shapes = [file for file in files if "from jaxtyping import" in file.read_text(encoding="utf-8")]
    modules = [".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in with_shapes]
    install_import_hook(modules, f"{__name__}.check_shapes")


def once_per_shape(decorated: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """As `jaxtyping.jaxtyped`, but a call like an earlier one, in types, dtypes and shapes, is not checked again."""
    if decorated is None:
        return functools.partial(once_per_shape, typechecker=typechecker)
    if inspect.isclass(decorated):
        if dataclasses.is_dataclass(decorated) and not hasattr(decorated.__init__, "__wrapped__"):
            decorated.__init__ = once_per_shape(decorated.__init__, typechecker=typechecker)
        return decorated
    hints = inspect.get_annotations(decorated)
    shaped = {name: hint for name, hint in hints.items() if _has_shape(hint)}
    if not any(isinstance(hint, str) and _names_shape(hint, decorated.__globals__) for hint in hints.values()):
        if not shaped:
            return decorated
        parameters = [each for each in inspect.signature(decorated).parameters.values() if each.name in shaped]
        are_single = all(each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters)
        if are_single and all(_follows_from_type(_without_items(hint)) for hint in shaped.values()):
            return _checked_when_new(decorated, typechecker, [each.name for each in parameters])
    return _each_call(decorated, typechecker=typechecker)


def _checked_when_new(function: Any, typechecker: Callable[..., Any], names: list[str]) -> Any:
    """The function; a call is checked if there was none like it yet.

    Args:
        function: has annotations with shapes.
        typechecker: checks them.
        names: the names of the parameters that have one.
    """

    @functools.cache  # made when it is needed: it takes milliseconds, and most functions are not called
    def checked(what: Any) -> Any:
        return _each_call(what, typechecker=typechecker)

    places = [place for place, name in enumerate(inspect.signature(function).parameters) if name in names]
    seen: dict[Hashable, set[Hashable]] = {}
    known = threading.local()

    @functools.wraps(function)
    def known_result(*_: Any, **__: Any) -> Any:
        return known.result

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        count = len(args)
        given = [_description(args[place]) for place in places if place < count]
        key = (count, *given, *[(name, _description(kwargs[name])) for name in names if name in kwargs])
        results = seen.get(key)
        result = (checked(function) if results is None else function)(*args, **kwargs)
        of_result = _description(result)
        if results is not None and of_result not in results:
            known.result = result
            try:
                checked(known_result)(*args, **kwargs)
            finally:
                del known.result
        if results is None or of_result not in results:
            if len(seen) >= _MAX_COMBINATIONS:
                seen.clear()
            seen.setdefault(key, set()).add(of_result)
        return result

    return wrapped


def _description(value: Any) -> Hashable:
    """What a check sees of a value."""
    kind = type(value)
    if kind is Tensor or kind is nn.Parameter or isinstance(value, np.ndarray):
        return kind, value.dtype, value.shape
    if isinstance(value, Tensor):  # of a program that is traced, perhaps with unknown sizes
        return object()
    return tuple(map(_description, value)) if kind is tuple else kind


def _names_shape(hint: str, names: dict[str, Any]) -> bool:
    return any(hasattr(jaxtyping, word) or _has_shape(names.get(word)) for word in re.findall(r"\w+", hint))


def _follows_from_type(hint: Any) -> bool:
    """Whether types, dtypes and shapes decide what fits to an annotation, as they do not for a Literal."""
    if get_origin(hint) in (Union, UnionType, tuple):
        return all(map(_follows_from_type, get_args(hint)))
    return inspect.isclass(hint) or get_origin(hint) is np.ndarray


def _has_shape(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType, tuple):
        return any(map(_has_shape, get_args(hint)))
    return inspect.isclass(hint) and issubclass(hint, AbstractArray)


def _without_items(hint: Any) -> Any:
    """The annotation without the items of lists, of which beartype would check one, chosen by `random`."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return functools.reduce(operator.or_, map(_without_items, get_args(hint)))
    is_list = (
        inspect.isclass(origin) and issubclass(origin, Sequence) and (origin is not tuple or ... in get_args(hint))
    )
    return origin if is_list else hint
