"""Members trained side by side become what each would have become alone."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoencoderTransformer
from skae._data.dataset import Batch, Dataset, MemberBatches
from skae._nn.stacking import call, can_stack, stack, unstack
from skae._training import trainer
from skae._training.ensemble import EnsembleNet, can_train_together
from skae._training.net import AutoencoderNet
from skae.networks import conv_encoder, residual_mlp

FAST = dict(n_components=2, max_iter=8, hidden_layer_sizes=(8,), random_state=0)


def with_dropout(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.1), nn.Linear(8, n_out))


def with_batch_norm(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.Linear(8, n_out))


@pytest.fixture
def fitted(X):
    return AutoencoderTransformer(**FAST).fit(X)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"init": "random"},
        {"early_stopping": False},
        {"loss": "huber"},
        {"encoder": partial(residual_mlp, width=8, n_blocks=1)},
        {"encoder": partial(conv_encoder, image_shape=(1, 1, 5), channels=(3,))},
    ],
    ids=["pca", "random", "no stopping", "huber", "residual", "convolution"],
)
def test_every_member_is_the_fit_of_its_seed(X, parameters, monkeypatch):
    """Products are summed in another order, and PCA's gradient is rounding noise."""
    estimator = AutoencoderTransformer(**FAST | parameters, n_init=3)
    together = members_of_first_run(estimator, X, monkeypatch)
    monkeypatch.setattr(trainer, "can_train_together", lambda *_: False)
    monkeypatch.setattr(trainer.Trainer, "max_epochs", 1000)
    one_by_one = members_of_first_run(estimator, X, monkeypatch)

    assert len(together) == 3
    for ours, theirs in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


def members_of_first_run(estimator, X, monkeypatch):
    """Reconstructions of X by each initialisation of a fit's first run."""
    results = []
    train = trainer.Trainer.train

    def record(self, run):
        trained = train(self, run)
        modules = [copy.deepcopy(result.module).eval() for result in trained]
        results.append([module.reconstruct(torch.from_numpy(X)) for module in modules])
        return trained

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "train", record)
        estimator.fit(X)
    return results[0]


def test_more_initialisations_are_no_worse(X):
    losses = []
    for n_init in (1, 5):
        estimator = AutoencoderTransformer(
            **FAST | {"init": "random"}, n_init=n_init, early_stopping=False
        )
        losses.append(-estimator.fit(X).score(X))

    assert losses[1] <= losses[0] * (1 + 1e-5)


def test_initialisations_are_validated_in_folds_of_few_samples(X):
    estimator = AutoencoderTransformer(**FAST, n_init=2).fit(X[:60])

    stages = list(estimator.history_["stage"].unique())
    assert stages[:5] == [f"fold {i}" for i in range(1, 6)]


@pytest.mark.parametrize("builder", [with_dropout, with_batch_norm])
def test_networks_with_state_or_draws_can_have_several_initialisations(X, builder):
    estimator = AutoencoderTransformer(**FAST, encoder=builder, n_init=2)

    codes = estimator.fit_transform(X)

    np.testing.assert_array_equal(codes, estimator.fit(X).transform(X))


def test_a_member_that_diverges_leaves_the_others_alone(X, monkeypatch):
    class Poisoned(EnsembleNet):
        def train_step(self, batch, **fit_params):
            loss = super().train_step(batch)
            self.optimizer_.values[1] = torch.nan
            return loss

    monkeypatch.setattr(trainer, "EnsembleNet", Poisoned)
    poisoned = AutoencoderTransformer(**FAST, n_init=2).fit(X)

    alone = AutoencoderTransformer(**FAST).fit(X)
    np.testing.assert_allclose(poisoned.transform(X), alone.transform(X), atol=1e-3)


def test_a_stack_gives_back_its_members(fitted):
    modules = [fitted.module_, unstack(stack([fitted.module_] * 2), 1)]
    nn.init.normal_(modules[1].encoder.change)
    stacked = stack(modules).eval()
    x = torch.randn(6, 5)

    outputs = call(stacked, x)
    own = call(stacked, torch.stack([x, 2 * x]))

    for member, module in enumerate(modules):
        expected = module.eval()(x).reconstruction
        torch.testing.assert_close(outputs.reconstruction[member], expected)
        again = unstack(stacked, member).eval()(x).reconstruction
        torch.testing.assert_close(again, expected)
    expected = modules[1](2 * x).reconstruction
    torch.testing.assert_close(own.reconstruction[1], expected)


def test_what_cannot_be_stacked_is_trained_one_after_the_other(fitted):
    class WithState(type(fitted.module_)):
        def after_step(self):
            pass

    class OtherNet(AutoencoderNet):
        pass

    module = fitted.module_
    assert can_stack(module)
    assert can_train_together(module, AutoencoderNet)
    assert not can_train_together(module, OtherNet)
    module.__class__ = WithState
    assert not can_stack(module)


@pytest.mark.parametrize("cache", [True, False])
def test_members_see_their_samples_and_no_others(cache):
    x = np.arange(20.0)[:, None]
    samples = np.array([[0, 1, 2, 3, 4], [9, 8, 7, 6, 5]])
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]

    batches = MemberBatches(
        Dataset(x).subset(np.arange(20)[::-1]),
        lambda batch: Batch(batch.x, batch.x, None),
        batch_size=2,
        generators=generators,
        cache=cache,
        samples=samples,
    )
    seen = torch.cat([batch.x for batch in batches], dim=1)[..., 0]

    np.testing.assert_array_equal(np.sort(seen.numpy()), np.sort(19 - samples))


def test_shared_layers_are_trained_one_after_the_other(X):
    estimator = AutoencoderTransformer(**FAST, encoder=with_shared_layer, n_init=2)

    assert np.isfinite(estimator.fit_transform(X)).all()


def with_shared_layer(n_in, n_out):
    layer = nn.Linear(n_in, n_in)
    return nn.Sequential(layer, nn.SiLU(), layer, nn.Linear(n_in, n_out))


@pytest.mark.parametrize("pattern", ["*", "encoder*"])
def test_callbacks_freeze_and_unfreeze_members_but_never_the_linear_map(X, pattern):
    from skorch.callbacks import Freezer, Unfreezer

    callbacks = [Freezer(pattern), Unfreezer(pattern, at=4)]
    estimator = AutoencoderTransformer(**FAST, n_init=2, early_stopping=False)
    plain = estimator.fit(X).module_.encoder.weight

    unfrozen = estimator.set_params(callbacks=callbacks).fit(X).module_.encoder

    torch.testing.assert_close(unfrozen.weight, plain, rtol=0, atol=0)
    assert unfrozen.change.abs().max() > 0
