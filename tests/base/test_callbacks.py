"""scikit-learn's callback protocol, and the progress bar of ``verbose``."""

import re
import sys

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import reconstruction_r2


class Recorder:
    """A callback that writes down what it is called with, and may end training."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.events = []
        self.scores = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X))
        n_epochs = self.events.count("end epoch")
        return self.stop_after is not None and n_epochs >= self.stop_after


def test_each_epoch_is_a_task(X):
    recorder = Recorder()
    ae = AutoencoderTransformer(2, max_iter=3, early_stopping=False, random_state=0)
    ae.set_callbacks(recorder).fit(X)

    epochs = ["begin epoch", "end epoch"] * 3
    assert recorder.events == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert recorder.scores[-1] == pytest.approx(ae.score(X))
    assert len(set(recorder.scores)) > 2  # of the model as it was then


def test_a_callback_can_end_training(X):
    ae = AutoencoderTransformer(2, max_iter=50, early_stopping=False, random_state=0)
    ae.set_callbacks(Recorder(stop_after=2)).fit(X)

    assert len(ae.history_) == 2
    assert ae.n_iter_ == 2
    assert ae.score(X) > AutoencoderTransformer(2, max_iter=1, learning_rate=1e-30).fit(
        X
    ).score(X)


def test_never_more_epochs_than_announced(X):
    """scikit-learn refuses more subtasks than the fit has announced."""
    for n_samples in (20, 150, 200):
        ae = AutoencoderTransformer(2, max_iter=3, random_state=0)
        ae.set_callbacks(Recorder()).fit(X[:n_samples])


def test_scoring_monitor_gives_a_learning_curve(X):
    monitor = ScoringMonitor(scoring={"r2": reconstruction_r2})
    ae = AutoencoderTransformer(2, max_iter=5, early_stopping=False, random_state=0)
    ae.set_callbacks(monitor).fit(X)

    curve = monitor.get_logs().data_as_pandas
    curve = curve[curve["task_name"] == "epoch"]["r2"]
    assert len(curve) == 5
    assert curve.iloc[-1] == pytest.approx(reconstruction_r2(ae, X))


def test_progress_bar_reaches_our_epochs_through_a_search(X, capsys):
    pipeline = Pipeline([("scale", StandardScaler()), ("ae", AutoencoderTransformer())])
    pipeline.set_params(ae__max_iter=2, ae__random_state=0)
    search = GridSearchCV(pipeline, {"ae__n_components": [1, 2]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))

    search.fit(X)

    shown = capsys.readouterr().out
    assert "AutoencoderTransformer - fit" in shown
    assert "100%" in shown


def test_verbose_shows_a_bar_and_silence_is_the_default(X, capsys):
    AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
    assert capsys.readouterr() == ("", "")

    AutoencoderTransformer(2, max_iter=2, verbose=1, random_state=0).fit(X)
    shown = capsys.readouterr().out
    assert re.search(r"AutoencoderTransformer.*train 0\.\d+", shown)


def test_verbose_without_rich_says_what_to_install(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        AutoencoderTransformer(2, verbose=True).fit(X)


def test_history_is_a_tidy_frame(X):
    ae = AutoencoderTransformer(2, max_iter=4, random_state=0).fit(X)
    history = ae.history_

    assert list(history) == [
        "stage",
        "epoch",
        "train_loss",
        "valid_loss",
        "learning_rate",
        "seconds",
    ]
    validate = history[history["stage"] == "validate"]
    assert list(validate["epoch"]) == [1, 2, 3, 4]
    assert validate.notna().all(axis=None)
    assert history[history["stage"] == "refit"]["valid_loss"].isna().all()
    assert (history["seconds"] > 0).all()
    assert all(np.isfinite(history["train_loss"]))
