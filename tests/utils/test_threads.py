"""One thread, and the caller's settings afterwards, whatever happens; devices."""

import inspect
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import skae
from skae._utils import threads
from skae._utils.device import resolve_device
from skae._utils.threads import (
    OneThread,
    available_threads,
    count_weights,
    libraries_on_one_thread,
    one_thread,
    suitable_threads,
)
from skae.networks import mlp

LARGE = dict(n_weights=100_000_000, n_samples=512)
ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if name[0].isupper()]
QUICK = dict(max_iter=2, random_state=0)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@one_thread
def number_within():
    return torch.get_num_threads()


@pytest.mark.parametrize(
    "cuda, mps, expected",
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_best_device(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    assert resolve_device("auto").type == expected


def test_devices_are_named_in_errors(monkeypatch):
    with pytest.raises(ValueError, match="device='abacus' is not a device"):
        resolve_device("abacus")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        resolve_device("cuda")
    assert resolve_device(torch.device("meta")).type == "meta"


# The number of torch's threads.


def test_small_work_takes_one_thread_and_gives_it_back(two_threads):
    with suitable_threads(1000, n_samples=32):
        assert torch.get_num_threads() == 1
        with suitable_threads(1000, n_samples=32):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_images_and_wide_layers_are_small_work(two_threads):
    """Two threads would gain 1.1 to 1.9 on idle cores and lose 8 to 40 on busy ones."""
    for network, n_samples in [
        (mlp(784, 10), 8192),
        (mlp(784, 10, hidden_layer_sizes=(1024, 1024)), 512),
    ]:
        with suitable_threads(count_weights(network), n_samples):
            assert torch.get_num_threads() == 1


def test_large_work_keeps_the_callers_threads(two_threads):
    with suitable_threads(**LARGE):
        assert torch.get_num_threads() == 2


def test_large_work_takes_the_callers_threads_within_an_estimator(two_threads):
    @one_thread
    def fit():
        numbers = [torch.get_num_threads()]
        with suitable_threads(**LARGE):
            numbers += [torch.get_num_threads(), number_within()]
            numbers.append(torch.get_num_threads())
        return [*numbers, torch.get_num_threads(), available_threads()]

    assert fit() == [1, 2, 1, 2, 1, 2]
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error(two_threads):
    with pytest.raises(KeyError), suitable_threads(1000, n_samples=1):
        raise KeyError
    assert torch.get_num_threads() == 2

    @one_thread
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == 2


def test_overlapping_threads_both_get_two_back(two_threads):
    """The other thread meets torch while ours holds it at one thread."""
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with suitable_threads(1000, n_samples=1):
            entered.set()
            leave.wait(timeout=10)
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    with suitable_threads(1000, n_samples=1):
        thread.start()
        entered.wait(timeout=10)
    assert torch.get_num_threads() == 2
    leave.set()
    thread.join()
    assert seen == [1, 2]
    assert torch.get_num_threads() == 2


def test_a_thread_that_chose_one_keeps_it(two_threads):
    """Although others are inside, and had two outside."""
    seen = []

    def other():
        number_within()
        torch.set_num_threads(1)
        number_within()
        seen.append(torch.get_num_threads())

    with suitable_threads(1000, n_samples=1):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [1]


def interrupted(function, n_times, longest=2e-4):
    """Call a function and raise KeyboardInterrupt in it, at a random place each time."""

    def interrupt(*_):
        raise KeyboardInterrupt

    delays = np.random.RandomState(0).uniform(1e-6, longest, n_times)
    earlier = signal.signal(signal.SIGALRM, interrupt)
    n_interrupted = 0
    try:
        for delay in delays:
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                while True:
                    function()
            except KeyboardInterrupt:
                n_interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    return n_interrupted


def test_ctrl_c_at_any_place_loses_no_number(two_threads):
    def within():
        number_within()
        assert torch.get_num_threads() == 2

    assert interrupted(within, 3000) == 3000
    assert torch.get_num_threads() == 2
    assert not threads._TorchThreads.outside


def test_ctrl_c_in_place_of_leaving_loses_no_number(two_threads, monkeypatch):
    """As if it came at the first line of the first attempt."""
    set_number, interrupts = torch.set_num_threads, [KeyboardInterrupt]

    def set_or_interrupt(number):
        if number == 2 and interrupts:
            raise interrupts.pop()
        set_number(number)

    monkeypatch.setattr(torch, "set_num_threads", set_or_interrupt)
    with pytest.raises(KeyboardInterrupt):
        number_within()
    assert torch.get_num_threads() == 2
    assert not threads._TorchThreads.outside


# The number of OpenBLAS's threads.


@pytest.fixture
def two_blas_threads():
    libraries = threads._libraries("openblas")
    before = [library.num_threads for library in libraries]
    for library in libraries:
        threads._set_number(library, 2)
    if blas_numbers() != {2}:
        pytest.skip("numpy has no OpenBLAS with threads of its own")
    yield
    for library, number in zip(libraries, before, strict=True):
        threads._set_number(library, number)


@libraries_on_one_thread
def blas_numbers_within():
    return blas_numbers()


def blas_numbers():
    return {library.num_threads for library in threads._libraries("openblas")}


def test_blas_has_one_thread_and_then_two(two_blas_threads):
    assert blas_numbers_within() == {1}
    assert blas_numbers() == {2}


def test_blas_of_overlapping_threads_gets_two_back(two_blas_threads):
    """The first to enter leaves first."""
    entered, leave = threading.Event(), threading.Event()

    @libraries_on_one_thread
    def other():
        entered.set()
        leave.wait(timeout=10)
        return blas_numbers()

    @libraries_on_one_thread
    def start():
        thread.start()
        entered.wait(timeout=10)

    seen = []
    thread = threading.Thread(target=lambda: seen.append(other()))
    start()
    assert blas_numbers() == {1}
    leave.set()
    thread.join()
    assert seen == [{1}]
    assert blas_numbers() == {2}


def test_openmp_has_one_thread_and_then_as_many_as_before():
    libraries = threads._libraries("openmp")
    if not libraries:
        pytest.skip("scikit-learn has no OpenMP")
    before = [library.num_threads for library in libraries]

    @libraries_on_one_thread
    def numbers_within():
        return {library.num_threads for library in libraries}

    try:
        for library in libraries:
            library.set_num_threads(2)
        assert numbers_within() == {1}
        assert {library.num_threads for library in libraries} == {2}
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_num_threads(number)


def test_ctrl_c_at_any_place_loses_no_number_of_blas(two_blas_threads):
    assert interrupted(blas_numbers_within, 1000) == 1000
    assert blas_numbers() == {2}


# Estimators.


class Numbers(TorchFunctionMode):
    """The numbers of threads on which torch is called."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.seen.add(torch.get_num_threads())
        return function(*args, **(kwargs or {}))


def calls(estimator, X, y):
    """Public methods of a fitted estimator, with arguments."""
    codes = estimator.transform(X) if hasattr(estimator, "transform") else None
    arguments = {
        "inverse_transform": (codes,),
        "interpolate": (X[:3], X[3:6]),
        "traverse": (0, [0.0, 1.0], X[:2]),
        "direction": (X[:3], X[3:6]),
        "translate": (X, y, y),
        "sample": (3,),
        "score_codes": (getattr(estimator, "code_indices", lambda X: None)(X),),
        "fit": (X, y),
        "partial_fit": (X, y),
        "fit_transform": (X, y),
        "explain": (X[:2],),
    }
    for name in sorted(public_members(type(estimator))):
        if hasattr(estimator, name) and callable(getattr(estimator, name)):
            yield getattr(estimator, name), arguments.get(name, (X,))


def public_members(kind):
    """Those of skae, by name, not those of scikit-learn."""
    bases = [base for base in kind.__mro__ if issubclass(base, OneThread)]
    members = {k: v for base in reversed(bases) for k, v in vars(base).items()}
    # The requests are made by scikit-learn, for metadata routing.
    hidden = [n for n in members if n.startswith("_") or n.endswith("_request")]
    return {name: each for name, each in members.items() if name not in hidden}


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_every_method_runs_on_one_thread(kind, X, two_threads, two_blas_threads):
    y = (X[:, 0] > 0).astype(int)
    options = QUICK | ({} if kind is skae.AEOutlierDetector else {"n_components": 2})
    estimator = kind(**options)
    with Numbers() as numbers, np.errstate(all="ignore"):
        estimator.fit(X, y)
        for method, arguments in calls(estimator, X, y):
            method(*arguments)
        for name in public_members(kind):
            getattr(estimator, name, None)  # properties

    assert numbers.seen == {1}
    assert torch.get_num_threads() == 2
    assert blas_numbers() == {2}


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_no_public_method_is_without_a_guard(kind):
    """New methods and properties get one by the base class."""
    assert issubclass(kind, OneThread)
    for name, member in public_members(kind).items():
        member = getattr(member, "fget", getattr(member, "fn", member))
        if inspect.isfunction(member):
            assert member.__code__ is number_within.__code__, name


# In processes of their own, with the numbers of threads that a machine has by default.

PREPARE = """
import os, sys, time, threading
# Before torch, so that scikit-learn has an OpenMP of its own.
import numpy as np, sklearn.cluster
from sklearn.datasets import load_digits
import torch, skae
X, y = load_digits(return_X_y=True)
X = X[:600]
torch.set_num_threads(2)
def compute():
    (torch.randn(600, 600) @ torch.randn(600, 600)).exp().sum()
    np.linalg.eigh(X.T @ X)
    sklearn.cluster.KMeans(8, n_init=1).fit(X)
options = dict(n_components=2, max_iter=2, random_state=0)
"""


def run(code, seconds=60):
    """Run code, with two threads if there are two cores; return what it prints."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in variables}
    paths = [str(Path(skae.__file__).parents[1]), environment.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "2"}
    process = subprocess.run(
        [sys.executable, "-c", PREPARE + code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux only")
def test_no_other_thread_computes_or_spins():
    """CPU time of the threads of OpenMP and OpenBLAS during fits and inference."""
    printed = run("""
from skae.displays._projection import neighbor_score, project
def others():
    tasks = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    times = [open(f"/proc/self/task/{task}/schedstat").read() for task in tasks]
    return sum(int(each.split()[0]) for each in times) / 1e6
compute(); before = others(); compute(); time.sleep(0.5)
print(others() > before)
from sklearn.mixture import GaussianMixture
options["n_components"] = 8
prior = GaussianMixture(2)
vae = skae.VAETransformer(**options, prior=prior, n_importance_samples=2)
detector = skae.AEOutlierDetector(max_iter=1, n_estimators=2)
for function in [
    lambda: skae.AutoencoderTransformer(**options).fit(X),
    lambda: skae.AutoencoderTransformer(**options).partial_fit(X),
    lambda: skae.VQVAE(**options).fit(X),
    lambda: vae.fit(X), lambda: vae.diagnose(X),
    lambda: vae.score_samples(np.tile(X, (20, 1))),
    lambda: detector.fit(X), lambda: detector.score_samples(X[:512]),
    lambda: project(np.tile(X, (20, 1)), "pca"),
    lambda: neighbor_score(X, y[:600]),
]:
    before = others()
    function()
    print(f"{others() - before:.1f}")
""")
    has_two, *milliseconds = printed.split()
    if has_two == "False":
        pytest.skip("one core")
    assert len(milliseconds) == 10
    assert max(map(float, milliseconds)) < 2, milliseconds


FORK = """
def in_child(function, seconds=30):
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"
"""
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@needs_fork
def test_a_forked_child_infers_and_fits():
    """Whatever would take two threads in the parent, too."""
    printed = run(
        FORK
        + """
from skae._utils import threads
detector = skae.AEOutlierDetector(max_iter=1).fit(X)
skae.VQVAE(**options).fit(X)
ae = skae.AutoencoderTransformer(**options).fit(X)
compute()
expected = ae.transform(X)
threads.ONE_THREAD_BELOW = 0
ae.transform(X)
def work():
    assert (ae.transform(X) == expected).all()
    detector.score_samples(np.tile(X, (10, 1)))
    for estimator in (skae.VAETransformer(**options), skae.VQVAE(**options)):
        estimator.fit(X).score_samples(X)
print(in_child(work), torch.get_num_threads())
"""
    )
    assert printed.split() == ["0", "2"]


@needs_fork
def test_a_pool_of_forked_workers_maps_transform():
    printed = run("""
import multiprocessing
ae = skae.AutoencoderTransformer(**options).fit(X)
compute()
with multiprocessing.get_context("fork").Pool(2) as pool:
    parts = pool.map_async(ae.transform, [X[:300], X[300:]]).get(timeout=30)
print(np.array_equal(np.concatenate(parts), ae.transform(X)))
""")
    assert printed.strip() == "True"


@needs_fork
def test_a_fork_while_another_thread_fits_does_not_hang():
    """At random times, and while a builder of the other thread takes long."""
    printed = run(
        FORK
        + """
from torch import nn
building, forked = threading.Event(), threading.Event()
def with_dropout(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.5), nn.Linear(8, n_out))
def slow(n_in, n_out):
    building.set()
    forked.wait(20)
    return nn.Linear(n_in, n_out)
ae = skae.AutoencoderTransformer(**options).fit(X)
def work():
    ae.transform(X)
    skae.AutoencoderTransformer(**options, encoder=with_dropout).fit(X)
    torch.rand(3)
def fit_on():
    while not building.is_set():
        skae.AutoencoderTransformer(2, max_iter=50, encoder=with_dropout).fit(X)
def fit_slowly():
    skae.AutoencoderTransformer(**options, encoder=slow).fit(X)
thread = threading.Thread(target=fit_on)
thread.start()
codes = []
for _ in range(4):
    time.sleep(0.05)
    codes.append(in_child(work))
slowly = threading.Thread(target=fit_slowly)
slowly.start()
building.wait(20)
start = time.monotonic()
codes.append(in_child(work))
assert time.monotonic() - start < 15  # the fork has not waited for the builder
forked.set()
thread.join()
slowly.join()
print(*codes, torch.get_num_threads())
"""
    )
    assert printed.split() == ["0"] * 5 + ["2"]


@needs_fork
def test_a_fork_within_a_guard_keeps_it_consistent():
    printed = run(
        FORK
        + """
from skae._utils import threads
@threads.one_thread
@threads.libraries_on_one_thread
def inside(function):
    return function()
def child():
    assert torch.get_num_threads() == 1
    assert len(threads._TorchThreads.outside) == len(threads._LibraryThreads.inside) == 1
    inside(lambda: None)
def other():
    inside(lambda: (entered.set(), leave.wait(20)))
entered, leave = threading.Event(), threading.Event()
thread = threading.Thread(target=other)
thread.start()
entered.wait(20)
print(inside(lambda: in_child(child)))
leave.set()
thread.join()
blas = {each.num_threads for each in threads._libraries("openblas")}
print(torch.get_num_threads(), blas)
def hold():
    with threads._LibraryThreads.lock:
        held.set()
        released.wait(20)
held, released = threading.Event(), threading.Event()
thread = threading.Thread(target=hold)
thread.start()
held.wait(20)
print(in_child(lambda: inside(lambda: None)))
released.set()
thread.join()
"""
    )
    assert printed.split() == ["0", "2", "{2}", "0"]
