"""Sparse autoencoder: many components, of which few are active in each sample.

Olshausen & Field, "Emergence of simple-cell receptive field properties by learning a
sparse code for natural images", Nature 381, 1996.
"""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae._base.estimator import AT_LEAST_ONE
from skae._base.initialization import common_spread, make_network
from skae._base.reconstruction import ReconstructionAutoencoder
from skae._base.transformer import torch_dtype
from skae._data.dataset import Batch, Dataset
from skae._data.statistics import Statistics, describe
from skae._deterministic.sparsity import SPARSITIES, SparseLoss, SparseModule
from skae._nn.code_basis import CodeBasis
from skae._nn.linear_path import LinearPath, linear_paths
from skae._nn.scaling import Standardizer
from skae._training.inference import apply, prepare
from skae._utils.docstrings import documented
from skae._utils.sklearn_compat import StrOptions
from skae._utils.torch_modes import inference

MAX_COMPONENTS = 4096  # of "auto"
CALIBRATION_SAMPLES, CALIBRATION_VALUES = 10_000, 2**26
N_FOLDS = 5
# With fewer samples per principal direction, directions fit the noise of the training
# samples, and activations of new samples are smaller.
SAMPLES_PER_DIRECTION = 5
RANDOM_SCALE = 1e-3  # initial length of encoder directions besides the principal ones


@documented
class SparseAE(ReconstructionAutoencoder):
    """Sparse autoencoder (SAE): sparse coding with a learned overcomplete dictionary.

    Prefer it to :class:`sklearn.decomposition.DictionaryLearning` for many training
    samples or for fast encoding: an encoder network replaces the optimisation for each
    sample. Codes are non-negative, most of their components are 0, and
    ``inverse_transform(Z)`` is ``Z @ components_`` plus a constant vector.

    The dictionary is initialised at the principal components and their negatives, of
    which each sample activates the ``n_active`` that explain most of its variance.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Number of directions. "auto" is twice the number of features, at most 4,096.

    n_active : "auto" or int, default="auto"
        Number of active (nonzero) components of a code: the mean over unseen samples, or
        with "topk" the maximum of each. Larger values reconstruct better and make codes
        less sparse. "auto" is a sixteenth of ``n_components``, at least 2.

    sparsity : {"batch_topk", "topk", "l1", "kl"}, default="batch_topk"
        Sparsity constraint during training. "batch_topk" keeps the largest activations
        of a batch, so that the number varies with the sample; "topk" keeps the same
        number in each sample. "l1" and "kl" penalise the sum of the code and the
        activation frequency of each component; the weight of the penalty is adapted until
        ``n_active`` is reached. With all but "topk", a component is active in inference
        above a threshold that is calibrated on the validation set.

    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Reconstruction loss, as in :class:`AutoencoderTransformer`.

    {parameters}

    Attributes
    ----------
    n_components_ : int
        Number of directions.

    n_active_ : int
        Target number of active components.

    components_ : ndarray of shape (`n_components_`, n_features)
        Dictionary: directions of unit length, in the units of X.

    active_fraction_ : float
        Mean fraction of active components over the training samples (after
        ``partial_fit``, over a random sample of all parts).

    dead_units_ : int
        Number of components that are 0 for all of these samples.

    {attributes}

    See Also
    --------
    sklearn.decomposition.MiniBatchDictionaryLearning : Codes by optimisation per sample.
    AutoencoderTransformer : Dense codes of few components.

    References
    ----------
    Bussmann, Leask & Nanda, "BatchTopK sparse autoencoders", 2024,
    https://arxiv.org/abs/2412.06410

    Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
    https://arxiv.org/abs/2406.04093

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import SparseAE
    >>> from skae.metrics import reconstruction_r2
    >>> X, _ = load_digits(return_X_y=True)
    >>> sparse = SparseAE(n_active=4, max_iter=30, random_state=0).fit(X[:1500])
    >>> codes = sparse.transform(X[1500:])
    >>> codes.shape, sparse.components_.shape
    ((297, 128), (128, 64))
    >>> bool(3.5 < (codes > 0).sum(axis=1).mean() < 4.5)
    True
    >>> reconstruction_r2(sparse, X[1500:]) > reconstruction_r2(PCA(4).fit(X), X[1500:])
    True
    """

    _parameter_constraints: dict = {
        **ReconstructionAutoencoder._parameter_constraints,
        "n_components": [StrOptions({"auto"}), AT_LEAST_ONE],
        "n_active": [StrOptions({"auto"}), AT_LEAST_ONE],
        "sparsity": [StrOptions(set(SPARSITIES))],
        "loss": [StrOptions({"squared_error", "absolute_error", "huber"})],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        n_active="auto",
        sparsity="batch_topk",
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
        self.n_active = n_active
        self.sparsity = sparsity
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

    def _widths(self, n_features: int) -> tuple[int, int]:
        """Number of components, and number of active components."""
        n_components, n_active = self.n_components, self.n_active
        if not isinstance(n_components, Integral):
            n_components = min(2 * n_features, MAX_COMPONENTS)
        if not isinstance(n_active, Integral):
            n_active = min(max(2, n_components // 16), n_components)
        return n_components, n_active

    def _check_parameters(self, X: np.ndarray) -> None:
        super()._check_parameters(X)
        if self.decoder is not None:
            raise ValueError(
                "decoder must be None: SparseAE decodes by one linear layer of unit "
                "directions, components_. Leave decoder=None; encoder may be any network."
            )
        n_components, n_active = self._widths(X.shape[1])
        if n_active > n_components:
            raise ValueError(
                f"n_active={n_active} must not exceed n_components={n_components}. Lower "
                "n_active or raise n_components."
            )

    def _describe(self, dataset: Dataset, trained: Dataset) -> Statistics:
        # The validation set gives the threshold, so the initial weights must not fit it.
        return describe(trained, self._count_directions(trained))

    def _count_directions(self, dataset: Dataset) -> int:
        """Number of principal directions to initialise at, each with its negative."""
        n_components, n_active = self._widths(dataset.n_features)
        most = max(n_active, len(dataset) // SAMPLES_PER_DIRECTION)
        return min(dataset.n_features, -(-n_components // 2), most)

    def _make_module(self, statistics: Statistics) -> SparseModule:
        n_features = statistics.n_features
        n_components, n_active = self._widths(n_features)
        spread = common_spread(torch.as_tensor(statistics.spread))
        units = Standardizer(torch.as_tensor(statistics.mean), spread)
        directions = torch.randn(n_components, n_features, dtype=torch.float32)
        directions[:, spread == 0] = 0.0  # constant features
        directions /= directions.norm(dim=1, keepdim=True).clamp(min=1e-12)
        into = directions
        if self.init == "pca":  # the others so small that principal ones dominate
            into = principal_directions(RANDOM_SCALE * directions, statistics.components)
            directions = principal_directions(directions, statistics.components)
        encoder = make_network(
            self._networks, "encoder", n_features, n_components, n_features
        )
        # A network that is not zero-initialised is multiplied by a gain of 0.
        gain = self.encoder is not None or self.init == "random"
        training_range = units(torch.as_tensor(statistics.training_range))
        encoder = LinearPath(
            encoder,
            into.T.double(),
            training_range=training_range,
            gain=gain,
            keeps_change=True,
        )
        decoder = nn.Linear(n_components, n_features)
        with torch.no_grad():
            decoder.weight.copy_(directions.T)
            decoder.bias.zero_()
        unit = spread.amax().clamp(min=torch.finfo(torch.float64).tiny)
        return SparseModule(
            encoder=encoder,
            decoder=decoder.float(),
            inputs=units,
            basis=CodeBasis(unit.expand(n_components).clone(), rotates=False),
            sparsity=self.sparsity,
            n_active=n_active,
        )

    def _make_criterion(self, module: nn.Module) -> nn.Module:
        n_components, n_active = self._widths(len(module.inputs.mean))
        reconstruction = super()._make_criterion(module)
        return SparseLoss(reconstruction, self.sparsity, n_active / n_components)

    def _describe_architecture(self, dataset: Dataset) -> dict:
        own = {"sparsity": self.sparsity, "n_active": self.n_active}
        return {**super()._describe_architecture(dataset), **own}

    def _finalize_codes(self, dataset: Dataset, resumes: bool) -> None:
        module = self.module_
        module.after_step()  # an average of unit directions is not of unit length
        for path in linear_paths(module):
            path.freeze_range()
        self.n_components_, self.n_active_ = self._widths(dataset.n_features)
        if resumes or not module.calibrated:
            self._calibrate(dataset)
        arguments = dataset, torch_dtype(dataset.x.dtype), self._chunk()
        used = sum(part.cpu() for part in apply(module, _count_active, *arguments))
        self.active_fraction_ = float(used.sum() / (len(dataset) * self.n_components_))
        self.dead_units_ = int((used == 0).sum())

    def _calibrate(self, dataset: Dataset) -> None:
        """Set the threshold of inference on at most 10,000 training samples."""
        n_samples = min(len(dataset), CALIBRATION_SAMPLES)
        n_samples = min(n_samples, max(1, CALIBRATION_VALUES // self.n_components_))
        index = np.linspace(0, len(dataset) - 1, n_samples).astype(int)
        samples = dataset.subset(index)
        x = prepare(self.module_, samples[:]).x
        encoder = self.module_.encoder
        with inference():
            activation = encoder(x)
            if self.best_step_ == 0 and self.init == "pca" and n_samples >= N_FOLDS:
                # Cross-fitted: principal components explain more of their own samples.
                n_directions = self._count_directions(dataset)
                for fold in np.array_split(np.arange(n_samples), N_FOLDS):
                    others = samples.subset(np.setdiff1d(np.arange(n_samples), fold))
                    components = describe(others, n_directions).components
                    directions = principal_directions(encoder.weight.T, components)
                    activation[fold] = x[fold] @ directions.T
            self.module_.set_threshold(activation)

    # Fitted attributes.

    @property
    def components_(self) -> np.ndarray:
        check_is_fitted(self)
        return self.module_.decoder.weight.detach().T.cpu().double().numpy()


def principal_directions(directions: Tensor, components: np.ndarray) -> Tensor:
    """Replace the first directions by principal components and their negatives."""
    principal = torch.as_tensor(
        components.T[np.any(components, axis=0)],
        dtype=directions.dtype,
        device=directions.device,
    )
    both = torch.stack([principal, -principal], dim=1).flatten(0, 1)[: len(directions)]
    return torch.cat([both, directions[len(both) :]])


def _count_active(module: SparseModule, batch: Batch) -> Tensor:
    code = module.to_code(module.standardize(batch.x), batch.condition)
    return (code > 0).sum(dim=0)
