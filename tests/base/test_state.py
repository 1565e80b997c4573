"""What a fitted estimator holds: a module with a complete state, a history, numbers."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.mixture import GaussianMixture

import skae
from skae import (
    VQVAE,
    AdversarialAE,
    AEOutlierDetector,
    AutoencoderTransformer,
    ConditionalVAE,
    ContractiveAE,
    DenoisingAE,
    SparseAE,
    VAETransformer,
)
from skae.networks import conv_encoder, mlp

QUICK = dict(max_iter=3, random_state=0)
TRANSFORMERS = {
    "plain": AutoencoderTransformer(3, **QUICK),
    "initialisations": AutoencoderTransformer(3, n_init=2, **QUICK),
    "bernoulli": AutoencoderTransformer(3, loss="bernoulli", **QUICK),
    "random": AutoencoderTransformer(3, init="random", **QUICK),
    "builder": AutoencoderTransformer(3, encoder=mlp, decoder=mlp, **QUICK),
    "denoising": DenoisingAE(3, corruption="salt_pepper", **QUICK),
    "contractive": ContractiveAE(3, **QUICK),
    "sparse": SparseAE(20, **QUICK),
    "l1": SparseAE(20, sparsity="l1", **QUICK),
    "vae": VAETransformer(3, **QUICK),
    "vae bernoulli": VAETransformer(3, likelihood="bernoulli", **QUICK),
    "vae fixed noise": VAETransformer(3, noise=0.1, **QUICK),
    "conditional": ConditionalVAE(3, **QUICK),
    "vq": VQVAE(3, n_codes=8, **QUICK),
    "vq shared": VQVAE(3, n_codes=8, shared_codebook=True, **QUICK),
    "adversarial": AdversarialAE(3, **QUICK),
    "mixture": AdversarialAE(3, prior="mixture", conditional=True, **QUICK),
}
DETECTORS = {
    "detector": AEOutlierDetector(max_iter=3, random_state=0),
    "detector of VAEs": AEOutlierDetector(VAETransformer(2, **QUICK), random_state=0),
}
ALL = {**TRANSFORMERS, **DETECTORS}


def table(seed):
    """Wine's features in [0, 1], of another random rotation of the samples for each."""
    X, y = load_wine(return_X_y=True)
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    order = np.random.RandomState(seed).permutation(len(X))
    return X[order] ** (1 + seed), y[order]


def fitted(name, seed=0):
    return copy.deepcopy(ALL[name]).fit(*table(seed))


def modules_of(estimator):
    members = getattr(estimator, "estimators_", None) or [estimator]
    modules = [member.module_ for member in members]
    return modules + [m for e in members if (m := vars(e).get("prior_module_"))]


class Recorder(pickle.Unpickler):
    """Records what a pickle is made of."""

    def __init__(self, file):
        super().__init__(file)
        self.classes = set()

    def find_class(self, module, name):
        self.classes.add(f"{module}.{name}")
        return super().find_class(module, name)


def test_every_class_is_here():
    assert {type(e).__name__ for e in ALL.values()} == set(skae.__all__)


@pytest.mark.parametrize("name", ALL)
def test_no_trainer_is_left(name):
    """Nor a skorch net, a callback, a loader, an optimiser, a criterion or a Trainer."""
    recorder = Recorder(io.BytesIO(pickle.dumps(fitted(name))))
    recorder.load()

    of_training = ("skorch", "torch.optim", "torch.utils.data", "skae._training")
    of_training += ("skae.losses", "torch._C.Generator")
    assert not [c for c in recorder.classes if c.startswith(of_training)]
    assert any(c.startswith("skae._") for c in recorder.classes)


@pytest.mark.parametrize("name", ALL)
def test_tensors_of_the_state_are_contiguous_and_share_no_memory(name):
    for module in modules_of(fitted(name)):
        tensors = list(module.state_dict().values())
        places = {tensor.untyped_storage().data_ptr() for tensor in tensors}

        assert all(tensor.is_contiguous() for tensor in tensors)
        assert len(places) == len(tensors)
        sizes = [t.untyped_storage().nbytes() == t.nbytes for t in tensors]
        assert all(sizes)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_loaded_state_is_the_whole_model(name, assign):
    """Bit for bit, at distant samples too, where the other model has been in use."""
    one, other = fitted(name), fitted(name, seed=1)
    X, _ = table(2)
    X[:9] *= [[3], [10], [100]] * 3
    if "bernoulli" in name:
        X = X.clip(0, 1)
    for dtype in (np.float32, np.float64):
        other.reconstruct(X.astype(dtype))  # whatever is cached, is now
    state = copy.deepcopy(one.module_.state_dict())

    other.module_.load_state_dict(state, assign=assign)

    for dtype in (np.float32, np.float64):
        Z = one.transform(X.astype(dtype))
        np.testing.assert_array_equal(other.transform(X.astype(dtype)), Z)
        for inverse in ("inverse_transform", "reconstruct"):
            values = Z if inverse == "inverse_transform" else X.astype(dtype)
            expected = getattr(one, inverse)(values)
            np.testing.assert_array_equal(getattr(other, inverse)(values), expected)


@pytest.mark.parametrize("change", ["in place", "replaced", "inference mode"])
def test_a_changed_weight_changes_float64_codes(change):
    """The float64 copy that inference keeps follows the module."""
    X, _ = table(0)
    ae = AutoencoderTransformer(2, **QUICK).fit(X)
    before = ae.transform(X)
    weight = ae.module_.encoder.weight
    with torch.no_grad():
        if change == "in place":
            weight *= 2
        elif change == "replaced":
            ae.module_.encoder.weight = 2 * weight
        else:
            with torch.inference_mode():
                ae.module_.encoder.weight = 2 * weight
                ae.transform(X)
                ae.module_.encoder.weight.mul_(0.5).mul_(2)

    after = ae.transform(X)

    assert not np.allclose(after, before)
    np.testing.assert_allclose(ae.transform(X.astype(np.float32)), after, atol=1e-4)


def test_optimiser_state_is_plain_tensors_and_of_partial_fit_alone():
    X, _ = table(0)
    ae = AutoencoderTransformer(2, **QUICK).partial_fit(X)

    assert {type(value) for value in ae._optimizer_state.values()} == {torch.Tensor}
    assert ae.fit(X)._optimizer_state is None


@pytest.mark.parametrize("name", ["plain", "vae", "detector"])
def test_pickling_and_inference_in_several_threads(name):
    """float64 inference makes a copy beside the module, never in what is pickled."""
    estimator = fitted(name)
    X, _ = table(0)
    wanted = estimator.score_samples(X)

    def work(i):
        if i % 2:
            return estimator.score_samples(X)
        return pickle.loads(pickle.dumps(estimator)).score_samples(X)

    with ThreadPoolExecutor(8) as pool:
        for scores in pool.map(work, range(40)):
            np.testing.assert_array_equal(scores, wanted)


def test_inference_does_not_grow_a_pickle():
    X, _ = table(0)
    ae = AutoencoderTransformer(2, **QUICK).fit(X)
    before = len(pickle.dumps(ae))
    ae.transform(X)
    ae.transform(X.astype(np.float32))

    assert len(pickle.dumps(ae)) == before


# What a resumed fit may not change.

OTHERS = {
    "hidden_layer_sizes": (7,),
    "activation": "relu",
    "init": "random",
    "loss": "huber",
    "encoder": partial(mlp, hidden_layer_sizes=(8, 8)),
    "decoder": partial(conv_encoder, image_shape=(1, 2, 2)),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", OTHERS)
def test_resuming_with_another_architecture_is_refused(name, method):
    X, _ = table(0)
    encoder = partial(mlp, hidden_layer_sizes=(8,))
    ae = AutoencoderTransformer(2, encoder=encoder, warm_start=True, **QUICK).fit(X)
    before = ae.transform(X)
    ae.set_params(**{name: OTHERS[name]})

    with pytest.raises(ValueError, match=f"resumes the training of a module.*'{name}'"):
        getattr(ae, method)(X)
    np.testing.assert_array_equal(ae.transform(X), before)


def closure(width):
    def build(n_in, n_out):
        return mlp(n_in, n_out, hidden_layer_sizes=(width,))

    return build


class Builder:
    def __init__(self, width):
        self.width = width

    def __call__(self, n_in, n_out):
        return mlp(n_in, n_out, hidden_layer_sizes=(self.width,))

    def build(self, n_in, n_out):
        return self(n_in, n_out)


def recursive(width):
    def build(n_in, n_out, depth=1):
        return build(n_in, n_out, 0) if depth else mlp(n_in, n_out, activation=width)

    return build


def with_a_module(width):
    import torch as library

    def build(n_in, n_out):
        return library.nn.Sequential(
            library.nn.Linear(n_in, width), library.nn.Linear(width, n_out)
        )

    return build


def keyword_only(width):
    return lambda n_in, n_out, *, width=width: mlp(
        n_in, n_out, hidden_layer_sizes=(width,)
    )


class Cyclic(Builder):
    def __init__(self, width):
        super().__init__(width)
        self.itself = [self]


OTHER_BUILDERS = [
    (recursive("relu"), recursive("tanh")),
    (with_a_module(3), with_a_module(4)),
    (keyword_only(3), keyword_only(4)),
    (Cyclic(3), Cyclic(4)),
    (partial(mlp, hidden_layer_sizes=(8,)), partial(mlp, hidden_layer_sizes=(9,))),
    (partial(mlp, hidden_layer_sizes=[8]), partial(mlp, hidden_layer_sizes=[8, 8])),
    (closure(8), closure(9)),
    (Builder(8), Builder(9)),
    (Builder(8).build, Builder(9).build),
    (lambda i, o: mlp(i, o), lambda i, o: mlp(i, o, activation="tanh")),
    (mlp, conv_encoder),
]


@pytest.mark.parametrize("builder, other", OTHER_BUILDERS)
def test_a_builder_is_its_function_arguments_and_keywords(builder, other):
    from skae._base.architecture import describe_builder

    again = copy.deepcopy(builder)

    assert describe_builder(again) == describe_builder(builder)
    assert describe_builder(other) != describe_builder(builder)
    pickle.dumps(describe_builder(builder))


def test_a_resumed_fit_takes_an_unpickled_builder():
    X, _ = table(0)
    ae = AutoencoderTransformer(2, encoder=partial(mlp, hidden_layer_sizes=(8,)), **QUICK)
    restored = pickle.loads(pickle.dumps(ae.partial_fit(X)))

    restored.partial_fit(X)


def test_a_prior_of_scikit_learn_is_kept_beside_the_module():
    X, _ = table(0)
    vae = VAETransformer(2, prior=GaussianMixture(2), **QUICK).fit(X)

    restored = pickle.loads(pickle.dumps(vae))

    np.testing.assert_array_equal(
        restored.sample(5, random_state=0), vae.sample(5, random_state=0)
    )
