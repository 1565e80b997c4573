"""Data sets and plotting functions that the examples share.

Data sets that scikit-learn does not ship are read from the folder that the environment
variable ``SKAE_DATA`` names (``../shared/data`` beside the repository if it is not set).
If a file is missing there, the samples are simulated, and ``name`` contains "simulated".
Nothing is downloaded.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

try:
    REPOSITORY = Path(__file__).resolve().parents[2]
except NameError:  # if sphinx-gallery executes the file
    REPOSITORY = Path.cwd().parents[1]
FOLDER = Path(os.environ.get("SKAE_DATA", REPOSITORY / ".." / "shared" / "data"))

# Okabe and Ito's colours, which are distinct with colour blindness.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#888888"
COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK, YELLOW, GREY, "#7B3F00")
MARKERS = "os^vD<>PX*"


class Table(NamedTuple):
    name: str  # for titles; contains "simulated" for simulated samples
    X: pd.DataFrame | np.ndarray
    y: np.ndarray


def _path(file: str) -> Path | None:
    path = FOLDER / file
    return path if path.exists() else None


def tile(
    images: np.ndarray, shape: tuple[int, int], n_columns: int, gap: float = 0.0
) -> np.ndarray:
    """Tile flat images in lines of ``n_columns``, with gaps of one pixel."""
    height, width = shape
    images = images.reshape(-1, height, width)
    framed = np.pad(images, ((0, 0), (0, 1), (0, 1)), constant_values=gap)
    lines = framed.reshape(-1, n_columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return lines.reshape(-1, n_columns * (width + 1))


def show(axes, images, shape, n_columns, title, cmap="gray_r", limits=(0, 16)) -> None:
    """Draw flat images without ticks; the default limits fit scikit-learn's digits."""
    low, high = limits
    tiled = tile(np.asarray(images), shape, n_columns, gap=low)
    axes.imshow(tiled, cmap=cmap, vmin=low, vmax=high)
    axes.set_title(title, fontsize="medium")
    axes.axis("off")


def intrusions(n_normal: int, n_test: int) -> tuple[Table, Table]:
    """Normal network connections, and later connections that include attacks."""
    train, test = _path("nsl_kdd_train20.csv.gz"), _path("nsl_kdd_test.csv.gz")
    if train is None or test is None:
        return _simulated_intrusions(n_normal, n_test)
    train, test = pd.read_csv(train), pd.read_csv(test)
    train = train[train["label"] == "normal"].sample(n_normal, random_state=0)
    test = test.sample(n_test, random_state=0)
    tables = []
    for part, frame in {"training": train, "KDDTest+": test}.items():
        X = frame.drop(columns=["label", "difficulty"]).reset_index(drop=True)
        tables.append(Table(f"NSL-KDD, {part}", X, frame["label"].to_numpy()))
    return tables[0], tables[1]


def _simulated_intrusions(n_normal: int, n_test: int) -> tuple[Table, Table]:
    rng = np.random.RandomState(0)

    def connections(n: int) -> pd.DataFrame:
        sent = rng.lognormal(5, 1, n)
        return pd.DataFrame(
            {
                "protocol_type": rng.choice(["tcp", "udp"], n, p=[0.8, 0.2]),
                "service": rng.choice(["http", "smtp", "dns"], n, p=[0.6, 0.2, 0.2]),
                "duration": rng.exponential(2, n),
                "src_bytes": sent,
                "dst_bytes": 4 * sent * rng.lognormal(0, 0.3, n),
                "count": 1.0 + rng.poisson(5, n),
                "serror_rate": rng.beta(1, 30, n),
            }
        )

    name = "simulated connections (NSL-KDD is not available)"
    test = connections(n_test)
    y = rng.choice(["normal", "flood", "theft"], n_test, p=[0.6, 0.3, 0.1])
    flood, theft = y == "flood", y == "theft"
    test.loc[flood, "count"] = 1.0 + rng.poisson(60, flood.sum())
    test.loc[flood, "serror_rate"] = rng.beta(30, 2, flood.sum())
    test.loc[theft, "dst_bytes"] *= 100
    train = Table(name, connections(n_normal), np.full(n_normal, "normal"))
    return train, Table(name, test, y)


def sensors(run: str = "valve1/13") -> Table:
    """A recording of a water pump, one sample per second; y is 1 during a fault."""
    path = _path("skab.npz")
    if path is not None:
        file = np.load(path)
        in_run = file["run"] == list(file["run_names"]).index(run)
        names = [str(name) for name in file["feature_names"]]
        X = pd.DataFrame(file["X"][in_run].astype(float), columns=names)
        return Table(f"SKAB, recording {run}", X, file["y"][in_run])
    rng = np.random.RandomState(0)
    seconds = np.arange(1_100)
    load = np.sin(seconds / 40) + 0.1 * rng.normal(size=len(seconds))
    X = pd.DataFrame(
        {
            "Current": 2 + 0.3 * load,
            "Pressure": 1 + 0.2 * load,
            "Temperature": 70 + 0.1 * rng.normal(size=len(seconds)),
            "Voltage": 230 - 2 * load,
            "Volume Flow": 32 + 1.5 * load,
        }
    )
    X += 0.05 * X.std().to_numpy() * rng.normal(size=X.shape)
    y = ((seconds >= 600) & (seconds < 900)).astype(int)
    X.loc[y == 1, "Volume Flow"] -= 2.0
    X.loc[y == 1, "Current"] += 0.3
    return Table("simulated pump (SKAB is not available)", X, y)


def faces() -> tuple[Table, tuple[int, int]]:
    """Video frames of one face, grey values in [0, 1], and their shape."""
    path = _path("frey_faces.npz")
    if path is not None:
        X = np.load(path)["X"]
        shape = X.shape[1:]
        X = X.reshape(len(X), -1) / 255.0
        return Table("Frey faces", X, np.arange(len(X))), shape
    shape, n_frames = (28, 20), 1_000
    v, u = np.mgrid[-1:1:28j, -1:1:20j]
    time = np.arange(n_frames)[:, None, None]
    turn, smile = 0.25 * np.sin(time / 17), np.sin(time / 29)
    head = 1 / (1 + np.exp(12 * ((u - turn / 2) ** 2 / 0.7 + v**2 - 0.8)))
    eyes = sum(
        np.exp(-60 * ((u - turn - side) ** 2 + (v + 0.25) ** 2)) for side in (-0.3, 0.3)
    )
    bend = v - 0.4 - 0.5 * smile * ((u - turn) ** 2 - 0.1)
    mouth = np.exp(-150 * bend**2 - 12 * (u - turn) ** 2)
    X = 0.8 * head - 0.6 * eyes - 0.4 * mouth + 0.1
    X = X + 0.02 * np.random.RandomState(0).normal(size=X.shape)
    X = X.clip(0, 1).reshape(n_frames, -1)
    return Table("simulated face (Frey faces are not available)", X, time.ravel()), shape


def cells() -> tuple[Table, np.ndarray]:
    """Logarithms of gene counts of blood cells, cell types, and their names."""
    path = _path("pbmc68k_reduced.npz")
    if path is not None:
        file = np.load(path)
        table = Table("PBMC, 700 cells x 765 genes", file["X"], file["y"])
        return table, file["target_names"].astype(str)
    rng = np.random.RandomState(0)
    y = rng.randint(8, size=700)
    programs = rng.gamma(0.5, 2.0, size=(8, 300))
    size = rng.lognormal(0, 0.4, size=(700, 1))
    stage = rng.beta(2, 2, size=(700, 1))
    mean = size * (programs[y] * stage + programs[(y + 1) % 8] * (1 - stage) / 3)
    X = np.log1p(rng.poisson(mean)).astype(float)
    name = "simulated counts of 300 genes (PBMC is not available)"
    return Table(name, X, y), np.array([f"type {kind}" for kind in range(8)])
