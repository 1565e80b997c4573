"""The bar that ``verbose=True`` shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(name: str, n_epochs: int, shown: bool) -> Iterator[Callable]:
    """Yield ``advance(history_row)``, to be called after each epoch."""
    if not shown:
        yield lambda row: None
        return
    try:
        from rich.progress import Progress, TimeElapsedColumn
    except ImportError as error:
        raise ImportError(
            "verbose=True shows a progress bar with rich, which is not installed. "
            'Run pip install "skae[plot]", or pass verbose=False.'
        ) from error
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as bar:
        task = bar.add_task(name, total=n_epochs)

        def advance(row: dict) -> None:
            losses = f"train {row['train_loss']:.4g}"
            if "valid_loss" in row:
                losses += f", valid {row['valid_loss']:.4g}"
            bar.update(task, advance=1, description=f"{name} ({losses})")

        yield advance
        # Early stopping leaves epochs unused; the bar is full all the same.
        bar.update(task, completed=n_epochs)
