"""Progress bar of ``verbose=True``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(name: str, n_epochs: int, shown: bool) -> Iterator[Callable]:
    """Yield ``advance(epoch)``, to be called with the history of each epoch."""
    if not shown:
        yield lambda epoch: None
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

        def advance(epoch: dict) -> None:
            losses = f"train {epoch['train_loss']:.4g}"
            if "valid_loss" in epoch:
                losses += f", valid {epoch['valid_loss']:.4g}"
            bar.update(task, advance=1, description=f"{name} ({losses})")

        yield advance
        # Early stopping may end before the last epoch; the bar is completed all the same.
        bar.update(task, completed=n_epochs)
