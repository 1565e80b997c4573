"""Learning part by part."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils import parameters_to_vector

from skae import (
    AutoencoderTransformer,
    ContractiveAE,
    DenoisingAE,
    SparseAE,
    VAETransformer,
)
from skae._data import reservoir
from skae._data.dataset import Dataset
from skae._training.net import AutoencoderNet

FAST = dict(n_components=2, hidden_layer_sizes=(16, 16), random_state=0)


@pytest.fixture
def parts():
    rng = np.random.RandomState(0)
    u, v = rng.uniform(-1, 1, (2, 4000))
    X = np.column_stack([u, v, u**2, u * v, np.sin(2 * v)])
    return np.array_split(X + 0.01 * rng.normal(size=X.shape), 8)


def test_parts_teach_what_all_rows_teach(parts):
    whole = AutoencoderTransformer(**FAST).fit(np.concatenate(parts))
    online = AutoencoderTransformer(**FAST)
    for part in [*parts, *parts]:
        online.partial_fit(part)

    X = np.concatenate(parts)
    pca = np.square(X - PCA(2).fit(X).inverse_transform(PCA(2).fit_transform(X))).mean()
    gain = (pca + online.score(X)) / (pca + whole.score(X))
    assert gain > 0.8


def test_units_and_path_are_those_of_the_first_part(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])
    before = copy.deepcopy(ae.module_)

    ae.partial_fit(1.5 * parts[1] + 0.1)

    after = ae.module_
    np.testing.assert_array_equal(after.inputs.mean, before.inputs.mean)
    np.testing.assert_array_equal(after.encoder.weight, before.encoder.weight)
    np.testing.assert_array_equal(after.basis.rotation, before.basis.rotation)
    assert not np.array_equal(after.encoder.change, before.encoder.change)
    assert (after.encoder.high >= before.encoder.high).all()
    assert (after.encoder.high > before.encoder.high).any()


def test_a_pickle_between_two_parts_changes_nothing(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])
    stored = pickle.loads(pickle.dumps(ae))

    codes = ae.partial_fit(parts[1]).transform(parts[2])

    np.testing.assert_array_equal(stored.partial_fit(parts[1]).transform(parts[2]), codes)


def test_the_optimiser_goes_on_between_parts_but_not_after_fit(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])
    # A quarter of 600 sqrt(n_samples / 1000) steps; 500 earlier samples join the second.
    assert int(ae._optimizer_state["n_steps"]) == 106
    ae.partial_fit(parts[1])
    assert int(ae._optimizer_state["n_steps"]) == 106 + 150

    ae.fit(parts[0])
    assert ae._optimizer_state is None
    ae.partial_fit(parts[1])
    assert int(ae._optimizer_state["n_steps"]) == 106


def test_epochs_and_history_add_up(parts):
    ae = AutoencoderTransformer(**FAST, max_iter=3)
    for n_parts in (1, 2):
        ae.partial_fit(parts[0])
        assert ae.n_iter_ == 3 * n_parts
        assert len(ae.history_) == 3 * n_parts
    assert set(ae.history_["stage"]) == {"partial_fit"}


def test_sparse_parts_are_learned_as_dense_ones(parts):
    dense, scattered = AutoencoderTransformer(**FAST), AutoencoderTransformer(**FAST)
    for part in parts[:2]:
        dense.partial_fit(part)
        scattered.partial_fit(sparse.csr_array(part))

    np.testing.assert_array_equal(dense.transform(part), scattered.transform(part))


def test_what_does_not_go_together_is_refused_and_nothing_is_lost(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])
    codes = ae.transform(parts[0])

    with pytest.raises(ValueError, match="4 features, but .* is expecting 5"):
        ae.partial_fit(parts[0][:, :4])
    with pytest.raises(
        ValueError, match="partial_fit resumes the training of a module with"
    ):
        copy.deepcopy(ae).set_params(n_components=3).partial_fit(parts[0])
    with pytest.raises(ValueError, match="NaN"):
        ae.partial_fit(np.full((3, 5), np.nan))

    np.testing.assert_array_equal(ae.transform(parts[0]), codes)
    assert not hasattr(clone(ae), "module_")


def test_a_part_may_be_one_row(parts):
    ae = AutoencoderTransformer(**FAST)
    for row in parts[0][:3]:
        ae.partial_fit(row[None])

    assert np.isfinite(ae.transform(parts[0])).all()


def test_a_variant_with_a_net_of_its_own_has_no_partial_fit():
    class OwnNet(AutoencoderNet):
        pass

    class Variant(AutoencoderTransformer):
        _net_class = OwnNet

    assert hasattr(AutoencoderTransformer(), "partial_fit")
    assert not hasattr(Variant(), "partial_fit")


def test_callbacks_that_freeze_or_stop_take_part(parts):
    from skorch.callbacks import EarlyStopping, Freezer

    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=0.9)
    stopped = AutoencoderTransformer(**FAST, max_iter=9, callbacks=[stop])
    states = [stopped.partial_fit(part)._optimizer_state for part in parts[:2]]
    n_steps = [int(state["n_steps"]) for state in states]
    assert n_steps[0] < n_steps[1] < 9 * 16 * 2

    frozen = AutoencoderTransformer(**FAST, callbacks=[Freezer("encoder*")])
    first = frozen.partial_fit(parts[0]).module_.encoder.change.detach().clone()
    frozen.partial_fit(parts[1])
    np.testing.assert_array_equal(frozen.module_.encoder.change.detach(), first)


def test_what_a_builder_froze_stays_frozen(parts):
    ae = AutoencoderTransformer(2, encoder=with_frozen_layer, random_state=0)
    weight = ae.partial_fit(parts[0]).module_.encoder.network[0].weight.detach().clone()

    ae.partial_fit(parts[1]).set_params(warm_start=True).fit(parts[2])

    np.testing.assert_array_equal(ae.module_.encoder.network[0].weight.detach(), weight)


def with_frozen_layer(n_in, n_out):
    first = nn.Linear(n_in, 8).requires_grad_(False)
    return nn.Sequential(first, nn.SiLU(), nn.Linear(8, n_out))


# Weights in use and learning rate.

STEPS = []


class Recorder(Callback):
    """Records the initial weights, and learning rate and weights after every step."""

    def on_train_begin(self, net, **kwargs):
        STEPS.append((None, weights_of(net.module_)))

    def on_batch_end(self, net, **kwargs):
        rate = net.optimizer_.param_groups[0]["lr"]
        STEPS.append((rate, net.optimizer_.values.flatten().double().numpy()))


def weights_of(module):
    return parameters_to_vector(module.parameters()).detach().double().numpy()


def test_rate_falls_and_weights_in_use_are_a_running_average(parts):
    STEPS.clear()
    ae = AutoencoderTransformer(**FAST, max_iter=15, callbacks=[Recorder()])
    in_use = [weights_of(ae.partial_fit(part).module_) for part in parts[:5]]

    rates = np.array([rate for rate, _ in STEPS if rate is not None])
    steps = np.arange(1, len(rates) + 1)
    rise, fall = np.minimum(1, steps / 100), np.sqrt(np.minimum(1, 500 / steps))
    np.testing.assert_allclose(rates, 7e-3 * 0.7 * rise * fall)
    average, n_steps, ends = STEPS[0][1], 0, []
    for rate, weights in STEPS[1:]:
        if rate is None:  # the next part, where the average is resumed
            ends.append(average)
            np.testing.assert_allclose(weights, average, atol=1e-5)
            continue
        share = 9 / (n_steps + 10)  # at most a thousandth from step 8,990 on
        average = average + share * (weights - average)
        n_steps += 1
    np.testing.assert_allclose(in_use, [*ends, average], atol=1e-5)
    assert n_steps == 5 * 15 * 8
    last = STEPS[-1][1]
    assert np.linalg.norm(in_use[-1] - last) > 0.01 * np.linalg.norm(last)


# Any first part.

N_SAMPLES = 2500


def surface(seed, n_samples=N_SAMPLES):
    rng = np.random.RandomState(seed)
    u, v = rng.uniform(-1, 1, (2, n_samples))
    X = np.column_stack([u, v, u**2, u * v, np.sin(2 * v)])
    return X + 0.02 * rng.normal(size=X.shape)


def constant(X, n_constant, features, jitter=0.0):
    noise = jitter * np.random.RandomState(1).normal(size=(n_constant, len(features)))
    X = X.copy()
    X[:n_constant, features] = 0.3 + noise
    return X


def in_parts_of(size, X, first=None):
    first = size if first is None else first
    return [X[:first], *np.array_split(X[first:], max(1, (len(X) - first) // size))]


X_ALL = surface(0)
SEQUENCES = {
    "one sample": in_parts_of(500, X_ALL, first=1),
    "one sample, repeated": [np.repeat(X_ALL[:1], 600, axis=0), *in_parts_of(500, X_ALL)],
    "small parts": in_parts_of(40, X_ALL),
    "a constant feature": in_parts_of(500, constant(X_ALL, 500, [0])),
    "constant in small parts": in_parts_of(50, constant(X_ALL, 500, [0, 2])),
    "nearly constant": in_parts_of(500, constant(X_ALL, 500, [0, 2], 1e-9)),
    "all constant": in_parts_of(500, constant(X_ALL, 500, [0, 1, 2, 3, 4])),
    "sorted": in_parts_of(500, X_ALL[X_ALL[:, 0].argsort()]),
    "sorted, a large first part": in_parts_of(250, X_ALL[X_ALL[:, 0].argsort()], 2000),
    "another mode": [1e4 + X_ALL[:50], *in_parts_of(500, X_ALL)],
}


def error(model, X):
    decoded = model.inverse_transform(model.transform(X))
    return np.square(decoded - X).sum() / np.square(X - X.mean(axis=0)).sum()


def shuffled(sequence):
    return np.random.RandomState(0).permutation(np.concatenate(sequence))


@pytest.mark.parametrize("name", SEQUENCES)
def test_any_first_part_ends_near_a_representative_one(name):
    sequence, held_out = SEQUENCES[name], surface(1)
    reached, wanted = [], []
    for seed in (0, 1):  # one differs from another by a quarter
        options = {**FAST, "random_state": seed}
        online, representative = (AutoencoderTransformer(**options) for _ in range(2))
        for part in sequence:
            online.partial_fit(part)
        for part in np.array_split(shuffled(sequence), 5):
            representative.partial_fit(part)
        reached.append(error(online, held_out))
        wanted.append(error(representative, held_out))
    reached, wanted = np.mean(reached), np.mean(wanted)
    linear = error(IncrementalPCA(2).fit(shuffled(sequence)), held_out)
    assert reached < 1.01 * linear
    assert reached < wanted + max(0.02, 0.2 * (linear - wanted))


def test_an_outlier_in_the_first_part_leaves_what_pca_finds():
    X = surface(0)
    X[7] *= 1e6
    online, incremental = AutoencoderTransformer(**FAST), IncrementalPCA(2)
    for part in np.array_split(X, 5):
        online.partial_fit(part)
        incremental.partial_fit(part)

    assert error(online, surface(1)) < 1.01 * error(incremental, surface(1))


CLASSES = {
    "denoising": DenoisingAE(2, noise_level=0.1),
    "paired": DenoisingAE(2, corruption="paired"),
    "contractive": ContractiveAE(2, penalty=0.01),
    "sparse": SparseAE(8, n_active=3),
    "variational": VAETransformer(2),
    "bernoulli": AutoencoderTransformer(2, loss="bernoulli"),
    "random": AutoencoderTransformer(2, init="random"),
}


@pytest.mark.parametrize("kind", ["nearly constant", "one sample"])
@pytest.mark.parametrize("name", CLASSES)
def test_no_class_depends_on_its_first_part(name, kind):
    units = (lambda X: (0.2 * X + 0.5).clip(0, 1)) if name == "bernoulli" else np.asarray
    held_out, sequence = units(surface(1)), [units(part) for part in SEQUENCES[kind]]
    model = clone(CLASSES[name]).set_params(hidden_layer_sizes=(16, 16), random_state=0)
    representative = clone(model)

    def target_of(X):
        return 5 * X[:, ::-1] if name == "paired" else X

    def error_of(model):
        squares = np.square(model.reconstruct(held_out) - target_of(held_out))
        return squares.mean() / target_of(held_out).var(axis=0).mean()

    for part in sequence:
        model.partial_fit(part, target_of(part))
    for part in np.array_split(shuffled(sequence), 5):
        representative.partial_fit(part, target_of(part))

    # A quarter of the variance is that of the first feature.
    assert error_of(model) < 0.08 + error_of(representative)


def test_partial_fit_after_fit_warns_where_the_scaling_is_wrong():
    X = constant(X_ALL, 1000, [2])
    ae = AutoencoderTransformer(**FAST).fit(X[:1000]).partial_fit(X[500:1000])

    with pytest.warns(ConvergenceWarning, match=r"in features \[2\] many values"):
        ae.partial_fit(X[1000:2000])


def test_scaling_is_that_of_all_samples_until_enough_were_seen():
    ae, n_initial = AutoencoderTransformer(**FAST, max_iter=1), []
    for n_seen in range(40, 1001, 40):
        ae.partial_fit(X_ALL[n_seen - 40 : n_seen])
        n_initial.append(ae._online_state["n_initial"])
        expected = X_ALL[: n_initial[-1]].mean(axis=0)
        np.testing.assert_allclose(ae.module_.inputs.mean, expected)

    powers = [40, 80, 160, 320, 640]
    at = [max(p for p in powers if p <= n_seen) for n_seen in range(40, 1001, 40)]
    assert n_initial == at


def test_codes_keep_their_meaning_once_enough_samples_were_seen(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])
    codes = ae.transform(parts[-1])
    for part in parts[1:]:
        ae.partial_fit(part)

    similarity = np.corrcoef(codes.T, ae.transform(parts[-1]).T)[:2, 2:]
    assert np.diag(similarity).min() > 0.95


def test_single_samples_do_not_overfit(parts):
    X = parts[0]
    online = AutoencoderTransformer(**FAST)
    for part in [X[:300], *X[300:420, None]]:
        online.partial_fit(part)

    assert int(online._optimizer_state["n_steps"]) == 82 + 120
    whole = AutoencoderTransformer(**FAST).fit(X[:420])
    assert error(online, parts[1]) < 2 * error(whole, parts[1])


# Draws.


DRAWN = []


def draw_noise(x, generator):
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    DRAWN.append(float(noise[0, 0]))
    return x + 0.1 * noise


class FirstSamples(Callback):
    def on_batch_begin(self, net, batch, **kwargs):
        FIRST.append(float(batch.x[0, 0]))


FIRST = []


@pytest.mark.parametrize("random_state", [0, np.int64(3), np.random.RandomState(0), None])
def test_order_and_noise_differ_from_call_to_call(parts, random_state, monkeypatch):
    monkeypatch.setattr(reservoir, "MAX_SAMPLES", 300)  # as many in each call
    options = {**FAST, "random_state": random_state, "max_iter": 1}
    model = DenoisingAE(corruption=draw_noise, callbacks=[FirstSamples()], **options)
    orders, noises = set(), []
    for _ in range(4):
        DRAWN.clear()
        FIRST.clear()
        model.partial_fit(parts[0])
        orders.add(tuple(FIRST[:4]))
        noises.append(set(DRAWN))

    assert len(orders) == 4
    for i, drawn in enumerate(noises):  # some draws, for validation, are the same
        assert drawn - set.union(*noises[:i], *noises[i + 1 :])


def test_an_integer_random_state_determines_the_sequence_of_calls(parts):
    first = DenoisingAE(**FAST, noise_level=0.1)
    second = clone(first)
    for part in parts[:4]:
        first.partial_fit(part)
        second = pickle.loads(pickle.dumps(second)).partial_fit(part)

    np.testing.assert_array_equal(first.transform(parts[5]), second.transform(parts[5]))
    state, other = first._online_state, second._online_state
    np.testing.assert_array_equal(state["x"], other["x"])
    np.testing.assert_array_equal(state["keys"], other["keys"])
    # The sequence begins anew after fit.
    again = [clone(first).fit(parts[0]).partial_fit(parts[1]) for _ in range(2)]
    codes = [model.transform(parts[5]) for model in again]
    np.testing.assert_array_equal(*codes)


# What is computed on the data.


@pytest.mark.parametrize("n_kept", [5000, 700])
def test_what_depends_on_data_is_that_of_a_sample_of_all_parts(
    parts, n_kept, monkeypatch
):
    monkeypatch.setattr(reservoir, "MAX_SAMPLES", n_kept)
    ae = AutoencoderTransformer(**FAST)
    for i, part in enumerate(parts):
        ae.partial_fit([1, 1, 0.5, 1, 1] * part if i < 4 else part)
        seen = Dataset(ae._online_state["x"])
        again = copy.deepcopy(ae)
        again._finalize_codes(seen, resumes=True)
        np.testing.assert_allclose(
            ae.explained_variance_ratio_, again.explained_variance_ratio_
        )

    assert len(seen) == min(n_kept, 4000)
    if n_kept == 5000:
        np.testing.assert_array_equal(seen.x[2000:], np.concatenate(parts[4:]))


def test_what_is_kept_is_plain_and_gone_after_fit(parts):
    ae = AutoencoderTransformer(**FAST).partial_fit(parts[0])

    types = {name: type(value) for name, value in ae._online_state.items()}
    assert types.pop("n_seen") is types.pop("n_initial") is int
    assert set(types.values()) == {np.ndarray, type(None)}
    assert ae.fit(parts[0])._online_state is None
