"""Learning-rate schedules, as factors of the peak learning rate."""

import math

WARM_UP = 0.05  # share of the steps
LAST_RATE = 0.01  # at the end of the cosine
ONLINE_RATE = 0.7
ONLINE_WARM_UP, ONLINE_LEVEL = 100, 500  # steps


def cosine(step: int, n_steps: int) -> float:
    """Linear warm-up, then a cosine that ends near 0: for a budget of steps."""
    warm_up = max(1, int(WARM_UP * n_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, n_steps - warm_up)
    wave = (1 + math.cos(math.pi * done)) / 2
    return LAST_RATE + (1 - LAST_RATE) * wave


def inverse_square_root(step: int) -> float:
    """Linear warm-up, a plateau, then a fall as 1 / sqrt(step): for endless training."""
    rise = min(1.0, (step + 1) / ONLINE_WARM_UP)
    fall = min(1.0, math.sqrt(ONLINE_LEVEL / (step + 1)))
    return ONLINE_RATE * rise * fall
