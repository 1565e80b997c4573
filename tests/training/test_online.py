"""Learning part by part."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from torch import nn

from skae import AutoencoderTransformer
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

    ae.partial_fit(10 * parts[1] + 5)

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
    n_steps = int(ae._optimizer_state["n_steps"])
    ae.partial_fit(parts[1])
    assert int(ae._optimizer_state["n_steps"]) == 2 * n_steps

    ae.fit(parts[0])
    assert ae._optimizer_state is None
    ae.partial_fit(parts[1])
    assert int(ae._optimizer_state["n_steps"]) == n_steps


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
