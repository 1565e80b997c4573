"""Principal component analysis, by the smallest matrix.

Large n_samples use the covariance matrix, large n_features the inner products of the
samples, and data with both use only products with vectors. All three work with squared
singular values, which have half the digits of the data: beside one large component, small
ones drown in its rounding error. They are therefore found by deflation: those that are
large enough to be exact first, then those of what these leave, from the data again.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from skae._linalg.eigen import leading

BLOCK = 4096  # features at a time, for large n_features
# Squared singular values below this share of the largest one are found by deflation.
RELIABLE = 1e-8
# Singular values below this share of the largest one are rounding error of the data.
ROUNDING = 100 * np.finfo(np.float64).eps

# Squared singular values and right singular vectors, of the data or what is left of it.
Axes = tuple[np.ndarray, np.ndarray]


def from_covariance(
    products: np.ndarray,
    chunks: Callable[[], Iterable[np.ndarray]],
    n_samples: int,
    n_components: int,
) -> Axes:
    """Compute components and standard deviations from the centred cross-product matrix.

    Parameters
    ----------
    products : ndarray of shape (n_features, n_features)
        ``Xc.T @ Xc`` of the centred data.

    chunks : callable
        Returns an iterator over chunks of the centred data.

    n_samples, n_components : int
        Number of samples, and of components to compute.

    Returns
    -------
    components : ndarray of shape (n_features, n_components)
        Principal directions; zeros beyond the rank.

    deviations : ndarray of shape (n_components,)
        Standard deviation along each direction.
    """

    def find(known: np.ndarray, n_wanted: int) -> Axes:
        if known.size == 0:
            return leading(products, n_wanted)
        left = (chunk - (chunk @ known) @ known.T for chunk in chunks())
        return leading(sum(chunk.T @ chunk for chunk in left), n_wanted)

    return _deflate(find, (n_samples, len(products)), n_components)


def from_inner_products(
    centred: Callable[[slice], np.ndarray],
    shape: tuple[int, int],
    n_components: int,
) -> Axes:
    """Compute the same from the samples' inner products, in blocks of features.

    Parameters
    ----------
    centred : callable
        Returns the centred data of a slice of features.

    shape : (int, int)
        Number of samples and of features.

    n_components : int
        Number of components to compute.
    """
    starts = range(0, shape[1], BLOCK)
    blocks = [slice(start, start + BLOCK) for start in starts]

    def find(known: np.ndarray, n_wanted: int) -> Axes:
        codes = sum(centred(block) @ known[block] for block in blocks)

        def left(block: slice) -> np.ndarray:
            values = centred(block)
            return values - codes @ known[block].T if known.size else values

        products = sum(part @ part.T for part in map(left, blocks))
        values, vectors = leading(products, min(n_wanted, shape[0]))
        return values, np.concatenate([left(block).T @ vectors for block in blocks])

    return _deflate(find, shape, n_components)


def by_iteration(
    chunks: Callable[[], Iterator],
    shape: tuple[int, int],
    mean: np.ndarray,
    scale: np.ndarray,
    n_components: int,
) -> Axes:
    """Compute the same from products with vectors (ARPACK), to machine precision.

    No square matrix of samples or features is computed; sparse data stay sparse.

    Parameters
    ----------
    chunks : callable
        Returns an iterator over chunks of the data, arrays or sparse matrices.

    shape : (int, int)
        Number of samples and of features.

    mean, scale : ndarray of shape (n_features,)
        Mean to subtract, and factor to multiply the result by.

    n_components : int
        Number of components, less than the numbers of samples and of features.
    """

    def find(known: np.ndarray, n_wanted: int) -> Axes:
        def times(vector: np.ndarray) -> np.ndarray:
            vector = vector.ravel()
            vector = scale * (vector - known @ (known.T @ vector))
            parts = [chunk @ vector for chunk in chunks()]
            return np.concatenate(parts) - mean @ vector

        def transposed_times(vector: np.ndarray) -> np.ndarray:
            vector = vector.ravel()
            total, start = -mean * vector.sum(), 0
            for chunk in chunks():
                total = total + chunk.T @ vector[start : start + chunk.shape[0]]
                start += chunk.shape[0]
            total = scale * total
            return total - known @ (known.T @ total)

        first = np.random.RandomState(0).normal(size=min(shape))
        probe = times if shape[1] <= shape[0] else transposed_times
        # ARPACK's thresholds are absolute, and it refuses data without any variance.
        size = np.linalg.norm(probe(first))
        if size == 0:
            return np.zeros(1), np.zeros((shape[1], 1))
        left = LinearOperator(
            shape,
            matvec=lambda vector: times(vector) / size,
            rmatvec=lambda vector: transposed_times(vector) / size,
            dtype=np.float64,
        )
        _, values, directions = svds(left, n_wanted, v0=first)
        return (values[::-1] * size) ** 2, directions[::-1].T

    return _deflate(find, shape, n_components)


def _deflate(
    find: Callable[[np.ndarray, int], Axes], shape: tuple[int, int], n_components: int
) -> Axes:
    """Directions and standard deviations, padded with zeros to ``n_components``.

    ``find(known, n_wanted)`` returns squared singular values and directions, of any
    length, of the centred data less their projection on the directions known.
    """
    n_samples, n_features = shape
    components = np.zeros((n_features, n_components))
    values = np.zeros(n_components)
    n_found, n_wanted = 0, min(n_components, n_features)
    while n_found < n_wanted:
        known = components[:, :n_found]
        found, axes = find(known, n_wanted - n_found)
        largest = values[0] if n_found else found[0]
        if found[0] <= ROUNDING**2 * largest:
            break
        n_reliable = np.count_nonzero(found > RELIABLE * found[0])
        axes = axes[:, :n_reliable]
        axes = axes - known @ (known.T @ axes)
        end = n_found + n_reliable
        components[:, n_found:end] = axes / np.linalg.norm(axes, axis=0)
        values[n_found:end] = found[:n_reliable]
        n_found = end
    return components, np.sqrt(values / n_samples)
