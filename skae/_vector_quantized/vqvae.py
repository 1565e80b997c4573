"""Vector-quantised autoencoder (VQ-VAE): discrete codes from a learned codebook.

van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", NeurIPS
2017.
"""

from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skae._base import code_basis
from skae._base.estimator import AT_LEAST_ONE
from skae._base.reconstruction import ReconstructionAutoencoder
from skae._base.sampling import SamplingMixin, check_count
from skae._data.checks import check_table
from skae._data.conditions import fit_labels
from skae._data.dataset import Dataset
from skae._training.inference import map_batches, to_device
from skae._training.settings import TrainingSettings
from skae._training.trained import TrainedModule
from skae._training.trainer import Trainer
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval, StrOptions
from skae._utils.torch_modes import inference
from skae._vector_quantized.initialization import (
    CODEBOOK_INITS,
    SampledStatistics,
    describe_sampled,
    make_quantizer,
)
from skae._vector_quantized.module import (
    QuantizedLoss,
    QuantizedModule,
    compute_code_indices,
    decode_code_indices,
)
from skae._vector_quantized.prior_training import fit_prior
from skae._vector_quantized.transformer_prior import TransformerPrior, sequence_nats

MAX_CODES, SAMPLES_PER_CODE = 64, 20  # of "auto"
MAX_CODE_DIM = 16


@documented
class VQVAE(SamplingMixin, ReconstructionAutoencoder):
    """Vector-quantised variational autoencoder (VQ-VAE) with discrete codes (tokens).

    Prefer it to :class:`AutoencoderTransformer` to compress samples to a few bits, for
    data of discrete kinds, or to generate synthetic samples with sharp details. A code is
    ``n_components`` integers, each the index of the nearest code vector in a codebook; a
    small Transformer models their joint distribution. With one position, linear encoder
    and decoder it is k-means; with several, trained product quantisation. ``transform``
    returns the code vectors, which any estimator can take in a Pipeline;
    :meth:`code_indices` returns the indices.

    The bottleneck has :math:`n\\_components \\times \\log_2(n\\_codes)` bits.

    Parameters
    ----------
    n_components : int, default=2
        Number of positions (code indices) of a code.

    n_codes : "auto" or int, default="auto"
        Number of code vectors in a codebook. Larger codebooks reconstruct better and use
        more bits. "auto" is one per 20 samples, at most 64.

    code_dim : "auto" or int, default="auto"
        Dimension of a code vector. "auto" is ``n_features / n_components``, at most 16.

    shared_codebook : bool, default=False
        Use one codebook for all positions, as is usual for grids of image patches
        (:func:`skae.networks.grid_encoder`). Otherwise each position has its own.

    codebook_init : {"kmeans", "random"}, default="kmeans"
        Initialise code vectors at the k-means centres of the untrained encodings, or with
        normal draws. Both are trained alike: by moving averages of the encodings assigned
        to them, and by relocating code vectors that reduce the error least.

    commitment : float, default=1.0
        Weight of the squared distance of encodings to their code vectors. With smaller
        values, encodings may drift away from their code vectors.

    prior : "transformer" or None, default="transformer"
        Autoregressive model of the code indices, trained after the autoencoder, for
        :meth:`sample` and :meth:`score_codes`. Its training often takes longer than that
        of the autoencoder; None skips it.

    conditional : bool, default=False
        Condition the prior on labels, ``fit(X, y)``. Codes do not depend on them.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        Reconstruction loss, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    codebook_ : ndarray of shape (n_components, `n_codes_`, `code_dim_`)
        The code vectors, in the units of X; (`n_codes_`, `code_dim_`) if shared.

    usage_ : ndarray of shape (n_components, `n_codes_`)
        Fraction of the training samples assigned to each code vector; (`n_codes_`,) with
        a shared codebook.

    perplexity_ : float
        Effective number of code vectors in use: the exponential of the entropy of
        ``usage_``, averaged over positions. A value far below ``n_codes_`` means that the
        codebook is larger than the data require.

    n_codes_ : int
        Number of code vectors in a codebook.

    code_dim_ : int
        Dimension of a code vector.

    classes_ : ndarray of shape (n_classes,)
        The labels. Only with ``conditional=True``.

    prior_module_ : torch.nn.Module or None
        The trained Transformer prior over code indices; None with ``prior=None``.

    {attributes}

    See Also
    --------
    sklearn.cluster.KMeans : The linear case with one position.
    AutoencoderTransformer : Continuous codes.

    References
    ----------
    van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning",
    NeurIPS 2017, https://arxiv.org/abs/1711.00937

    Ge, He, Ke & Sun, "Optimized product quantization", IEEE TPAMI 36(4), 2014,
    https://doi.org/10.1109/TPAMI.2013.240

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VQVAE
    >>> X, y = load_digits(return_X_y=True)
    >>> vq = VQVAE(4, n_codes=32, max_iter=20, random_state=0).fit(X)
    >>> indices = vq.code_indices(X)  # 4 integers of 5 bits each
    >>> indices.shape, vq.transform(X).shape
    ((1797, 4), (1797, 64))
    >>> vq.inverse_transform(indices).shape
    (1797, 64)
    >>> vq.sample(3, random_state=0).shape
    (3, 64)
    """

    _supports_partial_fit = False
    _private_state = (*ReconstructionAutoencoder._private_state, "_labels")

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "n_codes": [StrOptions({"auto"}), AT_LEAST_ONE],
        "code_dim": [StrOptions({"auto"}), AT_LEAST_ONE],
        "shared_codebook": ["boolean"],
        "codebook_init": [StrOptions(set(CODEBOOK_INITS))],
        "commitment": [Interval(Real, 0, None, closed="left")],
        "prior": [StrOptions({"transformer"}), None],
        "conditional": ["boolean"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        n_codes="auto",
        code_dim="auto",
        shared_codebook=False,
        codebook_init="kmeans",
        commitment=1.0,
        prior="transformer",
        conditional=False,
        hidden_layer_sizes="auto",
        activation="silu",
        encoder=None,
        decoder=None,
        loss="squared_error",
        init="pca",
        learning_rate=7e-3,
        batch_size="auto",
        max_iter="auto",
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.n_codes = n_codes
        self.code_dim = code_dim
        self.shared_codebook = shared_codebook
        self.codebook_init = codebook_init
        self.commitment = commitment
        self.prior = prior
        self.conditional = conditional
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.init = init
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # Fitting.

    def _sizes(self, dataset: Dataset) -> dict[str, int]:
        """Number and dimension of the code vectors in a codebook."""
        n_codes, code_dim = self.n_codes, self.code_dim
        if not isinstance(n_codes, Integral):
            n_codes = int(
                np.clip(len(dataset) // SAMPLES_PER_CODE, min(2, len(dataset)), MAX_CODES)
            )
        if not isinstance(code_dim, Integral):
            code_dim = min(-(-dataset.n_features // self.n_components), MAX_CODE_DIM)
        return {"n_codes": n_codes, "code_dim": code_dim}

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if isinstance(self.n_codes, Integral) and self.n_codes > X.shape[0]:
            raise ValueError(
                f"n_codes={self.n_codes} must not exceed n_samples={X.shape[0]}. Lower "
                "n_codes, use n_codes='auto', or pass more samples."
            )
        if self.conditional and self.prior is None:
            raise ValueError(
                "conditional=True conditions the prior on labels and requires a prior, "
                "but prior=None. Use prior='transformer'."
            )

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        vars(self).pop("classes_", None)
        self._labels = None
        if not self.conditional:
            return Dataset(X)
        self._labels = fit_labels(X, y, type(self).__name__)
        self.classes_ = self._labels.classes
        return Dataset(X, condition=self._labels.encode(y, X.shape[0]))

    def _describe(self, dataset: Dataset, trained: Dataset) -> SampledStatistics:
        return describe_sampled(
            dataset,
            trained,
            n_positions=self.n_components,
            shared=self.shared_codebook,
            **self._sizes(dataset),
        )

    def _make_module(self, statistics: SampledStatistics) -> QuantizedModule:
        unit = np.full(len(statistics.deviations), statistics.code_unit)
        components = self._make_components(statistics, unit)
        quantizer = make_quantizer(
            components["encoder"],
            components["inputs"],
            statistics,
            n_positions=self.n_components,
            shared=self.shared_codebook,
            codebook_init=self.codebook_init,
        )
        n_positions = self.n_components
        return QuantizedModule(quantizer=quantizer, n_positions=n_positions, **components)

    def _make_criterion(self, module: QuantizedModule) -> nn.Module:
        reconstruction = super()._make_criterion(module)
        total = np.square(module.inputs.spread.cpu().numpy()).sum() or 1.0
        unit = float(module.basis.unit[0]) ** 2 / total
        return QuantizedLoss(reconstruction, self.commitment, unit)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        names = "n_codes", "code_dim", "shared_codebook"
        own = {name: getattr(self, name) for name in names}
        return {**super()._describe_architecture(dataset), **own}

    def _store(self, trained: TrainedModule, trainer: Trainer) -> None:
        super()._store(trained, trainer)
        self.n_codes_, self.code_dim_ = self.module_.quantizer.codebooks.shape[1:]
        self._set_codebook_usage(trainer.dataset)
        self.prior_module_ = None
        if self.prior is not None:
            self.prior_module_ = self._fit_prior(trainer.dataset, trainer.settings)

    def _set_codebook_usage(self, dataset: Dataset) -> None:
        """Set ``codebook_``, ``usage_`` and ``perplexity_``."""
        unit = self.module_.basis.unit[0].cpu()
        codebooks = self.module_.quantizer.codebooks.cpu().double() * unit
        indices = self._code_indices(Dataset(dataset.x))
        if self.shared_codebook:
            indices = indices.reshape(-1, 1)
        counts = [np.bincount(index, minlength=self.n_codes_) for index in indices.T]
        usage = np.array(counts) / len(indices)
        entropy = -(usage * np.log(np.where(usage > 0, usage, 1.0))).sum(axis=1)
        self.perplexity_ = float(np.exp(entropy).mean())
        self.codebook_, self.usage_ = codebooks.numpy(), usage
        if self.shared_codebook:
            self.codebook_, self.usage_ = self.codebook_[0], usage[0]

    def _fit_prior(
        self, dataset: Dataset, settings: TrainingSettings
    ) -> TransformerPrior:
        return fit_prior(
            self._code_indices(Dataset(dataset.x)),
            dataset.condition,
            n_codes=self.n_codes_,
            shared=self.shared_codebook,
            n_epochs=settings.n_epochs,
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            seed=settings.seeds[0],
            device=settings.device,
        )

    # Inference.

    def code_indices(self, X):
        """Quantise each sample to a sequence of code indices (tokens).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        code_indices : ndarray of int of shape (n_samples, n_components)
            From 0 to ``n_codes_ - 1``.
        """
        check_is_fitted(self)
        return self._code_indices(Dataset(self._validate(X)))

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components * `code_dim_`)
            Code vectors from :meth:`transform`, or code indices of shape
            (n_samples, n_components) from :meth:`code_indices`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Samples in the units of the training data, in the dtype of the code vectors,
            or float64 for code indices.
        """
        check_is_fitted(self)
        X = check_table(X, "X", dtype=None)
        if X.shape[1] != self.module_.n_positions or self._is_continuous(X):
            return self._map(code_basis.decode, Dataset(self._validate_codes(X)))
        return self._decode_code_indices(self._validate_code_indices(X))

    def sample(
        self, n_samples=1, y=None, *, temperature=1.0, top_k=None, random_state=None
    ):
        """Generate synthetic samples: draw code indices from the prior and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples to generate.

        y : label or array-like, default=None
            With ``conditional=True``, the labels to condition on: one for all samples or
            one per sample. None draws labels by their frequency in the training data.

        temperature : float, default=1.0
            Temperature of the softmax over code indices. Values below 1 favour probable
            indices: typical samples, less diversity.

        top_k : int, default=None
            Draw only from the ``top_k`` most probable code indices. None is all.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Samples in the units of the training data.
        """
        self._check_prior("sample")
        if top_k is not None:
            check_count(top_k, "top_k")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature!r} must be greater than 0.")
        return self._sample(
            n_samples, y, random_state, temperature=temperature, top_k=top_k
        )

    def _generate(
        self,
        n_samples: int,
        condition: np.ndarray | None,
        random_state,
        temperature: float,
        top_k: int | None,
    ) -> np.ndarray:
        """Decode sequences of code indices drawn from the prior."""
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        if condition is not None:
            condition = to_device(self.prior_module_, torch.from_numpy(condition))
        with inference():
            indices = self.prior_module_.sample(
                n_samples,
                condition,
                temperature=temperature,
                top_k=top_k,
                generator=torch.Generator().manual_seed(seed),
            )
        return self._decode_code_indices(indices.cpu().numpy())

    def score_codes(self, codes, y=None):
        """Log-likelihood of sequences of code indices under the prior.

        Parameters
        ----------
        codes : array-like of int of shape (n_samples, n_components)
            Code indices, as returned by :meth:`code_indices`.

        y : label or array-like, default=None
            With ``conditional=True``, the labels to condition on. None marginalises over
            labels by their frequency in the training data.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats: log p(codes) or log p(codes | y).
        """
        self._check_prior("score_codes")
        indices = self._validate_code_indices(check_table(codes, "codes", dtype=None))
        if self._labels is None:
            self._reject_labels(y)
            return self._log_likelihood(indices, None)
        if y is not None:
            return self._log_likelihood(indices, self._labels.encode(y, len(indices)))
        by_label = [
            self._log_likelihood(indices, self._labels.encode(label, len(indices)))
            for label in self.classes_
        ]
        return logsumexp(np.array(by_label) + self._labels.log_share[:, None], axis=0)

    def _code_indices(self, dataset: Dataset) -> np.ndarray:
        return self._map(compute_code_indices, dataset, dtype=np.int64)

    def _decode_code_indices(self, indices: np.ndarray) -> np.ndarray:
        return self._map(decode_code_indices, Dataset(indices.astype(np.float64)))

    def _log_likelihood(
        self, indices: np.ndarray, condition: np.ndarray | None
    ) -> np.ndarray:
        dataset = Dataset(indices, condition=condition)
        chunk = max(1, self._chunk() // indices.shape[1])
        prior = self.prior_module_
        return -map_batches(prior, sequence_nats, dataset, torch.float64, chunk)

    def _check_prior(self, method: str) -> None:
        check_is_fitted(self)
        if self.prior_module_ is None:
            raise ValueError(
                f"{method} requires a prior, but this VQVAE was fitted with "
                "prior=None. Fit it with prior='transformer'."
            )

    def _is_continuous(self, X: np.ndarray) -> bool:
        """Whether X holds code vectors, where both are of shape (n, n_components)."""
        return self.code_dim_ == 1 and X.dtype.kind == "f"

    def _validate_code_indices(self, X: np.ndarray) -> np.ndarray:
        n_positions = self.module_.n_positions
        indices = np.asarray(X, dtype=np.float64)
        if indices.shape[1] != n_positions:
            raise ValueError(
                f"X has {indices.shape[1]} features, but a code has n_components="
                f"{n_positions} indices. Pass the output of code_indices."
            )
        invalid = (
            (indices != np.floor(indices)) | (indices < 0) | (indices >= self.n_codes_)
        )
        if invalid.any():
            raise ValueError(
                f"X has the value {indices[invalid][0]:.6g}, but code indices range from "
                f"0 to {self.n_codes_ - 1}. Pass the output of code_indices, or the "
                f"{n_positions * self.code_dim_} features of transform."
            )
        return indices.astype(np.int64)

    def _chunk(self) -> int:
        # Distances from each sample to all code vectors at all positions.
        n_distances = self.module_.n_positions * self.module_.quantizer.codebooks.shape[1]
        return max(1, super()._chunk() // max(1, n_distances // 1024))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional
        return tags
