"""What is coded: natural images, mixtures of known atoms, the network of the paper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import neurosim
from bench_core import Engine, Settings

PAPER = Path(__file__).resolve().parent.parent / "params" / "halle_berry_paper.params"
#: Threshold at which 3 to 6 in 100 units of the image problem are active.
IMAGE_THRESHOLD = 0.6


@dataclass(frozen=True)
class Problem:
    """Images ``x`` (image, y, x, channel) and kernels ``w`` (feature, y, x, channel)."""

    x: np.ndarray
    w: np.ndarray
    threshold: float
    source: str
    stride: int = 2

    @property
    def features(self) -> int:
        """Size of the dictionary."""
        return len(self.w)

    def batch(self, images: int) -> np.ndarray:
        """So many images, over and over."""
        return np.ascontiguousarray(np.resize(self.x, (images, *self.x.shape[1:])))


def group(kind: str, name: str, **keys: object) -> str:
    """One group of a params file."""

    def literal(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list):
            return "[" + ", ".join(map(literal, value)) + "]"
        return f'"{value}"' if isinstance(value, str) else str(value)

    lines = "".join(f"    {key} = {literal(value)};\n" for key, value in keys.items())
    return f'{kind} "{name}" = {{\n{lines}}};\n'


def shown(x: np.ndarray, folder: Path, period: int = 0) -> str:
    """Column and input layer "Image" that shows arrays as they are."""
    path = folder / f"images_{x.shape[0]}x{x.shape[1]}x{x.shape[2]}x{x.shape[3]}.h5"
    with h5py.File(path, "w") as file:
        file["images"] = x.astype(np.float32)
    column = group(
        "HyPerCol", "column", nx=x.shape[2], ny=x.shape[1], nbatch=len(x), stopTime=1_000_000,
        randomSeed=1234567890, outputPath=str(folder / "run"),
    )  # fmt: skip
    return column + group(
        "ImageLayer", "Image", nf=x.shape[3], inputPath=f"{path}:/images", displayPeriod=period,
        writeStep=-1,
    )  # fmt: skip


def coding(name: str, codes: str, threshold: float, features: int, **keys: object) -> str:
    """A level that codes another layer, with a fixed dictionary unless told."""
    given = {"codes": codes, "features": features, "VThresh": threshold, "writeStep": -1}
    given |= {"timeConstantTau": 100} if keys.get("layerKind") != "SparseSolverLayer" else {}
    given |= {"learn": False} if "dWMax" not in keys else {}
    return group("SparseCoding", name, **given | keys)


def image_text(problem: Problem, x: np.ndarray, folder: Path, **keys: object) -> str:
    """V1 over images; ``period`` is their displayPeriod, other keys are those of V1."""
    period = int(str(keys.pop("period", 0)))
    keys = {"patchSize": problem.w.shape[1], "stride": problem.stride, "inputScale": 1} | keys
    threshold = float(str(keys.pop("VThresh", problem.threshold)))
    level = coding("V1", "Image", threshold, problem.features, **keys)
    return shown(x, folder, period) + level


def image_engine(
    problem: Problem,
    images: int,
    folder: Path,
    settings: Settings,
    threads: int = 1,
    fuse: bool = True,
    **keys: object,
) -> Engine:
    """V1 over images with the problem's dictionary, started."""
    experiment = neurosim.loads(image_text(problem, problem.batch(images), folder, **keys))
    weights = {"V1ToImageError": problem.w}
    return Engine(experiment, settings, threads, weights, fuse)


def image_problem(settings: Settings, folder: Path) -> Problem:
    """The natural images that were asked for, with a dictionary."""
    if settings.problem is not None:
        x, w = given_problem(settings.problem)
        if settings.quick:
            x, w = x[:4, :16, :16], w[:16]
        return Problem(
            np.ascontiguousarray(x), np.ascontiguousarray(w), IMAGE_THRESHOLD, "x.npy, w8.npy"
        )
    size, features, updates = (16, 16, 2) if settings.quick else (64, 128, 25)
    x = photographs(4 if settings.quick else 16, size)
    w = learned(x, features, updates, folder)
    return Problem(x, w, IMAGE_THRESHOLD, "crops of scikit-learn's two sample photographs")


def given_problem(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and kernels of a folder, channels last.

    Raises
    ------
    neurosim.RequestError
        A file is missing or not what it should be.
    """
    arrays = []
    for name, axes in (("x.npy", "image, channel, y, x"), ("w8.npy", "feature, channel, y, x")):
        path = folder / name
        try:
            array = np.load(path)
        except (OSError, ValueError) as error:
            raise neurosim.RequestError(f"{path}: cannot be read as an array: {error}") from None
        if array.ndim != 4 or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise neurosim.RequestError(
                f"{path}: {array.dtype} of shape {array.shape}; it must hold finite floats ({axes})"
            )
        arrays.append(array.transpose(0, 2, 3, 1))
    x, w = arrays
    if x.shape[3] != w.shape[3]:
        raise neurosim.RequestError(
            f"{folder}: the images have {x.shape[3]} channels and the kernels {w.shape[3]}; "
            "they must have as many"
        )
    return x, w


def photographs(count: int, size: int) -> np.ndarray:
    """Crops of scikit-learn's sample photographs at half size, each to mean 0, deviation 1."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    crops = []
    photos = [np.asarray(photo, np.float64) for photo in load_sample_images().images]
    for index in range(count):
        photo = photos[index % len(photos)]
        ny, nx = photo.shape[0] // 2, photo.shape[1] // 2
        half = photo[: 2 * ny, : 2 * nx].reshape(ny, 2, nx, 2, 3).mean((1, 3))
        top, left = rng.integers(ny - size + 1), rng.integers(nx - size + 1)
        crop = half[top : top + size, left : left + size]
        crops.append((crop - crop.mean()) / crop.std())
    return np.stack(crops).astype(np.float32)


def learned(x: np.ndarray, features: int, updates: int, folder: Path) -> np.ndarray:
    """Kernels 8 x 8: patches of the images, then some learning by neurosim on the CPU."""
    rng = np.random.default_rng(1)
    patches = np.lib.stride_tricks.sliding_window_view(x, (8, 8), (1, 2)).transpose(
        0, 1, 2, 4, 5, 3
    )
    flat = patches.reshape(-1, 8, 8, x.shape[3])
    contrast = flat.std((1, 2, 3))
    chosen = rng.choice(len(flat), features, replace=False, p=contrast / contrast.sum())
    w = unit(flat[chosen] + 0.05 * rng.normal(size=(features, 8, 8, x.shape[3])))
    period, images = (10, 2) if updates < 5 else (50, 8)
    problem = Problem(x, w, IMAGE_THRESHOLD, "")
    text = image_text(
        problem, x, folder, period=period, dWMax=0.1, momentumTimeConstant=5, triggerOffset=1
    )
    experiment = neurosim.loads(text, overrides={"column.nbatch": images})
    engine = Engine(experiment, Settings(), 1, {"V1ToImageError": w})
    engine.run(period * updates)
    return unit(engine.simulator.backend.read("V1ToImageError:W")[0])


def unit(kernels: np.ndarray) -> np.ndarray:
    """Kernels of length 1."""
    norms = np.sqrt((kernels.astype(np.float64) ** 2).sum((1, 2, 3), keepdims=True))
    return (kernels / norms).astype(np.float32)


def mixture_problem(settings: Settings) -> Problem:
    """Noisy mixtures of 10 of 512 Gaussian atoms in 12,288 dimensions."""
    size, features, used, images = (8, 32, 3, 8) if settings.quick else (64, 512, 10, 128)
    rng = np.random.default_rng(2)
    w = unit(rng.normal(size=(features, size, size, 3)))
    a = np.zeros((images, features))
    for row in a:
        row[rng.choice(features, used, replace=False)] = rng.uniform(0.5, 1.5, used)
    x = (a @ w.reshape(features, -1)).reshape(images, size, size, 3)
    x += 0.01 * rng.normal(size=x.shape)
    return Problem(x.astype(np.float32), w, 0.1, "Gaussian atoms", size)


def mixture_engine(
    problem: Problem, folder: Path, settings: Settings, threads: int, fuse: bool = True
) -> Engine:
    """One whole-field code of all mixtures."""
    level = coding(
        "V1", "Image", problem.threshold, problem.features, wholeField=True, inputScale=1
    )
    experiment = neurosim.loads(shown(problem.x, folder) + level)
    return Engine(experiment, settings, threads, {"V1ToImageError": problem.w}, fuse)


def paper_experiment(
    settings: Settings,
    images: int,
    plain: bool = False,
    tau: float = 1000,
    kind: str = "HyPerLCALayer",
) -> neurosim.Experiment:
    """The paper's network over drawn faces.

    Plain: a fixed step, by default of the length the file's adaptive one has on the average, no
    energies, no learning: what the other contestants compute. ``kind`` is that of its codes.
    """
    text = PAPER.read_text(encoding="utf-8")
    if plain:
        text = text.partition("AdaptiveTimeScaleProbe")[0]
        left_out = r"^ *(adaptiveTimeScaleProbe|energy|momentumTimeConstant) =.*\n"
        text = re.sub(left_out, "", text, flags=re.M)
        text = re.sub(r"dWMax = \S+;", "learn = false;", text)
        dynamics = f"timeConstantTau = {tau};"
        if kind != "HyPerLCALayer":
            dynamics = f'layerKind = "{kind}";'
        text = re.sub(r"timeConstantTau = \S+;", dynamics, text)
    changes: dict[str, object] = {"column.nbatch": images, "Face.subtractMean": False}
    if plain:
        changes["Face.displayPeriod"] = 10**6  # one image for as long as it takes
    experiment = neurosim.loads(text, overrides=changes)
    if not settings.quick:
        return experiment
    small: dict[str, object] = {f"{v}.features": 8 for v in ("V1", "VP1", "T1", "P1")}
    return experiment.override(small | {"V1.stride": 8, "VP1.patchSize": 2, "T1.strideX": 8})
