"""Nothing global changes; devices are found."""

import threading

import pytest
import torch

from skae._utils.device import resolve_device
from skae._utils.random import seeded_default_generator
from skae._utils.threads import count_weights, suitable_threads
from skae.networks import mlp


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


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


def test_small_work_takes_one_thread_and_gives_it_back(two_threads):
    with suitable_threads(1000, n_samples=32):
        assert torch.get_num_threads() == 1
        with suitable_threads(1000, n_samples=32):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_large_work_keeps_the_callers_threads(two_threads):
    with suitable_threads(count_weights(mlp(784, 10)), n_samples=512):
        assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error(two_threads):
    with pytest.raises(KeyError), suitable_threads(1000, n_samples=1):
        raise KeyError
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


def test_borrowed_generator_is_seeded_and_given_back():
    before = torch.random.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded_default_generator(7, torch.device("cpu")):
            drawn.append(torch.rand(3))

    assert torch.equal(*drawn)
    assert torch.equal(torch.random.get_rng_state(), before)
