"""Descriptions of builders, by which a resumed fit finds that one was changed."""

from functools import partial
from types import CodeType
from typing import Any

import numpy as np
from torch import Tensor


def describe_builder(value: Any) -> Any:
    """Describe a builder by its function, arguments and keywords, as plain data.

    A builder is another object after unpickling, and two that differ may have the same
    name. Importable functions are identified by their name; of functions without an
    importable name the code counts, and what it encloses.
    """
    if isinstance(value, partial):
        parts = {"args": value.args, "keywords": value.keywords}
        return {"function": describe_builder(value.func), **describe_builder(parts)}
    if isinstance(value, (list, tuple)):
        return [describe_builder(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe_builder(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return np.asarray(value).tolist()
    name = getattr(value, "__qualname__", None)
    if name is None:
        if not hasattr(value, "__dict__"):
            return value  # a number or a string
        # An object that is called; the class itself has a name.
        return {"class": describe_builder(type(value)), **describe_builder(vars(value))}
    described = {"module": getattr(value, "__module__", None), "name": name}
    if getattr(value, "__self__", None) is not None:  # a method
        described["self"] = describe_builder(value.__self__)
    if "<" in name and hasattr(value, "__code__"):
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        described["defaults"] = describe_builder([value.__defaults__])
        described["enclosed"] = describe_builder(enclosed)
        described["code"] = _describe_code(value.__code__)
    return described


def _describe_code(code: CodeType) -> list:
    constants = [
        _describe_code(constant) if isinstance(constant, CodeType) else repr(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), list(code.co_names), constants]
