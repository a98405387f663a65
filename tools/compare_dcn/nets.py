"""The conv nets of the comparison: ImageNet bases with a head that tells the target from others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import neurosim
from compare_dcn.backend import keras

#: ``--weights`` for a base that nobody trained.
RANDOM = "random"
#: Name of the last hidden layer.
HIDDEN = "hidden"
#: How each kind of preprocessing scales grey levels: factor and offset by channel.
SCALES: dict[str, tuple[list[float], list[float]]] = {
    "tf": ([1 / 127.5] * 3, [-1.0] * 3),
    "torch": (
        [1 / (255 * s) for s in (0.229, 0.224, 0.225)],
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    ),
    "caffe": ([1.0] * 3, [-103.939, -116.779, -123.68]),
}


@dataclass(frozen=True)
class Net:
    """A conv net of keras.applications.

    Attributes
    ----------
    name : str
        On the command line and in tables.
    title : str
        Its constructor in ``keras.applications``, and its name for people.
    size : int
        Pixels on a side of the images that it was trained on.
    scaling : {"tf", "torch", "caffe"}
        Its preprocessing; "caffe" also turns colours around.
    prefix : str
        How files of its weights begin.
    file : str
        Keras's own file of the weights without the top.
    note : str
    """

    name: str
    title: str
    size: int
    scaling: str
    prefix: str
    file: str
    note: str = ""


_TAIL = "_weights_tf_dim_ordering_tf_kernels"
NETS: dict[str, Net] = {
    net.name: net
    for net in (
        Net("resnet50", "ResNet50", 224, "caffe", "resnet50", f"resnet50{_TAIL}_notop.h5"),
        Net("inceptionv3", "InceptionV3", 299, "tf", "inception", f"inception_v3{_TAIL}_notop.h5"),
        Net("vgg16", "VGG16", 224, "caffe", "vgg16", f"vgg16{_TAIL}_notop.h5"),
        Net(
            "mobilenetv2", "MobileNetV2", 224, "tf", "mobilenet_v2",
            f"mobilenet_v2{_TAIL}_1.0_224_no_top.h5",
        ),
        Net("densenet121", "DenseNet121", 224, "torch", "densenet121",
            f"densenet121{_TAIL}_notop.h5"),
        Net(
            "densenet169", "DenseNet169", 224, "torch", "densenet169",
            f"densenet169{_TAIL}_notop.h5", "stands in for DenseNet121",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Where the weights of a base come from.

    Attributes
    ----------
    what : str
        For tables: "ImageNet", "ImageNet up to conv4_block6_out", "random"...
    path : Path or None
        Their file; None for those that Keras downloads, and for random ones.
    layer : str
        The layer that they reach to; empty for the whole base.
    """

    what: str
    path: Path | None = None
    layer: str = ""


def find_weights(net: Net, folder: str | None) -> Weights:
    """The weights of a net: a file of a folder, Keras's download, or random ones.

    In a folder are looked for, in this order: Keras's own file name; ``PREFIX*notop*.h5`` (a
    whole base of other origin); ``PREFIX*_upto_LAYER.h5`` (a base up to that layer, on which the
    head then sits).

    Raises
    ------
    neurosim.RequestError
        No such folder, or no weights of this net in it.
    """
    if folder is None:
        return Weights("ImageNet")
    if folder == RANDOM:
        return Weights("random weights")
    root = Path(folder)
    if not root.is_dir():
        raise neurosim.RequestError(f"--weights {root}: no such folder")
    if (root / net.file).is_file():
        return Weights("ImageNet", root / net.file)
    for path in sorted(root.glob(f"{net.prefix}*.h5")):
        reached = re.search(r"_upto_(.+?)(\.weights)?\.h5$", path.name)
        if reached:
            return Weights(f"ImageNet up to {reached[1]}", path, reached[1])
        if "notop" in path.name or "no_top" in path.name:
            stem = path.name.removesuffix(".h5").removeprefix(net.prefix).strip("_")
            return Weights(f"ImageNet ({stem})", path)
    raise neurosim.RequestError(
        f"{root}: holds no weights of {net.title}; looked for {net.file}, {net.prefix}*notop*.h5 "
        f"and {net.prefix}*_upto_LAYER.h5. Put one there, leave --weights out to let Keras "
        f"download its own, or give --weights {RANDOM} for a net that nobody trained"
    )


def build(
    net: Net, weights: Weights | None, shape: tuple[int, int], size: int | None = None,
    seed: int = 0,
) -> keras.Model:  # fmt: skip
    """The net with a new head: images in grey levels to two outputs, "other" and "target".

    Batch normalisation keeps the statistics that the base came with, also while the net is
    trained: small batches of two kinds of images would replace them by worse ones.

    Parameters
    ----------
    net : Net
    weights : Weights or None
        Of the base; None leaves it as it starts, because all weights are loaded afterwards.
    shape : tuple of int
        Height and width of the images.
    size : int, optional
        Pixels on a side to which the model enlarges them; the net's own by default.
    seed : int
        Of random weights.

    Returns
    -------
    keras.Model
        Its outputs are two, before any softmax; layer "hidden" is the one before them.

    Raises
    ------
    neurosim.RequestError
        The weights cannot be downloaded or do not fit.
    """
    keras.utils.set_random_seed(seed)
    side = size or net.size
    base = _base(net, weights, side)
    images = keras.Input((*shape, 3), name="images")
    x = keras.layers.Resizing(side, side, interpolation="bilinear", name="enlarged")(images)
    if net.scaling == "caffe":
        x = x[..., ::-1]
    factor, offset = SCALES[net.scaling]
    x = keras.layers.Rescaling(factor, offset, name="scaled")(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D(name=HIDDEN)(x)
    x = keras.layers.Dropout(0.2, seed=seed)(x)
    return keras.Model(images, keras.layers.Dense(2, name="answers")(x), name=net.name)


def _base(net: Net, weights: Weights | None, side: int) -> keras.Model:
    make: Any = getattr(keras.applications, net.title)
    download = weights is not None and weights.path is None and weights.what == "ImageNet"
    try:
        base = make(
            include_top=False, input_shape=(side, side, 3),
            weights="imagenet" if download else None,
        )  # fmt: skip
        layer = "" if weights is None else weights.layer
        if layer:
            base = keras.Model(base.input, base.get_layer(layer).output)
        if weights is not None and weights.path is not None:
            base.load_weights(str(weights.path))
    except Exception as error:  # whatever a download or a damaged file raises
        where = "Keras's download" if download else str(weights.path if weights else "")
        cure = f" or put {net.file} into a folder and give it by --weights" if download else ""
        raise neurosim.RequestError(
            f"{net.title}: {where} gave no weights ({_first_line(error)}); check the "
            f"{'connection' if download else 'file'}{cure}"
        ) from None
    return base


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__


def set_head(model: keras.Model, weights: np.ndarray, bias: float) -> None:
    """Make the difference of the answers ``weights · hidden + bias``, shared evenly by both."""
    half = weights.astype(np.float32)[:, None] / 2
    model.get_layer("answers").set_weights(
        [np.hstack([-half, half]), np.array([-bias / 2, bias / 2], np.float32)]
    )
