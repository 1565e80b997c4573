"""Documentation of the parameters and attributes that all classes share."""

from textwrap import indent

PARAMETERS = """\
hidden_layer_sizes : "auto", int or tuple of int, default="auto"
    Widths of the encoder's hidden layers; the decoder mirrors them. "auto" is three
    layers of 64 units, or of 128 from 50 features on. ``()`` makes both linear.

activation : {"silu", "relu", "gelu", "tanh", "sigmoid", "identity"}, default="silu"
    Activation function after each hidden layer.

encoder : callable or None, default=None
    Builder ``(n_in, n_out) -> torch.nn.Module`` of a network that replaces the default
    one: a function at the top level of a module, or a :func:`functools.partial` of one,
    such as ``partial(skae.networks.conv_encoder, image_shape=(1, 28, 28))``. Its input
    is standardised. A module instance raises an error, because training would change it
    and a second ``fit`` would start from other weights.

decoder : callable or None, default=None
    Builder of the decoder network, as for ``encoder``.

init : {"pca", "random"}, default="pca"
    Initial weights. With "pca" encoder and decoder have a linear skip connection
    initialised at the principal components of X, and the network's output is
    zero-initialised. With "random" there is only the network, as torch initialises it.

learning_rate : float, default=7e-3
    Peak learning rate of AdamW, after a warm-up over the first 5 % of the steps
    and before cosine decay to 1 %. A skorch ``LRScheduler`` in ``callbacks`` replaces
    this schedule.

batch_size : "auto" or int, default="auto"
    Maximum number of samples in a training step. "auto" is a power of two near
    ``n_samples / 16``, from 32 to 512.

max_iter : "auto" or int, default="auto"
    Number of epochs (passes over X). "auto" is a number of steps that grows with the
    square root of ``n_samples``: 600 for 1,000 samples, at most 6,000.

early_stopping : bool, default=True
    Stop when the validation loss no longer improves, and keep the weights of the lowest
    validation loss, initial weights included. With fewer than 2,000 samples the
    improvement over the initial weights must exceed two standard errors (three, in
    five-fold cross-validation, below 150 samples), or the initial weights are kept; the
    model is then refitted to all samples for the best fraction of the steps. The initial
    weights are also kept if their training loss is lower. With False the last weights
    are kept.

validation_fraction : float, default=0.1
    Fraction of X in the validation set, but at least 50 samples (or a third of all, if
    that is less) and at most 5,000. The set consists of five contiguous blocks, because
    adjacent samples are often alike. Below 150 samples cross-validation replaces it.

n_iter_no_change : "auto" or int, default="auto"
    Number of validation checks without improvement after which training stops. There
    is a check about every 2 % of the steps. "auto" is 25, half of the steps.

warm_start : bool, default=False
    Resume training from the module of the previous ``fit``, with its feature scaling,
    linear skip connection and weights. X must have the same features.

callbacks : list of skorch callbacks or None, default=None
    Copied at ``fit``. Epoch hooks are always called, batch hooks if a callback overrides
    them. Callbacks that collect predictions batch by batch, such as ``EpochScoring``,
    are not supported; use scikit-learn's ``ScoringMonitor``.

device : str or torch.device, default="auto"
    Device of the computation. "auto" is CUDA if available, else MPS, else the CPU.

random_state : int, RandomState instance or None, default=None
    Seed of the initial weights, the batches and the validation set. torch's global
    random state is neither used nor changed; None draws the seed from numpy's, as in
    scikit-learn.

verbose : bool, default=False
    Show a progress bar (needs rich).
"""

ATTRIBUTES = """\
module_ : torch.nn.Module
    The trained module; ``module_.encode``, ``decode`` and ``reconstruct`` take and
    return tensors in the units of X.

n_iter_ : int
    Number of epochs of training of the final weights, at least 1.

best_step_ : int
    Optimiser step whose weights were kept; 0 for the initial weights.

history_ : DataFrame
    Training history by epoch: ``stage``, ``epoch``, ``train_loss``, ``valid_loss`` (NaN
    without a validation set), ``learning_rate``, ``seconds``.

n_features_in_ : int
    Number of features seen during ``fit``.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features; only if X had feature names that are all strings.
"""


VARIANCES = """\
explained_variance_ratio_ : ndarray of shape (n_components,)
    Share of the variance of the training data (2,000 samples at most) that each
    component explains in addition to the previous ones. The sum is R2, and the
    cumulative sum what the first components explain if they are decoded with the
    later ones at their mean, and each feature is regressed on the result and on them.

explained_variance_ : ndarray of shape (n_components,)
    The same in the squared units of X: shares of the total variance.

mean_ : ndarray of shape (n_features,)
    Mean of each feature of the training data, in the units of X.

n_components_ : int
    Number of components.

noise_variance_ : float
    Variance that is not explained, per further principal component that there is, in
    the squared units of X.
"""

VARIATIONAL = """\
beta : float, default=1.0
    Weight of the KL divergence from the prior. 1 is the evidence lower bound (ELBO).
    Larger values (beta-VAE) reduce the information in the codes and disentangle their
    components; smaller ones degrade samples. The noise does not depend on it.

kl_warm_up : float, default=0.1
    Fraction of the training over which that weight increases from 0. A long warm-up
    (0.4) keeps more components active with ``init="random"``.

free_bits : float, default=0.0
    Mean KL divergence of a component, in nats, that is not penalised. Larger values
    keep components from collapsing early in training.

likelihood : {"gaussian", "bernoulli"}, default="gaussian"
    Distribution p(x|z) of a feature given its reconstruction: Gaussian, in any units, or
    Bernoulli with the reconstruction as its probability, for X in [0, 1].

noise : {"feature", "shared"} or float, default="feature"
    Standard deviation of a Gaussian likelihood. It is learned for each feature, or as
    one fraction of every feature's own standard deviation; it is initialised at the
    residuals of PCA and stays above 0.001 standard deviations. A float is a fixed value
    in the units of X: ``noise=0.5**0.5`` with ``beta=1`` is the loss of many papers, the
    sum of squares plus the KL divergence.

prior : "normal" or density estimator, default="normal"
    Prior p(z) that codes are sampled from and scored by. An estimator with ``fit``,
    ``sample`` and ``score_samples`` is fitted to the codes after training, of at most
    5,000 samples, or of 50,000 if it is a :class:`sklearn.mixture.GaussianMixture`. This
    often improves samples and scores.

n_importance_samples : int, default=64
    Number of importance samples in :meth:`score_samples`. The expected score is a lower
    bound of the log-likelihood; more samples make it tighter.
"""

VARIATIONAL_ATTRIBUTES = """\
kl_per_component_ : ndarray of shape (n_components,)
    Mean KL divergence of each component from the prior on the training data, in nats,
    largest first: the information in the component.

active_units_ : int
    Number of components whose posterior mean has a variance over 0.01.

noise_variance_ : ndarray of shape (n_features,)
    Variance of each feature about its reconstruction, in the units of X. Only with
    ``likelihood="gaussian"``.

prior_ : object or None
    The fitted density estimator of codes; None with ``prior="normal"``.
"""


def documented(cls):
    """Class decorator that fills the names in braces in a docstring."""
    texts = {
        "parameters": PARAMETERS,
        "attributes": ATTRIBUTES,
        "variances": VARIANCES,
        "variational": VARIATIONAL,
        "variational_attributes": VARIATIONAL_ATTRIBUTES,
    }
    for name, text in texts.items():
        shifted = indent(text, "    ").strip()
        cls.__doc__ = cls.__doc__.replace("{" + name + "}", shifted)
    return cls
