"""What all classes accept: magnitudes, dtypes, memory layouts, and modes of torch."""

from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import skae
from skae import (
    AEOutlierDetector,
)

# One epoch may end above the initial loss.
pytestmark = pytest.mark.filterwarnings("ignore:The loss was higher after training")

CLASSES = sorted(skae.__all__)
METHODS = (
    "transform",
    "reconstruct",
    "score_samples",
    "score",
    "posterior",
    "code_indices",
    "sensitivity",
    "predict",
    "predict_proba",
    "decision_function",
    "p_values",
    "explain",
    "diagnose",
    "fit",
    "partial_fit",
)
examples = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def table(n_samples=60):
    """A curved surface of two dimensions in five."""
    u, v = np.random.RandomState(0).uniform(-1, 1, (2, n_samples))
    return np.column_stack([u, v, u**2, u * v, np.sin(2 * v)])


X = table()
LABELS = np.where(X[:, 0] > 0, "a", "b")


def make(name, **parameters):
    if name == "AEOutlierDetector":
        return AEOutlierDetector(max_iter=1, random_state=0, **parameters)
    quick = dict(n_components=2, max_iter=1, early_stopping=False, random_state=0)
    return getattr(skae, name)(**(quick | parameters))


@cache
def fitted(name, dtype="float64"):
    return make(name).fit(X.astype(dtype), LABELS)


def results(estimator, X):
    """Everything that the class computes from samples, as float64 arrays."""
    found = {}
    for method in METHODS[:-2]:
        if hasattr(estimator, method):
            result = getattr(estimator, method)(X)
            result = np.hstack(result if isinstance(result, tuple) else [result])
            if result.dtype.kind in "fi":  # not labels
                found[method] = result
    if hasattr(estimator, "inverse_transform"):
        found["inverse_transform"] = estimator.inverse_transform(found["transform"])
    return found


# Magnitudes.


@pytest.mark.parametrize("name", CLASSES)
def test_values_whose_squares_overflow_are_refused_by_all_methods(name):
    huge = X.copy()
    huge[7, 3] = -3e200
    message = r"X has the magnitude 3e\+200.* Rescale X"
    methods = {method for method in METHODS if hasattr(fitted(name), method)}
    for method in methods - {"fit", "partial_fit"}:
        with pytest.raises(ValueError, match=message):
            getattr(fitted(name), method)(huge)
    for method in methods & {"fit", "partial_fit"}:
        with pytest.raises(ValueError, match=message):
            getattr(make(name), method)(huge, LABELS)


@pytest.mark.parametrize("name", [n for n in CLASSES if n != "AEOutlierDetector"])
def test_codes_whose_squares_overflow_are_refused(name):
    codes = fitted(name).transform(X)
    codes[0] = 1e151

    with pytest.raises(ValueError, match="magnitude 1e"):
        fitted(name).inverse_transform(codes)


def test_targets_and_conditions_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match="y has the magnitude 1e"):
        make("DenoisingAE", corruption="paired").fit(X, X * 1e200 / np.abs(X).max())
    with pytest.raises(ValueError, match="y has the magnitude"):
        make("ConditionalVAE").fit(X, X[:, :1] * 1e200)
    numbers = make("ConditionalVAE").fit(X, X[:, :1])
    with pytest.raises(ValueError, match="y has the magnitude"):
        numbers.transform(X, X[:, :1] * 1e200)


@pytest.mark.parametrize("scale", [1e-145, 1e148])
@pytest.mark.parametrize("name", CLASSES)
def test_every_magnitude_below_the_limit_is_fitted(name, scale):
    scaled = results(make(name).fit(X * scale, LABELS), X * scale)

    for method, result in scaled.items():
        assert np.isfinite(result).all(), method


@pytest.mark.parametrize("name", CLASSES)
@examples
@given(exponent=st.integers(-30, 30), dtype=st.sampled_from(["float32", "float64"]))
def test_units_do_not_matter(name, exponent, dtype):
    unit = 10.0**exponent
    scaled = (X * unit).astype(dtype)

    found = results(make(name).fit(scaled, LABELS), scaled)

    expected = results(fitted(name, dtype), X.astype(dtype))
    for method, result in found.items():
        assert np.isfinite(result).all(), method
    if name == "AEOutlierDetector":
        assert_allclose(found["score_samples"], expected["score_samples"], atol=2e-2)
    else:
        assert_allclose(
            found["reconstruct"] / unit, expected["reconstruct"], atol=2e-2, rtol=1e-2
        )


@pytest.mark.parametrize("name", CLASSES)
@examples
@given(
    exponents=st.lists(st.integers(-30, 30), min_size=5, max_size=5),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_features_of_very_different_scales_are_fitted(name, exponents, offset, dtype):
    unit = 10.0 ** np.array(exponents)
    mixed = ((X + offset) * unit).astype(dtype)

    found = results(make(name).fit(mixed, LABELS), mixed)

    for method, result in found.items():
        assert np.isfinite(result).all(), method


@pytest.mark.parametrize("name", CLASSES)
@examples
@given(
    levels=st.integers(1, 3),
    n_repeats=st.integers(1, 4),
    n_constant=st.integers(0, 4),
    exponent=st.integers(-30, 30),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_ties_duplicates_and_constants_are_fitted(
    name, levels, n_repeats, n_constant, exponent, dtype
):
    tied = np.repeat(np.round(levels * X[:15]), n_repeats, axis=0)
    tied[:, :n_constant] = 7.0
    tied = (tied * 10.0**exponent).astype(dtype)
    labels = np.repeat(LABELS[:15], n_repeats)

    found = results(make(name).fit(tied, labels), tied)

    for method, result in found.items():
        assert np.isfinite(result).all(), method


@pytest.mark.parametrize("spread", [1e-170, 5e-324])
@pytest.mark.parametrize("name", CLASSES)
def test_a_feature_whose_squares_underflow_is_constant(name, spread):
    tiny, constant = X.copy(), X.copy()
    tiny[:, 4] *= spread
    constant[:, 4] = 0.0

    found = results(make(name).fit(tiny, LABELS), tiny)

    expected = results(make(name).fit(constant, LABELS), constant)
    for method, result in found.items():
        assert_allclose(result, expected[method], rtol=1e-6, atol=1e-9, err_msg=method)


def test_a_table_whose_squares_underflow_is_constant():
    tiny = X * 1e-152

    estimator = make("AutoencoderTransformer").fit(tiny)

    assert_array_equal(estimator.transform(tiny), 0.0)
    assert_allclose(estimator.reconstruct(tiny), [tiny.mean(axis=0)] * len(tiny))


@pytest.mark.parametrize("name", CLASSES)
def test_float32_overflows_nowhere_between_finite_ends(name):
    estimator = fitted(name, "float32")
    far = X[:8].astype(np.float32)
    far[1::2] *= np.float32([1e13, 1e20, 1e30, 1e36])[:, None]

    found = results(estimator, far)

    expected = results(estimator, far.astype(np.float64))
    alone = {
        method: np.vstack([getattr(estimator, method)(sample[None]) for sample in far])
        for method in ("transform", "reconstruct")
        if method in found
    }
    for method, result in found.items():
        if method not in ("score", "diagnose"):  # of all samples together
            size = np.abs(expected[method]).max(axis=-1, keepdims=True) + 1e-9
            assert_allclose(result / size, expected[method] / size, atol=2e-3, rtol=2e-3)
    for method, result in alone.items():
        size = np.abs(result).max(axis=1, keepdims=True)
        assert_allclose(found[method] / size, result / size, atol=1e-5)


def test_log_likelihoods_overflow_nowhere_under_a_small_noise():
    vae = make("VAETransformer", noise=1e-15).fit(X)
    samples = (1e8 * X[:5]).astype(np.float32)

    scores = vae.score_samples(samples)

    assert (scores < -1e39).all()
    assert_allclose(scores, vae.score_samples(samples.astype(np.float64)), rtol=1e-3)


def test_ordinary_float32_samples_do_not_depend_on_far_ones():
    estimator = fitted("AutoencoderTransformer", "float32")
    samples = X[:6].astype(np.float32)
    beside = np.vstack([samples, 1e30 * samples[:1]])

    assert_array_equal(estimator.transform(beside)[:6], estimator.transform(samples))


@pytest.mark.filterwarnings("ignore:partial_fit keeps the scaling")
@pytest.mark.parametrize("warm_start", [True, False])
def test_later_data_that_float32_cannot_hold_are_refused(warm_start):
    estimator = make("AutoencoderTransformer", warm_start=warm_start).fit(X)
    codes = estimator.transform(X)

    with pytest.raises(ValueError, match="standard deviations of the earlier"):
        (estimator.fit if warm_start else estimator.partial_fit)(X * 1e40)

    assert_array_equal(estimator.transform(X), codes)


@pytest.mark.parametrize("scoring", ["joint", "robust_joint", "knn", "mahalanobis"])
def test_the_units_of_codes_do_not_matter_to_a_detector(scoring):
    def scores(unit):
        autoencoder = make("AutoencoderTransformer", max_iter=1)
        detector = AEOutlierDetector(autoencoder, scoring=scoring, random_state=0)
        return detector.fit(X * unit).score_samples(2 * X * unit)

    for unit in (1e-100, 1e-30, 1e30):
        assert_allclose(scores(unit), scores(1.0), atol=0.02)


# Memory layouts.


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def layouts(plain, path):
    """The same values in other layouts, whose strides torch may refuse."""
    n_samples, n_features = plain.shape
    record = np.zeros(n_samples, dtype=[("flag", "i1"), ("x", plain.dtype, n_features)])
    record["x"] = plain
    wide = np.zeros((2 * n_samples, 3 * n_features), plain.dtype)
    wide[::2, ::3] = plain
    read_only = plain.copy()
    read_only.flags.writeable = False
    stored = np.memmap(path, dtype=plain.dtype, mode="w+", shape=plain.shape)
    stored[:] = plain
    unaligned = np.frombuffer(b"x" + plain.tobytes(), plain.dtype, plain.size, offset=1)
    return {
        "reversed": plain[::-1].copy()[::-1],
        "mirrored": plain[:, ::-1].copy()[:, ::-1],
        "Fortran": np.asfortranarray(plain),
        "strided": wide[::2, ::3],
        "read-only": read_only,
        "memory map": np.memmap(path, plain.dtype, "r", shape=plain.shape),
        "swapped bytes": plain.astype(plain.dtype.newbyteorder()),
        "field of a record": record["x"],
        "unaligned": unaligned.reshape(plain.shape),
        "list": plain.tolist() if plain.dtype == np.float64 else plain,
    }


@pytest.mark.parametrize("n_samples", [1, 2, 60])
@pytest.mark.parametrize("name", CLASSES)
def test_layouts_do_not_matter_to_methods(name, n_samples, dtype, tmp_path):
    estimator = fitted(name, dtype)
    plain = X[:n_samples].astype(dtype)
    methods = [m for m in METHODS[:10] if hasattr(estimator, m)]
    expected = {method: getattr(estimator, method)(plain) for method in methods}

    for layout, values in layouts(plain, tmp_path / "x").items():
        for method in methods:
            found = getattr(estimator, method)(values)
            assert_array_equal(found, expected[method], err_msg=f"{layout}, {method}")
            if method == "transform":
                assert found.dtype == dtype


@pytest.mark.parametrize("name", CLASSES)
def test_one_sample_of_a_reversed_array_is_accepted(name):
    estimator = fitted(name)
    for view in (X[::-1][:1], X[::-7][:1, ::-1], X.T[:, ::-1].T[:1]):
        assert_array_equal(
            estimator.score_samples(view), estimator.score_samples(view.copy())
        )


@pytest.mark.parametrize("name", CLASSES)
@settings(parent=examples, max_examples=3)
@given(data=st.data())
def test_layouts_do_not_matter_to_fit(name, data, tmp_path):
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    of_fit = layouts(X.astype(dtype), tmp_path / "x")
    layout = data.draw(st.sampled_from(sorted(of_fit)))

    found = make(name).fit(of_fit[layout], LABELS).score_samples(X)

    assert_array_equal(found, fitted(name, dtype).score_samples(X))


@pytest.mark.parametrize(
    "of", [np.int8, np.uint16, bool, np.float16, np.longdouble, object]
)
def test_other_dtypes_are_taken_as_float64(of):
    values = (X > 0).astype(of)
    estimator = make("AutoencoderTransformer").fit(values)

    codes = estimator.transform(values)

    assert codes.dtype == np.float64
    assert_array_equal(
        codes, make("AutoencoderTransformer").fit_transform((X > 0).astype(float))
    )


# Modes of torch.


@contextmanager
def default(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


MODES = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "meta": lambda: torch.device("meta"),
    "meta by default": lambda: default(torch.set_default_device, "meta", None),
    "float64": lambda: default(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: default(torch.set_default_dtype, torch.float16, torch.float32),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CLASSES)
def test_modes_of_torch_do_not_matter(name, mode):
    samples = X[:10]
    expected = results(fitted(name), samples)

    with MODES[mode]():
        inside = make(name, device="cpu").fit(X, LABELS)
        found = results(inside, samples)
        later = results(fitted(name), samples)
        sampled = inside.sample(3, random_state=0) if hasattr(inside, "sample") else 0

    for method in expected:
        assert_array_equal(found[method], expected[method], err_msg=method)
        assert_array_equal(later[method], expected[method], err_msg=method)
    if hasattr(inside, "sample"):
        assert_array_equal(sampled, fitted(name).sample(3, random_state=0))


@pytest.mark.parametrize("mode", ["autocast", "meta", "float64", "inference"])
def test_modes_of_torch_do_not_matter_to_partial_fit(mode):
    expected = make("AutoencoderTransformer").partial_fit(X).partial_fit(X).transform(X)

    with MODES[mode]():
        inside = (
            make("AutoencoderTransformer", device="cpu").partial_fit(X).partial_fit(X)
        )

    assert_array_equal(inside.transform(X), expected)


@pytest.mark.parametrize("mode", MODES)
def test_the_callers_mode_is_restored(mode):
    with MODES[mode]():
        before = _state()
        make("AutoencoderTransformer", device="cpu").fit(X).transform(X)
        assert _state() == before


def _state():
    return (
        torch.is_autocast_enabled("cpu"),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.empty(0).device,
    )
