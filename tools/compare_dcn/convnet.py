"""A trained conv net as a classifier that can be attacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neurosim
from compare_dcn.backend import keras, tf
from compare_dcn.nets import HIDDEN, NETS, Weights, build
from compare_dcn.record import NET, WEIGHTS, read_json


class ConvNet:
    """A net that ``compare_dcn train`` left (a ``Differentiable``).

    Parameters
    ----------
    model : keras.Model
        Images in grey levels to two outputs, as :func:`compare_dcn.nets.build` makes it.
    name : str
        For tables.
    batch : int
        Images side by side.
    """

    def __init__(self, model: keras.Model, name: str, batch: int = 16) -> None:
        self.model, self.name, self.batch = model, name, batch
        self._hidden = keras.Model(model.input, model.get_layer(HIDDEN).output)
        height, width = model.input.shape[1:3]
        # One signature: every batch is filled up, so that nothing is traced twice.
        signature = [tf.TensorSpec((batch, height, width, 3), tf.float32)]
        self._scores = tf.function(self._difference, signature)
        self._pulled = tf.function(self._gradient, signature)
        self._seen = tf.function(lambda x: self._hidden(x, training=False), signature)

    @classmethod
    def open(cls, folder: str | Path, batch: int = 16) -> ConvNet:
        """Open the folder of a trained net.

        Raises
        ------
        neurosim.RequestError
            No trained net is there.
        """
        root = Path(folder)
        if not (root / NET).is_file() or not (root / WEIGHTS).is_file():
            raise neurosim.RequestError(
                f"{root}: holds no trained net ({NET}, {WEIGHTS}); make one by "
                "`python tools/compare_dcn train`"
            )
        record = read_json(root / NET)
        net, shape = NETS[record["net"]], (record["height"], record["width"])
        # The layer that a base ends at is part of what it is; its weights come from the file.
        base = Weights("as saved", layer=record["layer"])
        model = build(net, base, shape, record["size"])
        model.load_weights(str(root / WEIGHTS))
        return cls(model, root.name, batch)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Output "target" less output "other", float64 ``(image,)``."""
        return self._batched(self._scores, images).astype(np.float64)

    def gradient(self, images: np.ndarray) -> np.ndarray:
        """Gradient of each score by its image, float32 ``(image, y, x, 3)``, per grey level."""
        return self._batched(self._pulled, images)

    def representation(self, images: np.ndarray) -> np.ndarray:
        """Last hidden layer, float32 ``(image, unit)``."""
        return self._batched(self._seen, images)

    def _batched(self, what: object, images: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, max(len(images), 1), self.batch):
            block = np.asarray(images[first : first + self.batch], np.float32)
            whole = np.zeros((self.batch, *images.shape[1:]), np.float32)
            whole[: len(block)] = block
            parts.append(np.asarray(what(whole))[: len(block)])  # type: ignore[operator]
        return np.concatenate(parts)

    def _difference(self, images: tf.Tensor) -> tf.Tensor:
        answers = self.model(images, training=False)
        return answers[:, 1] - answers[:, 0]

    def _gradient(self, images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(self._difference(images))
        return tape.gradient(total, images)
