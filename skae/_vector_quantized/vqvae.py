"""The vector-quantised autoencoder: codes that are words of a code book.

van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", NeurIPS
2017.
"""

from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skae._base import code_basis
from skae._base.estimator import AT_LEAST_ONE, BaseAutoencoder
from skae._base.sampling import check_count
from skae._data.conditions import Labels, check_condition
from skae._data.dataset import Dataset
from skae._training.net import AutoencoderNet
from skae._training.trainer import Trainer
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import Interval, StrOptions
from skae._vector_quantized.initialization import (
    STARTS,
    SampledStatistics,
    describe_sampled,
    make_quantised_components,
)
from skae._vector_quantized.module import (
    QuantisedLoss,
    QuantisedModule,
    decode_numbers,
    number_words,
)
from skae._vector_quantized.prior_training import fit_prior
from skae._vector_quantized.transformer_prior import sequence_nats
from skae.losses import LOSSES, ReconstructionLoss

MOST_CODES, ROWS_PER_CODE = 64, 20  # of "auto"
MOST_DIMENSIONS = 16


@documented
class VQVAE(BaseAutoencoder):
    """Autoencoder whose codes are a few words, each from a finite code book.

    Prefer it to :class:`AutoencoderTransformer` when rows are to be stored in a few bits,
    when kinds matter more than degrees, or to generate rows with sharp details: a code
    is ``n_components`` integers, and a small Transformer learns which follow which.
    With one word and linear sides it is k-means; with several, trained product
    quantisation. ``transform`` gives the words' vectors, so that any estimator can
    follow in a Pipeline; :meth:`codes` gives their numbers.

    Rows are squeezed through :math:`n\\_components \\times \\log_2(n\\_codes)` bits.

    Parameters
    ----------
    n_components : int, default=2
        Number of words in a code.

    n_codes : "auto" or int, default="auto"
        Number of words in a code book. "auto" is one for 20 rows, at most 64.

    code_dim : "auto" or int, default="auto"
        Length of a word. "auto" shares the features among the words, 16 at most.

    shared_codebook : bool, default=False
        Draw all words from one code book, as is usual where words are places of an image
        (:func:`skae.networks.grid_encoder`). Otherwise each position has its own.

    codebook_init : {"kmeans", "random"}, default="kmeans"
        Begin with cluster centres of what the untrained encoder gives, or with normal
        draws. Both are trained in the same way: words follow the encodings that they
        are nearest to, and those that are worth little move to where they are worth more.

    commitment : float, default=1.0
        Weight of the squared distance of encodings to their words. With less, encodings
        may run away from the words that stand for them.

    prior : "transformer" or None, default="transformer"
        What learns the sequences of words once the autoencoder is trained, for
        :meth:`sample` and :meth:`score_codes`. It often takes longer than the
        autoencoder; None does without.

    conditional : bool, default=False
        Let that density depend on labels, ``fit(X, y)``. Codes do not depend on them.

    loss : {"squared_error", "absolute_error", "huber", "bernoulli"}, \
            default="squared_error"
        What training minimises besides, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    codebook_ : ndarray of shape (n_components, `n_codes_`, `code_dim_`)
        The words, in the units of X; (`n_codes_`, `code_dim_`) with a shared book.

    usage_ : ndarray of shape (n_components, `n_codes_`)
        Share of the training rows that each word stands for; (`n_codes_`,) with a
        shared code book.

    perplexity_ : float
        How many words of a book are in use, were all used alike: the exponential of the
        entropy of ``usage_``, averaged over positions. Far below ``n_codes_``, the book
        is larger than the data call for.

    n_codes_ : int
        Number of words in a book.

    code_dim_ : int
        Length of a word.

    classes_ : ndarray of shape (n_classes,)
        The labels. Only with ``conditional=True``.

    prior_net_ : skorch.NeuralNet or None
        The trained density of words; its ``history`` is skorch's.

    {attributes}

    See Also
    --------
    sklearn.cluster.KMeans : The linear case with one word.
    AutoencoderTransformer : Codes of real numbers.

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
    >>> codes = vq.codes(X)  # 4 numbers of 5 bits each
    >>> codes.shape, vq.transform(X).shape
    ((1797, 4), (1797, 64))
    >>> vq.inverse_transform(codes).shape
    (1797, 64)
    >>> vq.sample(3, random_state=0).shape
    (3, 64)
    """

    _supports_partial_fit = False
    _private_state = (*BaseAutoencoder._private_state, "_labels")

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "n_codes": [StrOptions({"auto"}), AT_LEAST_ONE],
        "code_dim": [StrOptions({"auto"}), AT_LEAST_ONE],
        "shared_codebook": ["boolean"],
        "codebook_init": [StrOptions(set(STARTS))],
        "commitment": [Interval(Real, 0, None, closed="left")],
        "prior": [StrOptions({"transformer"}), None],
        "conditional": ["boolean"],
        "loss": [StrOptions(set(LOSSES))],
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
        """Number of words in a book, and their length."""
        n_codes, code_dim = self.n_codes, self.code_dim
        if not isinstance(n_codes, Integral):
            n_codes = int(
                np.clip(len(dataset) // ROWS_PER_CODE, min(2, len(dataset)), MOST_CODES)
            )
        if not isinstance(code_dim, Integral):
            code_dim = min(-(-dataset.n_features // self.n_components), MOST_DIMENSIONS)
        return {"n_codes": n_codes, "code_dim": code_dim}

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if isinstance(self.n_codes, Integral) and self.n_codes > X.shape[0]:
            raise ValueError(
                f"n_codes={self.n_codes} words cannot be told from n_samples="
                f"{X.shape[0]} rows. Lower n_codes, or leave it at 'auto'."
            )
        if self.conditional and self.prior is None:
            raise ValueError(
                "conditional=True is about the density of codes, which prior=None leaves "
                "out. Use prior='transformer'."
            )

    def _make_dataset(self, X: np.ndarray, y) -> Dataset:
        vars(self).pop("classes_", None)
        self._labels = None
        if not self.conditional:
            return Dataset(X)
        if y is None:
            raise ValueError(
                "VQVAE with conditional=True requires y to be passed, but the target y "
                "is None. Pass labels, or use conditional=False."
            )
        y = check_condition(y)
        check_consistent_length(X, y)
        if y.ndim == 2:
            raise ValueError(
                "conditional=True wants labels (strings, integers or booleans), and y "
                f"has dtype {y.dtype}. Round or bin y, or use ConditionalVAE."
            )
        self._labels = Labels(y)
        self.classes_ = self._labels.classes
        return Dataset(X, condition=self._labels.columns(y, len(y)))

    def _describe(self, dataset: Dataset, trained: Dataset) -> SampledStatistics:
        return describe_sampled(
            dataset,
            trained,
            n_positions=self.n_components,
            shared=self.shared_codebook,
            **self._sizes(dataset),
        )

    def _make_module(self, statistics: SampledStatistics) -> QuantisedModule:
        return QuantisedModule(**make_quantised_components(self, statistics))

    def _make_criterion(self, statistics: SampledStatistics) -> nn.Module:
        spread = statistics.target_spread
        reconstruction = ReconstructionLoss(self.loss, torch.as_tensor(spread))
        total = np.square(spread).sum() or 1.0
        unit = statistics.code_unit**2 / total
        return QuantisedLoss(reconstruction, self.commitment, unit)

    def _update_hyperparameters(
        self, module: nn.Module, criterion: QuantisedLoss
    ) -> None:
        criterion.commitment = self.commitment

    def _store(self, net: AutoencoderNet, fitting: Trainer) -> None:
        super()._store(net, fitting)
        self.n_codes_, self.code_dim_ = net.module_.quantiser.books.shape[1:]
        self._take_stock(fitting.dataset)
        self.prior_net_ = None
        if self.prior is not None:
            self.prior_net_ = self._fit_prior(fitting)

    def _take_stock(self, dataset: Dataset) -> None:
        """Set what is known of the code books."""
        unit = self.module_.basis.unit[0].cpu()
        books = self.module_.quantiser.books.cpu().double() * unit
        numbers = self._number(Dataset(dataset.x))
        if self.shared_codebook:
            numbers = numbers.reshape(-1, 1)
        counts = [np.bincount(book, minlength=self.n_codes_) for book in numbers.T]
        usage = np.array(counts) / len(numbers)
        entropy = -(usage * np.log(np.where(usage > 0, usage, 1.0))).sum(axis=1)
        self.perplexity_ = float(np.exp(entropy).mean())
        self.codebook_, self.usage_ = books.numpy(), usage
        if self.shared_codebook:
            self.codebook_, self.usage_ = self.codebook_[0], usage[0]

    def _fit_prior(self, fitting: Trainer) -> AutoencoderNet:
        return fit_prior(
            self._number(Dataset(fitting.dataset.x)),
            fitting.dataset.condition,
            n_codes=self.n_codes_,
            shared=self.shared_codebook,
            n_epochs=None if self.max_iter == "auto" else self.max_iter,
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            seed=fitting.seeds[0],
            device=fitting.device,
        )

    # Using what was fitted.

    def codes(self, X):
        """Encode the rows of X as numbers of words.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data in the units of the training data.

        Returns
        -------
        codes : ndarray of int of shape (n_samples, n_components)
            From 0 to ``n_codes_ - 1``.
        """
        check_is_fitted(self)
        return self._number(Dataset(self._validate(X)))

    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components * `code_dim_`)
            Codes, as :meth:`transform` gives them, or numbers of words of shape
            (n_samples, n_components), as :meth:`codes` does.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data, in the dtype of the codes, or
            float64 where these are integers.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=None)
        if X.shape[1] != self.module_.n_positions or self._is_continuous(X):
            return self._map(code_basis.decode, Dataset(self._validate_codes(X)))
        return self._decode_numbers(self._validate_numbers(X))

    def sample(
        self, n_samples=1, y=None, *, temperature=1.0, top_k=None, random_state=None
    ):
        """Generate rows: draw words one after the other, and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        y : label or array-like, default=None
            With ``conditional=True`` what the rows shall be: one label for all or one
            for each. None draws labels by their share in training.

        temperature : float, default=1.0
            Below 1, likely words become likelier: typical rows, less variety.

        top_k : int, default=None
            Draw only from so many of the likeliest words. None is all.

        random_state : int, RandomState instance or None, default=None
            Seeds the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Rows in the units of the training data.
        """
        self._need_prior("sample")
        check_count(n_samples, "n_samples")
        if top_k is not None:
            check_count(top_k, "top_k")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature!r} must be greater than 0.")
        random_state = check_random_state(random_state)
        condition = self._condition_of_samples(n_samples, y, random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        net = self.prior_net_
        with torch.inference_mode():
            numbers = net.module_.sample(
                n_samples,
                None if condition is None else net.to_device(torch.as_tensor(condition)),
                temperature=temperature,
                top_k=top_k,
                generator=generator,
            )
        return self._decode_numbers(numbers.cpu().numpy())

    def score_codes(self, codes, y=None):
        """Log-likelihood of code sequences.

        Parameters
        ----------
        codes : array-like of int of shape (n_samples, n_components)
            Numbers of words, as :meth:`codes` gives them.

        y : label or array-like, default=None
            With ``conditional=True`` the labels to be given. None weighs all labels by
            their share in training.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats: log p(codes) or log p(codes | y).
        """
        self._need_prior("score_codes")
        numbers = self._validate_numbers(check_array(codes, dtype=None))
        if self._labels is None:
            self._refuse_labels(y)
            return self._log_likelihood(numbers, None)
        if y is not None:
            return self._log_likelihood(numbers, self._labels.columns(y, len(numbers)))
        each = [
            self._log_likelihood(numbers, self._labels.columns(label, len(numbers)))
            for label in self.classes_
        ]
        return logsumexp(np.array(each) + self._labels.log_share[:, None], axis=0)

    def _number(self, dataset: Dataset) -> np.ndarray:
        return self._map(number_words, dataset, dtype=np.int64)

    def _decode_numbers(self, numbers: np.ndarray) -> np.ndarray:
        return self._map(decode_numbers, Dataset(numbers.astype(np.float64)))

    def _log_likelihood(
        self, numbers: np.ndarray, condition: np.ndarray | None
    ) -> np.ndarray:
        dataset = Dataset(numbers, condition=condition)
        chunk = max(1, self._chunk() // numbers.shape[1])
        net = self.prior_net_
        return -net.map_batches(sequence_nats, dataset, torch.float64, chunk)

    def _condition_of_samples(self, n_samples: int, y, random_state) -> np.ndarray | None:
        if self._labels is None:
            self._refuse_labels(y)
            return None
        if y is None:
            y = random_state.choice(self.classes_, n_samples, p=self._labels.share)
        return self._labels.columns(y, n_samples)

    def _refuse_labels(self, y) -> None:
        if y is not None:
            raise ValueError(
                "y was passed, but this VQVAE was fitted with conditional=False and "
                "knows of no labels. Fit it with conditional=True."
            )

    def _need_prior(self, method: str) -> None:
        check_is_fitted(self)
        if self.prior_net_ is None:
            raise ValueError(
                f"{method} needs a density of codes, and this VQVAE was fitted with "
                "prior=None. Fit it with prior='transformer'."
            )

    def _is_continuous(self, X: np.ndarray) -> bool:
        """Whether codes of n_components columns are vectors, of words of length 1."""
        return self.code_dim_ == 1 and X.dtype.kind == "f"

    def _validate_numbers(self, X: np.ndarray) -> np.ndarray:
        n_positions = self.module_.n_positions
        numbers = np.asarray(X, dtype=np.float64)
        if numbers.shape[1] != n_positions:
            raise ValueError(
                f"X has {numbers.shape[1]} columns, but a code has n_components="
                f"{n_positions} words. Pass what codes returned."
            )
        wrong = (
            (numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= self.n_codes_)
        )
        if wrong.any():
            raise ValueError(
                f"X has the value {numbers[wrong][0]:.6g}, but words are numbered from 0 "
                f"to {self.n_codes_ - 1}. Pass what codes returned, or the "
                f"{n_positions * self.code_dim_} columns of transform."
            )
        return numbers.astype(np.int64)

    def _chunk(self) -> int:
        # A row meets every word at every position.
        n_met = self.module_.n_positions * self.module_.quantiser.books.shape[1]
        return max(1, super()._chunk() // max(1, n_met // 1024))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional
        return tags
