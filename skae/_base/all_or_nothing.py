"""Keeps the result of an earlier fit if a later one raises."""

from contextlib import contextmanager


@contextmanager
def all_or_nothing(estimator):
    """Restore the result of an earlier fit if this one raises."""

    def fitted() -> dict:
        return {
            name: value
            for name, value in vars(estimator).items()
            if (name.endswith("_") and not name.startswith("_"))
            or name in estimator._private_state
        }

    before = fitted()
    try:
        yield
    except BaseException:
        for name in fitted():
            delattr(estimator, name)
        vars(estimator).update(before)
        raise
