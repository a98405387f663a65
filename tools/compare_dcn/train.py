"""Training a conv net to tell the target from others: the head first, then the whole net.

As in Springer et al. 2018: ImageNet weights, two outputs, classes balanced by resampling, light
augmentation, a learning rate of 1e-5 for the whole net.
"""

from __future__ import annotations

import json
import resource
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import neurosim
from attack.classifier import balanced, right
from attack.images import ImageSet
from compare_dcn.backend import keras, tf
from compare_dcn.convnet import ConvNet
from compare_dcn.nets import NETS, Weights, build, set_head
from compare_dcn.record import (
    FEATURES,
    LATEST,
    NET,
    STATE,
    WEIGHTS,
    read_json,
    save_weights,
    write_json,
)

#: Strengths of the head's ridge, of which cross-validation takes one.
COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """How nets are trained.

    Attributes
    ----------
    epochs : int
        Of the whole net, after the head; 0 trains the head only.
    per_epoch : int, optional
        Images of an epoch, half of them the target's; twice the target's images by default.
    batch : int
    rate : float
        Learning rate of the whole net (Adam).
    patience : int
        Epochs without gain after which training ends.
    size : int, optional
        Pixels on a side to which images are enlarged; the net's own by default.
    seed : int
    """

    epochs: int = 5
    per_epoch: int | None = None
    batch: int = 16
    rate: float = 1e-5
    patience: int = 2
    size: int | None = None
    seed: int = 0


def train_net(
    name: str, weights: Weights, train: ImageSet, validation: ImageSet, settings: Settings,
    folder: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Train a net, or go on with it, and leave its best weights and its record in a folder.

    The epoch that is kept is the one with the best balanced accuracy on the validation images
    (the head alone counts as epoch 0), which the record says.

    Parameters
    ----------
    name : str
        Of :data:`compare_dcn.nets.NETS`.
    weights : Weights
        Of the base.
    train, validation : ImageSet
    settings : Settings
    folder : Path
        Of this net.
    progress : callable

    Returns
    -------
    dict
        The record, as ``net.json`` holds it.
    """
    net, began = NETS[name], time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(name, weights, train, validation, settings)
    state = _state(folder, key)
    if state.get("done"):
        return read_json(folder / NET)
    height, width = train.pixels.shape[1:3]
    model = build(net, weights, (height, width), settings.size, settings.seed)
    classifier = ConvNet(model, name, settings.batch)
    if "epoch" not in state:
        cost = _train_head(classifier, train, folder, key, settings, progress)
        state = {"key": key, "cost": cost, "history": [], "best": -1.0, "seconds_per_image": None}
        _judge(classifier, validation, folder, state, 0, None, progress)
    else:
        model.load_weights(str(folder / LATEST))
    trainer = Trainer(model, train, settings)
    while not _over(state, settings):
        epoch = state["epoch"] + 1
        loss, seconds = trainer.epoch(epoch, progress)
        state["seconds_per_image"] = seconds
        _judge(classifier, validation, folder, state, epoch, loss, progress)
    model.load_weights(str(folder / WEIGHTS))
    record = _record(name, weights, train, validation, settings, state)
    scores = classifier.scores(validation.pixels)
    record |= {
        "accuracy": float(right(scores, validation.target).mean()),
        "balanced_accuracy": balanced(scores, validation.target),
        "roc_area": float(roc_auc_score(validation.target, scores)),
        "seconds": time.perf_counter() - began,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    write_json(folder / NET, record)
    write_json(folder / STATE, state | {"done": True})
    return record


def _key(
    name: str, weights: Weights, train: ImageSet, validation: ImageSet, settings: Settings
) -> str:
    """Identity of a training: the same command goes on with it, another one does not."""
    parts = [name, weights.what, str(weights.path), asdict(settings)]
    digest = sha256(json.dumps(parts, sort_keys=True).encode())
    for images in (train, validation):
        digest.update("\0".join(images.names).encode())
        digest.update(images.pixels.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _state(folder: Path, key: str) -> dict[str, Any]:
    """Where the training in a folder stands; empty where it has not begun."""
    path = folder / STATE
    if not path.is_file():
        return {}
    state = read_json(path)
    if state.get("key") != key:
        raise neurosim.RequestError(
            f"{folder}: holds a net trained from other images or settings; remove it, or choose "
            "another folder with -o"
        )
    return state


def _over(state: dict[str, Any], settings: Settings) -> bool:
    since = state["epoch"] - state["best_epoch"]
    return state["epoch"] >= settings.epochs or since >= settings.patience


def _train_head(
    classifier: ConvNet, train: ImageSet, folder: Path, key: str, settings: Settings,
    progress: Progress,
) -> float:  # fmt: skip
    """Fit the head to the frozen base's features of all images; returns its C."""
    path = folder / FEATURES
    hidden = None
    if path.is_file():
        with np.load(path) as kept:
            hidden = kept["hidden"] if str(kept["key"]) == key else None
    if hidden is None:
        parts = []
        for rows in _blocks(len(train), settings.batch):
            parts.append(classifier.representation(train.pixels[rows]))
            progress("features", min(rows.stop, len(train)), len(train))
        hidden = np.concatenate(parts)
        np.savez(path, hidden=hidden, key=np.array(key))
    center, scale = hidden.mean(axis=0), hidden.std(axis=0) + 1e-6
    values = ((hidden - center) / scale).astype(np.float64)
    cost = _best_cost(values, train.target, settings.seed)
    fitted = _logistic(cost).fit(values, train.target)
    weights = fitted.coef_[0] / scale
    set_head(classifier.model, weights, float(fitted.intercept_[0] - weights @ center))
    return cost


def _logistic(cost: float) -> LogisticRegression:
    return LogisticRegression(C=cost, class_weight="balanced", max_iter=500)


def _best_cost(values: np.ndarray, target: np.ndarray, seed: int) -> float:
    """The C with the largest ROC area of cross-validated decisions."""
    folds = min(FOLDS, int(target.sum()), int((~target).sum()))
    if folds < 2:
        raise neurosim.RequestError(
            f"{target.sum()} training images of the target and {(~target).sum()} others; a net "
            "needs at least 2 of each"
        )
    splits = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(values, target))
    areas = []
    for cost in COSTS:
        decision = np.empty(len(target))
        for inside, outside in splits:
            fitted = _logistic(cost).fit(values[inside], target[inside])
            decision[outside] = fitted.decision_function(values[outside])
        areas.append(roc_auc_score(target, decision))
    return COSTS[int(np.argmax(areas))]


class Trainer:
    """Steps of the whole net on augmented, balanced images.

    Parameters
    ----------
    model : keras.Model
    train : ImageSet
    settings : Settings
    """

    def __init__(self, model: keras.Model, train: ImageSet, settings: Settings) -> None:
        self.model, self.train, self.settings = model, train, settings
        self.optimizer = keras.optimizers.Adam(settings.rate)
        self.optimizer.build(model.trainable_variables)
        size = (settings.batch, *train.pixels.shape[1:])
        self._step = tf.function(
            self._descend,
            [tf.TensorSpec(size, tf.float32), tf.TensorSpec(size[:1], tf.int64)],
        )

    def epoch(self, number: int, progress: Progress) -> tuple[float, float]:
        """One epoch; its mean loss, and seconds per image. It depends on its number only."""
        settings, target = self.settings, self.train.target
        count = settings.per_epoch or 2 * int(target.sum())
        rng = np.random.default_rng([settings.seed, number])
        half = -(-count // 2)
        rows = np.stack(
            [_drawn(rng, np.flatnonzero(kind), half) for kind in (target, ~target)], axis=1
        ).ravel()
        change = augmentation(int(rng.integers(2**31)))
        losses, began = [], 0.0
        blocks = list(_blocks(len(rows), settings.batch))
        for block in blocks:
            # The last batch is filled up with images of the first.
            chosen = np.resize(rows[block], settings.batch)
            images = np.asarray(change(self.train.pixels[chosen], training=True))
            losses.append(float(self._step(images, target[chosen].astype(np.int64))))
            # The first step traces the net.
            began = began or time.perf_counter()
            progress("images", min(block.stop, len(rows)), len(rows))
        timed = (len(blocks) - 1) * settings.batch
        return float(np.mean(losses)), (time.perf_counter() - began) / max(timed, 1)

    def _descend(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            answers = self.model(images, training=True)
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(labels, answers, from_logits=True)
            )
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss


def augmentation(seed: int) -> keras.Sequential:
    """The paper's light augmentation: rotation 10°, shift 0.25, shear 5°, zoom 0.1, mirroring."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal", seed=seed),
            layers.RandomRotation(10 / 360, fill_mode="nearest", seed=seed + 1),
            layers.RandomShear(np.tan(np.radians(5)), fill_mode="nearest", seed=seed + 2),
            layers.RandomTranslation(0.25, 0.25, fill_mode="nearest", seed=seed + 3),
            layers.RandomZoom(0.1, fill_mode="nearest", seed=seed + 4),
        ]
    )


def _drawn(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """Rows in random order, each once before one comes again."""
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]


def _blocks(count: int, size: int) -> Iterator[slice]:
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def _judge(
    classifier: ConvNet, validation: ImageSet, folder: Path, state: dict[str, Any], epoch: int,
    loss: float | None, progress: Progress,
) -> None:  # fmt: skip
    """Score the validation images and write what training needs to go on from here."""
    progress("validation", 0, len(validation))
    scores = classifier.scores(validation.pixels)
    share = balanced(scores, validation.target)
    area = float(roc_auc_score(validation.target, scores))
    state["history"].append(
        {"epoch": epoch, "loss": loss, "balanced_accuracy": share, "roc_area": area}
    )
    if share > state["best"]:
        state |= {"best": share, "best_epoch": epoch}
        save_weights(classifier.model, folder / WEIGHTS)
    state["epoch"] = epoch
    save_weights(classifier.model, folder / LATEST)
    write_json(folder / STATE, state)


def _record(
    name: str, weights: Weights, train: ImageSet, validation: ImageSet, settings: Settings,
    state: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    net = NETS[name]
    height, width = train.pixels.shape[1:3]
    return {
        "net": name, "title": net.title, "note": net.note, "weights": weights.what,
        "layer": weights.layer, "height": height, "width": width,
        "size": settings.size or net.size,
        "settings": asdict(settings),
        "train": {"target": int(train.target.sum()), "others": int((~train.target).sum())},
        "validation": {
            "target": int(validation.target.sum()), "others": int((~validation.target).sum())
        },
        "head_cost": state["cost"], "history": state["history"], "epoch": state["best_epoch"],
        "chosen_by": "balanced accuracy on the validation images",
        "seconds_per_image": state["seconds_per_image"],
        "command": shlex.join(["python", "tools/compare_dcn", *sys.argv[1:]]),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }  # fmt: skip
