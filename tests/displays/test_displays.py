"""Displays: the artists show the computed values, for images and tables."""

import builtins
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae.displays
from skae import (
    AEOutlierDetector,
    AutoencoderTransformer,
    ContractiveAE,
    SparseAE,
    VAETransformer,
)
from skae.displays import (
    ComponentsDisplay,
    InterpolationDisplay,
    LatentDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
    TraversalDisplay,
)
from skae.displays._projection import is_quantity
from skae.displays._style import MARKERS, PALETTE, class_style

QUICK = {"max_iter": 5, "random_state": 0}
VALUES = np.array([-2.0, 0.0, 2.0])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def image_vae(digits):
    return VAETransformer(3, **QUICK).fit(digits[0])


@pytest.fixture(scope="module")
def table_vae(wine):
    return VAETransformer(2, **QUICK).fit(wine[0])


@pytest.fixture(scope="module")
def table_pipeline(wine):
    autoencoder = AutoencoderTransformer(2, **QUICK)
    return make_pipeline(StandardScaler(), autoencoder).fit(wine[0])


@pytest.fixture(scope="module")
def detector(wine):
    return AEOutlierDetector(**QUICK).fit(wine[0])


def texts(ticks):
    return [label.get_text() for label in ticks]


def tiles(image, n_lines, n_columns, shape, gap=1):
    """Split a drawn image into the images that it was tiled from."""
    board = np.ma.getdata(image.get_array())
    height, width = shape[0] + gap, shape[1] + gap
    places = [(i * height, j * width) for i in range(n_lines) for j in range(n_columns)]
    return np.array([board[a : a + shape[0], b : b + shape[1]] for a, b in places])


def bar_lengths(bars):
    return np.array([bar.get_width() for bar in bars])


def bar_heights(bars):
    return np.array([bar.get_height() for bar in bars])


# All displays.


def test_matplotlib_waits_until_something_is_drawn():
    code = (
        "import sys, skae, skae.displays as d; assert 'matplotlib' not in sys.modules; "
        "d.ComponentsDisplay([1.0], [True], label='')"
        "; assert 'matplotlib' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        LatentDisplay.from_predictions(np.eye(2))


def test_public_names_are_sorted_and_complete():
    public = {n for n in vars(skae.displays) if n.endswith("Display")}

    assert skae.displays.__all__ == sorted(public)


@pytest.mark.parametrize("name", skae.displays.__all__)
def test_displays_have_scikit_learns_form(name):
    display = getattr(skae.displays, name)

    assert callable(display.from_estimator) and callable(display.plot)
    assert {"figure_", "ax_", "axes_"} <= set(display.__doc__.split())


def draw_all(detector, vae, wine, axes=None):
    X, y = wine
    places = iter([None] * 7 if axes is None else axes)
    return [
        TrainingDisplay.from_estimator(vae, ax=next(places)),
        ReconstructionDisplay.from_estimator(vae, X, ax=next(places)),
        LatentDisplay.from_estimator(vae, X, y, ax=next(places)),
        TraversalDisplay.from_estimator(vae, [0, 1], VALUES, ax=next(places)),
        InterpolationDisplay.from_estimator(vae, X[:2], X[-2:], ax=next(places)),
        ComponentsDisplay.from_estimator(vae, ax=next(places)),
        OutlierDisplay.from_estimator(detector, X, sample=0, ax=next(places)),
    ]


def test_nothing_is_shown_and_no_setting_changed(detector, table_vae, wine, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("plt.show was called"))
    before = dict(plt.rcParams)

    for display in draw_all(detector, table_vae, wine):
        display.figure_.canvas.draw()  # a layout that fails warns here
        assert display.plot() is display

    assert dict(plt.rcParams) == before


def test_displays_are_drawn_in_the_given_axes(detector, table_vae, wine):
    figure, axes = plt.subplots(2, 4, figsize=(24, 10), layout="constrained")
    ranges = [ax.get_position() for ax in axes.ravel()]

    displays = draw_all(detector, table_vae, wine, axes.ravel())

    assert plt.get_fignums() == [figure.number]
    for display, place, area in zip(displays, axes.ravel(), ranges, strict=False):
        assert display.figure_ is figure
        assert place.axison == (place in display.axes_)
        for ax in display.axes_:
            own = ax.get_position()
            assert area.x0 - 1e-9 <= own.x0 and own.x1 <= area.x1 + 1e-9
            assert area.y0 - 1e-9 <= own.y0 and own.y1 <= area.y1 + 1e-9
    figure.canvas.draw()


def test_several_panels_need_a_place_in_a_grid(table_vae):
    ax = plt.figure().add_axes([0, 0, 1, 1])

    with pytest.raises(ValueError, match="must have a place in a grid.*plt.subplots"):
        TrainingDisplay.from_estimator(table_vae, ax=ax)


def test_classes_differ_in_colour_and_in_marker():
    n_styles = len(PALETTE) * len(MARKERS)
    styles = {tuple(class_style(i).values()) for i in range(n_styles)}

    assert len(styles) == n_styles
    assert len({class_style(i)["marker"] for i in range(5)}) == 5


# Training.


def check_lines_are_the_history(display, history):
    for (stage, name), line in display.lines_.items():
        epochs = history[history["stage"] == stage]
        assert_array_equal(line.get_ydata(), epochs[name])
        assert_array_equal(line.get_xdata(), epochs["epoch"])
    drawn = {name for _, name in display.lines_}
    terms = {n for n in history if n.startswith("train_")}
    assert drawn == terms | {"valid_loss", "learning_rate"}


def test_training_draws_the_history_with_its_terms(image_vae):
    display = TrainingDisplay.from_estimator(image_vae)

    check_lines_are_the_history(display, image_vae.history_)
    assert set(image_vae.history_["stage"]) == {"validate", "refit"}
    assert ("refit", "valid_loss") not in display.lines_
    assert display.lines_["validate", "train_kl"].axes is display.axes_[1]
    assert display.lines_["validate", "train_loss"].axes is display.axes_[0]
    assert "nats" in display.axes_[0].get_ylabel()
    assert_array_equal(display.chosen_.get_xdata(), [image_vae.n_iter_] * 2)


def test_folds_are_drawn_over_each_other(wine):
    X = wine[0][::2]
    autoencoder = make_pipeline(
        StandardScaler(), AutoencoderTransformer(2, random_state=0)
    ).fit(X)
    display = TrainingDisplay.from_estimator(autoencoder)

    check_lines_are_the_history(display, autoencoder[-1].history_)
    assert len([stage for stage, n in display.lines_ if n == "valid_loss"]) == 5
    legend = texts(display.ax_.get_legend().get_texts())
    assert legend.count("validation, five folds") == 1
    assert len(display.axes_) == 2  # no further terms


def test_initial_weights_that_were_kept_are_labelled(wine):
    kept = AutoencoderTransformer(4, random_state=0).fit(wine[0])
    assert kept.best_step_ == 0

    display = TrainingDisplay.from_estimator(kept)

    assert_array_equal(display.chosen_.get_xdata(), [0, 0])
    assert "initial weights" in display.chosen_.get_label()


def test_the_chosen_epoch_of_many_samples_is_that_of_the_weights_kept():
    curve = np.random.RandomState(0).uniform(-1, 1, size=(2000, 1))
    X = np.hstack([curve, curve**2, np.sin(3 * curve)])
    fitted = AutoencoderTransformer(1, random_state=0, max_iter=8).fit(X)
    display = TrainingDisplay.from_estimator(fitted)

    assert set(fitted.history_["stage"]) == {"validate"} and fitted.best_step_ > 0
    assert_array_equal(display.chosen_.get_xdata(), [fitted.n_iter_] * 2)


def test_no_epoch_is_chosen_without_validation_set(wine):
    X = wine[0]
    fitted = ContractiveAE(2, early_stopping=False, **QUICK).fit(X)
    online = VAETransformer(2, **QUICK).partial_fit(X[:90]).partial_fit(X[90:])

    assert TrainingDisplay.from_estimator(fitted).chosen_ is None
    display = TrainingDisplay.from_estimator(online)
    line = display.lines_["partial_fit", "train_loss"]
    assert display.chosen_ is None
    assert_array_equal(line.get_xdata(), np.arange(1, 11))
    assert_array_equal(line.get_ydata(), online.history_["train_loss"])


def test_training_needs_a_history():
    with pytest.raises(ValueError, match="PCA has no history_"):
        TrainingDisplay.from_estimator(PCA().fit(np.eye(3)))


# Reconstructions.


def test_images_lie_above_their_reconstructions(image_vae, digits):
    X = digits[0]
    back = image_vae.reconstruct(X[:5])
    display = ReconstructionDisplay.from_estimator(
        image_vae, X, n_samples=5, image_shape=(8, 8)
    )

    drawn = tiles(display.image_, 2, 5, (8, 8))
    assert_array_equal(drawn[:5].reshape(5, 64), X[:5])
    assert_allclose(drawn[5:].reshape(5, 64), back, rtol=1e-6)
    errors = np.square(X[:5] - back).mean(axis=1)
    assert_allclose(display.errors_, errors, rtol=1e-6)
    assert texts(display.ax_.get_xticklabels()) == [f"{e:.3g}" for e in errors]
    assert texts(display.ax_.get_yticklabels()) == ["original", "reconstruction"]


def test_channels_become_colours():
    X = np.random.RandomState(0).uniform(-3, 5, size=(3, 3 * 4 * 5))
    display = ReconstructionDisplay.from_predictions(X, X / 2, image_shape=(3, 4, 5))

    drawn = tiles(display.image_, 2, 3, (4, 5))
    colours = (X - X.min()) / (X.max() - X.min())
    expected = colours.reshape(3, 3, 4, 5).transpose(0, 2, 3, 1)
    assert drawn.shape == (6, 4, 5, 3)
    assert_allclose(drawn[:3], expected)
    grey = ReconstructionDisplay.from_predictions(X, X, image_shape=(1, 10, 6))
    assert tiles(grey.image_, 2, 3, (10, 6)).shape == (6, 10, 6)


@pytest.mark.parametrize("n_channels", [3, 4])
def test_channels_may_be_last(n_channels):
    X = np.random.RandomState(0).uniform(size=(3, 12 * 7 * n_channels))
    X[0, :2] = 0.0, 1.0
    shape = (12, 7, n_channels)
    display = ReconstructionDisplay.from_predictions(X, X, image_shape=shape)

    drawn = tiles(display.image_, 2, 3, (12, 7))
    assert_allclose(drawn[:3], X.reshape(3, *shape))


def test_tables_are_drawn_in_standard_deviations(table_pipeline, wine):
    X = wine[0]
    display = ReconstructionDisplay.from_estimator(table_pipeline, X, n_samples=3)

    back = table_pipeline.inverse_transform(table_pipeline.transform(X[:3]))
    mean, spread = X.mean().to_numpy(), X.std(ddof=0).to_numpy()
    before = [line.get_xdata() for line in display.originals_]
    after = [line.get_xdata() for line in display.reconstructions_]
    assert_allclose(before, (X[:3].to_numpy() - mean) / spread)
    assert_allclose(after, (back - mean) / spread)
    assert texts(display.ax_.get_yticklabels()) == list(X.columns)
    assert display.axes_[2].get_title().startswith("sample 2,")
    low, high = display.ax_.get_xlim()
    assert low < np.min([before, after]) and high > np.max([before, after])
    assert display.axes_[1].get_xlim() == (low, high)


def test_wide_tables_show_the_features_of_largest_error():
    X = np.random.RandomState(0).normal(size=(50, 30))
    back = X + np.linspace(0, 1, 30) * X.std(axis=0)
    display = ReconstructionDisplay.from_predictions(X, back, max_features=4)

    assert texts(display.ax_.get_yticklabels()) == ["x26", "x27", "x28", "x29"]
    assert "4 of 30" in display.ax_.get_ylabel()


def test_samples_keep_the_names_of_their_index(table_vae, wine):
    X = wine[0].rename(index=lambda i: f"wine {i}")
    display = ReconstructionDisplay.from_estimator(table_vae, X, n_samples=2)

    assert [ax.get_title().split(",")[0] for ax in display.axes_] == [
        "sample wine 0",
        "sample wine 1",
    ]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"image_shape": (8, 9)}, "has 72 values and must have n_features=64"),
        ({"image_shape": (2, 8, 4)}, "2 channels, but only 1, 3 or 4"),
        ({"n_samples": 0}, "n_samples=0 must be an integer of at least 1"),
    ],
)
def test_wrong_shapes_raise(digits, wrong, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_predictions(digits[0], digits[0], **wrong)


def test_other_numbers_of_features_raise_with_a_remedy():
    with pytest.raises(ValueError, match="X has 3 features.*from_predictions"):
        ReconstructionDisplay.from_predictions(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.parametrize("kind", [pl.from_pandas, sparse.csr_matrix, np.asarray])
def test_tables_of_any_kind_are_drawn(wine, kind):
    X = wine[0]
    other = kind(X)
    autoencoder = AutoencoderTransformer(2, **QUICK).fit(other)
    back = ReconstructionDisplay.from_estimator(autoencoder, other, n_samples=1)
    moved = TraversalDisplay.from_estimator(autoencoder, 0, VALUES, at=other[:1])

    mean, spread = X.mean().to_numpy(), X.std(ddof=0).to_numpy()
    assert_allclose(back.originals_[0].get_xdata(), (X.to_numpy()[0] - mean) / spread)
    named = kind is pl.from_pandas
    names = X.columns if named else [f"x{i}" for i in range(13)]
    assert texts(back.ax_.get_yticklabels()) == list(names)
    assert moved.lines_.shape == (1, 13)


def test_estimators_without_inverse_transform_raise(wine):
    with pytest.raises(ValueError, match="IsolationForest has no inverse_transform"):
        ReconstructionDisplay.from_estimator(IsolationForest().fit(wine[0]), wine[0])


# Codes.


def five_fold_accuracy(codes, y):
    folds = KFold(5, shuffle=True, random_state=0)
    parts = [len(test) for _, test in folds.split(codes)]
    scores = cross_val_score(KNeighborsClassifier(5), codes, y, cv=folds)
    return np.average(scores, weights=parts)


def test_two_components_are_drawn_as_they_are(table_vae, wine):
    X, y = wine
    codes = table_vae.transform(X)
    display = LatentDisplay.from_estimator(table_vae, X, y)

    for label, points in display.points_.items():
        assert_allclose(points.get_offsets(), codes[y == label], rtol=1e-6)
    assert texts(display.ax_.get_legend().get_texts()) == ["0", "1", "2"]
    assert display.ax_.get_legend().get_title().get_text() == "target"
    expected = f"5-NN accuracy of target: {five_fold_accuracy(codes, y):.2f}"
    assert display.ax_.get_title() == expected


def test_longer_codes_are_drawn_in_their_principal_plane(image_vae, digits):
    X, y = digits
    codes = image_vae.transform(X)
    display = LatentDisplay.from_estimator(image_vae, X, y)

    places = PCA(2).fit_transform(codes)
    for label, points in display.points_.items():
        assert_allclose(points.get_offsets(), places[y == label], rtol=1e-4, atol=1e-6)
    scores = five_fold_accuracy(codes, y), five_fold_accuracy(places, y)
    assert_allclose(display.scores, scores, atol=0.002)
    assert "as drawn" in display.ax_.get_title()
    assert "% of variance" in display.ax_.get_xlabel()


def test_tsne_keeps_neighbours():
    codes, y = np.repeat(np.eye(4) * 50, 15, axis=0), np.repeat(list("abcd"), 15)
    codes = codes + np.random.RandomState(0).normal(size=codes.shape)
    display = LatentDisplay.from_predictions(codes, y, method="tsne")

    assert display.scores == (1.0, 1.0)
    assert display.ax_.get_xlabel() == "t-SNE 0"


def test_umap_is_a_named_requirement(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)

    with pytest.raises(ImportError, match="pip install umap-learn"):
        LatentDisplay.from_predictions(np.eye(3), method="umap")


def test_numbers_get_a_colour_bar(wine):
    X = wine[0]
    display = LatentDisplay.from_predictions(X.iloc[:, :2], X["proline"])

    assert_array_equal(display.points_.get_array(), X["proline"])
    assert display.colorbar_.ax.get_ylabel() == "proline"
    assert display.ax_.get_title().startswith("5-NN R2 of proline")


def test_one_component_is_a_strip_for_each_class_or_a_histogram():
    X, y = load_iris(return_X_y=True)
    codes, names = X[:, [2]], np.array(["setosa", "versicolor", "virginica"])
    strips = LatentDisplay.from_predictions(codes, names[y])
    alone = LatentDisplay.from_predictions(codes)
    numbers = LatentDisplay.from_predictions(codes, X[:, 3])

    assert texts(strips.ax_.get_yticklabels()) == names.tolist()
    for number, name in enumerate(names):
        x, height = strips.points_[name].get_offsets().T
        assert_array_equal(x, codes[y == number, 0])
        assert (np.abs(height - number) < 0.5).all()
    assert_array_equal(alone.histogram_.get_data().values, np.histogram(codes, 40)[0])
    assert_array_equal(numbers.points_.get_offsets(), np.c_[codes, X[:, 3]])


@pytest.mark.parametrize(
    "y, measured",
    [
        ([0.5, 1.0], True),
        ([0.0, 1.0], False),
        (np.arange(21), True),
        (np.arange(20), False),
        ([True, False], False),
        (list("ab"), False),
    ],
)
def test_continuous_targets_are_distinguished_from_labels(y, measured):
    assert is_quantity(np.asarray(y)) is measured


def test_wrong_codes_raise():
    with pytest.raises(ValueError, match=r"y of shape .2,. must have shape .3,."):
        LatentDisplay.from_predictions(np.eye(3), [0, 1])
    with pytest.raises(ValueError, match="method='mds' must be one of auto, pca"):
        LatentDisplay.from_predictions(np.eye(3), method="mds")


# Traversals and interpolations.


def test_traversals_of_images_are_those_of_the_estimator(image_vae, digits):
    row = digits[0][:1]
    display = TraversalDisplay.from_estimator(
        image_vae, [2, 0], VALUES, at=row, image_shape=(8, 8)
    )

    drawn = tiles(display.image_, 2, 3, (8, 8)).reshape(2, 3, 64)
    for component, line in zip([2, 0], drawn, strict=True):
        assert_allclose(line, image_vae.traverse(component, VALUES, row)[0])
    assert texts(display.ax_.get_yticklabels()) == ["component 2", "component 0"]
    assert texts(display.ax_.get_xticklabels()) == ["-2", "0", "2"]


@pytest.mark.parametrize("at_row", [False, True])
def test_what_cannot_traverse_is_decoded(table_pipeline, wine, at_row):
    X = wine[0]
    at = X.iloc[0] if at_row else None
    display = TraversalDisplay.from_estimator(table_pipeline, 1, VALUES, at=at, X=X)

    codes = np.repeat(table_pipeline.transform(X[:1]) * at_row, 3, axis=0)
    codes[:, 1] = VALUES
    decoded = table_pipeline.inverse_transform(codes)
    expected = (decoded - X.mean().to_numpy()) / X.std(ddof=0).to_numpy()
    drawn = [line.get_ydata() for line in display.lines_[0]]
    assert_allclose(drawn, expected.T, rtol=1e-9, atol=1e-12)
    assert_array_equal(display.lines_[0, 0].get_xdata(), VALUES)
    assert display.ax_.get_ylabel() == "value, standard deviations"


def test_without_X_the_units_are_those_of_training(table_vae):
    display = TraversalDisplay.from_estimator(table_vae, 0, VALUES)

    outputs = table_vae.module_.outputs
    decoded = table_vae.traverse(0, VALUES)
    expected = (decoded - outputs.mean.numpy()) / outputs.spread.numpy()
    drawn = [line.get_ydata() for line in display.lines_[0]]
    assert_allclose(drawn, expected.T, rtol=1e-6, atol=1e-9)


def test_features_of_the_widest_ranges_are_in_every_legend():
    moves = np.zeros((3, 9))
    moves[0, [0, 1, 2, 3]] = 9, 8, 7, 6  # all larger than what other panels have
    moves[1, 5], moves[2, 7] = 2, 1
    paths = VALUES[:, None] * moves[:, None, :]
    X = pd.DataFrame(np.eye(9) * 3, columns=list("abcdefghi"))
    display = TraversalDisplay.from_predictions(paths, VALUES, components=[4, 5, 6])
    named = TraversalDisplay.from_predictions(paths, VALUES, X=X)

    legend = texts(display.axes_[-1].get_legend().get_texts())
    assert {"x0", "x5", "x7"} <= set(legend) and legend[-1] == "4 others"
    assert [ax.get_title() for ax in display.axes_][0] == "component 4"
    assert {"a", "f", "h"} <= set(texts(named.axes_[-1].get_legend().get_texts()))


def test_searches_are_drawn_by_what_they_found(wine):
    X = wine[0]
    search = GridSearchCV(PCA(), {"n_components": [2]}, cv=2).fit(X)
    display = TraversalDisplay.from_estimator(search, 1, VALUES, X=X)
    shares = ComponentsDisplay.from_estimator(search)

    decoded = search.best_estimator_.inverse_transform(np.c_[np.zeros(3), VALUES])
    expected = (decoded - X.mean().to_numpy()) / X.std(ddof=0).to_numpy()
    assert_allclose([line.get_ydata() for line in display.lines_[0]], expected.T)
    ratio = search.best_estimator_.explained_variance_ratio_
    assert_allclose(bar_heights(shares.bars_), ratio)


def test_wrong_traversals_raise(table_pipeline, wine):
    with pytest.raises(ValueError, match="component=2 must be from 0 to 1"):
        TraversalDisplay.from_estimator(table_pipeline, 2, VALUES)
    with pytest.raises(ValueError, match="at with n_samples=2.*single sample"):
        TraversalDisplay.from_estimator(table_pipeline, 0, VALUES, at=wine[0][:2])
    with pytest.raises(ValueError, match="Pass one path as .path."):
        TraversalDisplay.from_predictions(np.ones((3, 4)), VALUES)


def test_interpolations_of_images_are_those_of_the_estimator(image_vae, digits):
    X_from, X_to = digits[0][:2], digits[0][2:4]
    display = InterpolationDisplay.from_estimator(
        image_vae, X_from, X_to, n_steps=4, image_shape=(8, 8)
    )

    drawn = tiles(display.image_, 2, 4, (8, 8)).reshape(2, 4, 64)
    assert_allclose(drawn, image_vae.interpolate(X_from, X_to, 4))
    assert texts(display.ax_.get_xticklabels()) == ["0", "0.333", "0.667", "1"]


def test_what_cannot_interpolate_mixes_codes(wine):
    X = wine[0]
    pca = PCA(3).fit(X)
    display = InterpolationDisplay.from_estimator(pca, X[:1], X[5:6], n_steps=3, X=X)

    ends = pca.inverse_transform(pca.transform(X.iloc[[0, 5]]))
    decoded = np.stack([ends[0], ends.mean(axis=0), ends[1]])
    expected = (decoded - X.mean().to_numpy()) / X.std(ddof=0).to_numpy()
    drawn = [line.get_ydata() for line in display.lines_[0]]
    assert_allclose(drawn, expected.T)
    assert display.ax_.get_title() == "0 to 5"


def test_wrong_interpolations_raise(image_vae, digits):
    X = digits[0]
    with pytest.raises(ValueError, match="n_samples=2 and X_to with n_samples=1"):
        InterpolationDisplay.from_estimator(image_vae, X[:2], X[:1])
    with pytest.raises(ValueError, match="n_steps=0"):
        InterpolationDisplay.from_estimator(image_vae, X[:2], X[:2], n_steps=0)


# Components.


def test_divergences_are_bars_in_nats(image_vae, digits):
    trained = ComponentsDisplay.from_estimator(image_vae)
    X = digits[0][:100]
    given = ComponentsDisplay.from_estimator(image_vae, X)

    assert_allclose(bar_heights(trained.bars_), image_vae.kl_per_component_)
    mean, deviation = image_vae.posterior(X)
    kl = (0.5 * (mean**2 + deviation**2 - 1) - np.log(deviation)).mean(axis=0)
    assert_allclose(bar_heights(given.bars_), np.sort(kl)[::-1])
    assert_array_equal(given.order_, np.argsort(-kl))
    assert "nats" in given.ax_.get_ylabel()


class Fitted:
    """Stands for an estimator that has these attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_components_not_in_use_are_marked():
    vae = Fitted(kl_per_component_=np.array([2.0, 1.0, 1e-4]), active_units_=2)
    display = ComponentsDisplay.from_estimator(vae)

    assert_array_equal(display.idle_.get_xdata(), [2])
    assert display.ax_.get_title() == "2 of 3 in use, 3 nats in total"
    colours = [to_hex(bar.get_facecolor()) for bar in display.bars_]
    assert colours[0] == colours[1] != colours[2]


def test_shares_of_variance_are_sorted_bars(wine):
    X = StandardScaler().fit_transform(wine[0])
    autoencoder = AutoencoderTransformer(3, **QUICK).fit(X)

    for estimator in (autoencoder, PCA(3).fit(X)):
        display = ComponentsDisplay.from_estimator(estimator)
        expected = np.sort(estimator.explained_variance_ratio_)[::-1]
        assert_allclose(bar_heights(display.bars_), expected)


def test_sparse_components_are_counted_in_samples(digits):
    X = digits[0][:300]
    model = SparseAE(40, n_active=3, **QUICK).fit(X)
    display = ComponentsDisplay.from_estimator(model, X)

    active = model.transform(X) > 0
    expected = np.sort(active.mean(axis=0))[::-1]
    assert_allclose(bar_heights(display.bars_), expected)
    n_dead = (expected == 0).sum()
    assert f"{n_dead} in none" in display.ax_.get_title()
    piped = make_pipeline(StandardScaler(with_std=False), model).fit(X)
    display = ComponentsDisplay.from_estimator(piped, X)
    active = piped.transform(X) > 0
    assert_allclose(bar_heights(display.bars_), np.sort(active.mean(axis=0))[::-1])
    with pytest.raises(ValueError, match="SparseAE.*Pass X"):
        ComponentsDisplay.from_estimator(model)


def test_codebook_usage_is_drawn():
    fitted = Fitted(usage_=np.array([30, 0, 60, 10]), perplexity_=2.45)
    display = ComponentsDisplay.from_estimator(fitted)

    assert_allclose(bar_heights(display.bars_), [0.6, 0.3, 0.1, 0.0])
    assert_array_equal(display.order_, [2, 0, 3, 1])
    assert_array_equal(display.idle_.get_xdata(), [3])
    assert display.ax_.get_title() == "1 of 4 entries never used, perplexity 2.45"
    assert display.ax_.get_ylabel() == "share of samples"


def test_codebooks_of_several_positions_are_averaged_rank_by_rank():
    usage = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    display = ComponentsDisplay.from_estimator(Fitted(usage_=usage, perplexity_=2.1))

    assert_allclose(bar_heights(display.bars_), [0.6, 0.35, 0.05])
    drawn = [part.get_data().values for part in display.parts_]
    assert_allclose(drawn, [[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    assert display.order_ is None


def test_components_need_something_to_draw():
    with pytest.raises(ValueError, match="Fitted has no kl_per_component_ or usage_"):
        ComponentsDisplay.from_estimator(Fitted())


# Outliers.


def counts(patch):
    return patch.get_data().values


def test_scores_are_counted_on_both_sides_of_the_threshold(detector, wine):
    X, y = wine
    is_outlier = (y == 2).to_numpy()
    display = OutlierDisplay.from_estimator(detector, X, is_outlier)

    scores = detector.score_samples(X)
    edges = display.histograms_["inliers"].get_data().edges
    for name, group in {"inliers": ~is_outlier, "outliers": is_outlier}.items():
        expected = np.histogram(scores[group], edges)[0]
        assert_array_equal(counts(display.histograms_[name]), expected)
    assert_array_equal(display.threshold_.get_xdata(), [detector.offset_] * 2)
    assert_array_equal(display.outliers_.get_xdata(), scores[is_outlier])
    n_below = (detector.predict(X) == -1).sum()
    legend = texts(display.ax_.get_legend().get_texts())
    assert f"threshold, {n_below} samples below" in legend
    assert f"AUROC {roc_auc_score(~is_outlier, scores):.3f}" in " ".join(legend)


def test_one_sample_is_explained_by_signed_bars(detector, wine):
    X = wine[0].rename(index=lambda i: f"wine {i}")
    display = OutlierDisplay.from_estimator(detector, X, sample=7, max_features=6)

    shares = detector.explain(X.iloc[[7]]).iloc[0]
    top = shares[shares.abs().sort_values(ascending=False).index[:6]]
    assert_allclose(bar_lengths(display.bars_), top)
    names = [f"{name} = {X.iloc[7][name]:.4g}" for name in top.index]
    assert texts(display.axes_[1].get_yticklabels()) == names
    assert_allclose(display.sample_.get_xdata(), detector.score_samples(X.iloc[[7]]))
    assert display.sample_.get_label() == "sample wine 7"
    colours = {to_hex(b.get_facecolor()): b.get_width() < 0 for b in display.bars_}
    assert len(colours) == len(set(top < 0))


def test_images_are_scored_too(digits):
    X, y = digits
    detector = AEOutlierDetector(**QUICK).fit(X[y < 5])
    display = OutlierDisplay.from_estimator(detector, X, (y >= 5).astype(int))

    total = sum(counts(patch).sum() for patch in display.histograms_.values())
    assert total == len(X)
    assert display.axes_.tolist() == [display.ax_]


def test_detectors_of_scikit_learn_are_drawn(wine):
    X = wine[0]
    forest = IsolationForest(n_estimators=10, random_state=0).fit(X)
    display = OutlierDisplay.from_estimator(forest, X, forest.predict(X))

    assert_array_equal(display.is_outlier, forest.predict(X) == -1)
    piped = make_pipeline(StandardScaler(), AEOutlierDetector(**QUICK)).fit(X)
    display = OutlierDisplay.from_estimator(piped, X, sample=3)
    assert display.threshold == piped[-1].offset_
    shares = piped[-1].explain(piped[:-1].transform(X.iloc[[3]])).iloc[0].to_numpy()
    assert_array_equal(display.contributions, shares)
    assert list(display.contributions.index) == list(X.columns)
    with pytest.raises(ValueError, match="requires explain, which IsolationForest"):
        OutlierDisplay.from_estimator(forest, X, sample=0)


def test_a_long_tail_leaves_room_for_the_others():
    scores = np.r_[np.random.RandomState(0).normal(size=500), -1e6, -2e6]
    display = OutlierDisplay.from_predictions(scores, -3.0, sample=500)

    drawn = counts(display.histograms_["samples"])
    assert drawn.sum() == 502 and drawn[0] == 2 and (drawn > 0).sum() > 5
    assert "2 lower scores are drawn at the left edge" in display.ax_.get_xlabel()
    assert display.sample_.get_xdata()[0] > -100


def test_contributions_can_be_passed():
    shares = pd.Series([0.5, -2.0, 1.0], index=["a", "b", "c"])
    display = OutlierDisplay.from_predictions(
        np.arange(5.0), 0.5, sample=0, contributions=shares
    )

    assert_array_equal(bar_lengths(display.bars_), [-2.0, 1.0, 0.5])
    assert texts(display.axes_[1].get_yticklabels()) == ["b", "c", "a"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"y": [1, 1, 1]}, "must be binary labels of outliers"),
        ({"y": [0, 1]}, "y of shape .2,. must have shape .3,."),
        ({"sample": 3}, "sample=3 must be from 0 to 2"),
        ({"sample": "first"}, "sample='first' must be the position"),
    ],
)
def test_wrong_arguments_of_outliers_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        OutlierDisplay.from_predictions([1.0, 2.0, 3.0], 1.5, **arguments)


# Sparse and missing values.


def _drawn(display):
    display.figure_.canvas.draw()
    return display


def test_missing_values_of_a_pipeline_are_drawn_as_gaps():
    X = load_iris().data[::5]
    missing = X.copy()
    missing[0, 2] = missing[2, :] = np.nan
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), PCA(2)).fit(missing)

    display = _drawn(ReconstructionDisplay.from_estimator(pipeline, missing))

    imputed = pipeline[0].transform(missing)
    expected = pipeline[1:].inverse_transform(pipeline[1:].transform(imputed))[:4]
    assert_allclose(display.X_reconstructed, expected)
    assert_allclose(display.units.spread, np.nanstd(missing, axis=0))
    error = np.square(X[0] - expected[0])[[0, 1, 3]].mean()
    assert_allclose(display.errors_[[0, 2]], [error, 0.0])
    _drawn(ReconstructionDisplay.from_estimator(pipeline, missing, image_shape=(2, 2)))
    traversal = TraversalDisplay.from_estimator(pipeline, 1, VALUES, at=missing[0])
    assert np.isfinite(_drawn(traversal).paths).all()
    pairs = missing[:2], missing[2:4]
    interpolation = InterpolationDisplay.from_estimator(pipeline, *pairs, X=missing)
    assert np.isfinite(_drawn(interpolation).paths).all()
    LatentDisplay.from_estimator(pipeline, missing)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_samples_are_drawn_as_dense_ones(kind):
    dense = np.maximum(np.random.RandomState(0).normal(size=(60, 5)) - 0.5, 0)
    X = kind(dense)
    estimator = AutoencoderTransformer(2, **QUICK).fit(X)

    display = _drawn(ReconstructionDisplay.from_estimator(estimator, X))

    expected = ReconstructionDisplay.from_estimator(estimator, dense)
    assert_allclose(display.errors_, expected.errors_)
    assert_allclose(display.units.mean, dense.mean(axis=0))
    assert_allclose(display.units.spread, dense.std(axis=0))
    rows = sparse.csr_array(X)
    _drawn(InterpolationDisplay.from_estimator(estimator, rows[:2], rows[2:4], X=X))
    _drawn(TraversalDisplay.from_estimator(estimator, 0, VALUES, at=rows[[3]], X=X))
