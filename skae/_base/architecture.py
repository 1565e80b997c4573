"""Descriptions of builders, by which a resumed fit finds that one was changed."""

from functools import partial
from hashlib import sha256
from types import CodeType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor


def describe_builder(value: Any, within: tuple[int, ...] = ()) -> Any:
    """Describe a builder by its function, arguments and keywords, as plain data.

    A builder is another object after unpickling, and two that differ may have the same
    name. Importable functions are identified by their name; of functions without an
    importable name the code counts, and what it encloses.

    Parameters
    ----------
    value : callable or object
        The builder, or a part of one.

    within : tuple of int, default=()
        Identities of the objects that it is part of, which may be part of it, too.
    """
    if id(value) in within:
        return "recursive"
    within = (*within, id(value))
    if isinstance(value, partial):
        parts = {"args": value.args, "keywords": value.keywords}
        function = describe_builder(value.func, within)
        return {"function": function, **describe_builder(parts, within)}
    if isinstance(value, (list, tuple)):
        return [describe_builder(item, within) for item in value]
    if isinstance(value, dict):
        return {str(key): describe_builder(item, within) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return np.asarray(value).tolist()
    if isinstance(value, ModuleType):
        return value.__name__
    name = getattr(value, "__qualname__", None)
    if name is None:
        if not hasattr(value, "__dict__"):
            return value  # a number or a string
        # An object that is called; the class itself has a name.
        described = describe_builder(vars(value), within)
        return {"class": describe_builder(type(value)), **described}
    described = {"module": getattr(value, "__module__", None), "name": name}
    owner = getattr(value, "__self__", None)
    if owner is not None:  # a method
        described["self"] = describe_builder(owner, within)
    if "<" in name and hasattr(value, "__code__"):
        enclosed = [_contents(cell) for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__]
        described["defaults"] = describe_builder(defaults, within)
        described["enclosed"] = describe_builder(enclosed, within)
        described["code"] = _digest(value.__code__)
    return described


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # assigned later than the function was defined
        return None


def _digest(code: CodeType) -> str:
    """Short digest of a function's instructions, names and constants."""
    constants = [
        _digest(constant) if isinstance(constant, CodeType) else repr(constant)
        for constant in code.co_consts
    ]
    described = repr((code.co_code, code.co_names, constants))
    return sha256(described.encode()).hexdigest()[:12]
