"""What ``analysis.h5`` holds: the findings about one trained network, as plain dataclasses.

In shapes, ``unit`` counts the neurons of the top layer (flattened ``y, x, feature``), ``class``
those of :attr:`Analysis.classes`, ``image`` the images of a set in the order of
:attr:`ImageSet.names`. *Shown* is what the network was given: ``"face"``, ``"name"`` or ``"both"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neurosim.analysis.estimate import Estimate
from neurosim.analysis.storage import read_record, write_record
from neurosim.errors import RunFileError
from neurosim.record.start import run_path

FILE = "analysis.h5"
FORMAT = "neurosim-analysis"
VERSION = 2
#: Name of the set that everything is fitted on, and of the one that it is reported on.
TRAIN, VALIDATION = "train", "validation"
#: Name of the set that readouts learn from as well, and choose their thresholds by.
CALIBRATION = "calibration"


@dataclass(frozen=True)
class ImageSet:
    """A set of images that was coded.

    Attributes
    ----------
    path : str
        The folder (list, dataset) it came from.
    names : list of str
        File or key of each image, relative to ``path``; (image,).
    label : ndarray
        int64 (image,): class of each image, an index into :attr:`Analysis.classes`, -1 for a class
        that has too few training images to be one of them.
    target : ndarray
        bool (image,): whether it shows the target.
    reference : str
        The set of the same images before they were altered; empty where they are originals.
    """

    path: str
    names: list[str]
    label: np.ndarray
    target: np.ndarray
    reference: str = ""


@dataclass(frozen=True)
class Selectivity:
    """How each neuron of the top layer answers to each class, in one set of codes.

    All arrays are float32 (class, unit); NaN where a class has no image in the set.

    Attributes
    ----------
    mean_in, mean_out, std_in, std_out : ndarray
        Mean and standard deviation of the activity over images of the class, and over all others.
    d_prime : ndarray
        ``(mean_in - mean_out) / sqrt((std_in**2 + std_out**2) / 2)``; where both deviations are
        0, it is 0 for equal means and infinite for others.
    auc : ndarray
        Area under the ROC curve: the probability that an image of the class gives a larger
        activity than another one, ties counting half.
    threshold : ndarray
        The activity at or above which the class is said to be there, for the best balanced
        accuracy on the **training** images; the same numbers in every set.
    balanced : ndarray
        Balanced accuracy (0..1) of that threshold in this set.
    """

    mean_in: np.ndarray
    mean_out: np.ndarray
    std_in: np.ndarray
    std_out: np.ndarray
    d_prime: np.ndarray
    auc: np.ndarray
    threshold: np.ndarray
    balanced: np.ndarray


@dataclass(frozen=True)
class Score:
    """A classifier of the target in one set.

    Attributes
    ----------
    accuracy, balanced, auc : float
        Share of images that are right, mean of the shares of both classes, area under the ROC
        curve; at the classifier's own threshold of 0.
    low, high : float
        95 % interval of ``balanced`` (over images, by Jeffreys' prior of both shares).
    accuracy_tuned, balanced_tuned, low_tuned, high_tuned : float
        The same at the threshold that was chosen on training (or calibration) images.
    decision : ndarray
        float32 (image,): the classifier's value for each image.
    """

    accuracy: float
    balanced: float
    low: float
    high: float
    auc: float
    accuracy_tuned: float
    balanced_tuned: float
    low_tuned: float
    high_tuned: float
    decision: np.ndarray


@dataclass(frozen=True)
class Readout:
    """A linear support vector machine for the target on one kind of features.

    The decision value of features ``x`` is ``weights @ ((x - center) / scale) + bias``.

    Attributes
    ----------
    features : str
        What it reads, for people: ``"P1"``, ``"pixels"``, ``"PCA 128"``...
    cost : float
        The C that cross-validation on train chose.
    threshold : float
        Decision value at or above which the tuned scores say "target", chosen by
        cross-validation on train, or on the calibration images where there are any.
    cross_validated : float
        Balanced accuracy at ``threshold`` of the cross-validated decisions that chose it.
    weights, center, scale : ndarray
        float32 (feature,); the scale of a feature that never varies is infinite. Of principal
        components, the features are the pixels.
    bias : float
    scores : dict of str to Score
        By set; never the training or calibration set.
    """

    features: str
    cost: float
    threshold: float
    cross_validated: float
    weights: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    bias: float
    scores: dict[str, Score]


@dataclass(frozen=True)
class Distance:
    """How far an alteration moves the codes of a set (face alone).

    Attributes
    ----------
    layer : str
    altered, original : str
        Names of the two sets.
    distance : float
        Mean absolute difference of the activity between an image and its altered version, over
        images and units, divided by the mean over units of the standard deviation over the
        original images.
    images : ndarray
        float32 (image,): the same of each image; images in the order of the altered set.
    """

    layer: str
    altered: str
    original: str
    distance: float
    images: np.ndarray


@dataclass(frozen=True)
class Completion:
    """Names read off the code of a face, faces read off the code of a name.

    ``known`` counts the classes whose names are told apart: those in ``names``.

    Attributes
    ----------
    names : list of str
        The classes, as indices into which ``guessed`` and ``guessed_face`` point.
    guessed : ndarray
        int64 (image,): of each validation image shown as a face alone, the class whose name is
        nearest (by correlation) to the name reconstructed from the top layer; -1 where the top
        layer was silent.
    correlation : ndarray
        float32 (image,): correlation of the reconstructed name with the true one; NaN where silent.
    accuracy, balanced : float
        Share of validation images of a known class whose guess is right; mean over classes.
    evidence : ndarray
        float32 (image,): how much of the target's name there is in the name reconstructed from
        each validation image's face, of all classes: its projection onto the true one, 1 for that.
    evidence_auc, evidence_threshold, evidence_balanced : float
        Area under the ROC curve of the evidence, the threshold that tells the target best on
        the **training** faces, and its balanced accuracy on validation.
    guessed_face : ndarray
        int64 (known,): of each name shown alone, the class whose mean training face is nearest (by
        correlation) to the reconstructed face; -1 where silent.
    correlation_face : ndarray
        float32 (known,): correlation of that face with the mean training face of its class; NaN
        where silent.
    shown_classes : ndarray
        int64 (k,): the classes of which pictures are kept, indices into ``names``; target first.
    name_pictures, true_names : ndarray
        float32 (k, y, x, 1): mean name reconstructed from the faces of a class; its true name.
    face_pictures, mean_faces : ndarray
        float32 (k, y, x, feature): face reconstructed from a name; mean training face of the
        class. Both as the network sees faces (normalised, about mean 0). Where no dictionary
        leads from the top layer to the face, they are those of the analysis' ``estimate``; without
        one ``face_pictures`` is empty (k = 0), ``guessed_face`` -1 and ``correlation_face`` NaN.
    """

    names: list[str]
    guessed: np.ndarray
    correlation: np.ndarray
    accuracy: float
    balanced: float
    evidence: np.ndarray
    evidence_auc: float
    evidence_threshold: float
    evidence_balanced: float
    guessed_face: np.ndarray
    correlation_face: np.ndarray
    shown_classes: np.ndarray
    name_pictures: np.ndarray
    true_names: np.ndarray
    face_pictures: np.ndarray
    mean_faces: np.ndarray

    @property
    def has_faces(self) -> bool:
        """Whether faces could be reconstructed from names."""
        return len(self.face_pictures) > 0


@dataclass(frozen=True)
class Analysis:
    """All that ``neurosim analyze`` found; read by :func:`neurosim.open_analysis`.

    Attributes
    ----------
    layer, image_input, name_input : str
        The layer that is analysed, the input that shows images, the one that shows names (empty
        where there is none).
    ny, nx, nf : int
        Shape of the layer; unit ``u`` is ``numpy.unravel_index(u, (ny, nx, nf))``.
    run_id, checkpoint : str, int
        The trained run, and the step of its checkpoint.
    held_out : float
        Share of the training images that was held out as validation; 0 where a validation set was
        given.
    classes : list of str
        Classes with enough training images, in the order of their names; (class,).
    target : str
        One of them.
    neuron : int
        The unit that answers best to the target: the largest d' on the training faces.
    sets : dict of str to ImageSet
        ``train``, ``validation``, ``calibration`` where there is one, and each altered set by its
        folder's name.
    selectivity : dict of str to Selectivity
        By codes, a set, a dash and what was shown: ``train-face``, ``validation-face``, each
        other set as a face alone, and, where there are names, ``validation-both``; where several
        looks were asked for, ``train-looks`` and so on, of the mean code over looks at faces alone.
    activity : dict of str to ndarray
        By codes: float32 (image,), the activity of ``neuron`` in each image. ``train-name`` is
        (class,), in the order of ``classes``: names alone are coded once each.
    responses : dict of str to ndarray
        ``"face"``, ``"name"``, ``"both"`` (the latter two where there are names): float32 (class,
        unit), mean activity of each unit to each class on validation by that modality.
    name_correlation : ndarray
        float32 (class,): correlation over units of the mean response by face with that by name;
        NaN without names or where one of them is constant.
    readouts : dict of str to Readout
        ``"top-face"`` (the layer's codes of faces alone) and, where they were asked for,
        ``"top-looks"`` (the mean code over looks at each image), ``"top-augmented"`` (one look at
        each, by a machine that has learned from several looks at training images) and the
        baselines ``"pixels"``, ``"pca-128"``, ``"pca-512"``, ``"pooled"`` (the level above the
        image, largest activity in cells of positions) and ``"random"`` (the layer with random
        weights); ``"pca-128-looks"``, ``"pca-128-augmented"`` and so on likewise.
    distances : list of Distance
    completion : Completion or None
        None where the network has no names.
    estimate : Estimate or None
        The best linear guess of the picture from the layer's code, where no dictionary leads from
        it to the image input.
    notes : list of str
        What a reader should hear about.
    """

    layer: str
    image_input: str
    name_input: str
    ny: int
    nx: int
    nf: int
    run_id: str
    checkpoint: int
    held_out: float
    classes: list[str]
    target: str
    neuron: int
    sets: dict[str, ImageSet]
    selectivity: dict[str, Selectivity]
    activity: dict[str, np.ndarray]
    responses: dict[str, np.ndarray]
    name_correlation: np.ndarray
    readouts: dict[str, Readout] = field(default_factory=dict)
    distances: list[Distance] = field(default_factory=list)
    completion: Completion | None = None
    estimate: Estimate | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def target_index(self) -> int:
        """Row of the target in arrays over classes."""
        return self.classes.index(self.target)

    @property
    def altered(self) -> list[str]:
        """Names of the altered sets."""
        return [name for name, images in self.sets.items() if images.reference]

    @property
    def judge(self) -> str:
        """Name of the set that thresholds of readouts were chosen by."""
        return CALIBRATION if CALIBRATION in self.sets else TRAIN

    def of_neuron(self, codes: str, what: str) -> float:
        """A number of the target's neuron: ``of_neuron("validation-face", "d_prime")``."""
        return float(getattr(self.selectivity[codes], what)[self.target_index, self.neuron])


def analysis_path(run: str | Path) -> Path:
    """``analysis.h5`` of a run's folder; a path to the file itself is kept."""
    path = Path(run)
    return path if path.name == FILE and not path.is_dir() else run_path(path).parent / FILE


def write_analysis(run: str | Path, found: Analysis, attrs: Mapping[str, object]) -> Path:
    """Write ``RUN/analysis.h5``, to a temporary name first; returns its path."""
    path = analysis_path(run)
    write_record(path, found, {"format": FORMAT, "format_version": VERSION, **attrs})
    return path


def open_analysis(run: str | Path) -> Analysis:
    """Read what ``neurosim analyze`` found about a run.

    Parameters
    ----------
    run : path
        The output folder of the run, or ``analysis.h5`` in it.

    Returns
    -------
    Analysis
        Numbers, texts and arrays, all in memory; the file is closed.

    Raises
    ------
    RunFileError
        There is none yet, or it is damaged or of another format version.
    """
    path = analysis_path(run)
    if not path.is_file():
        raise RunFileError(
            f"{path.parent}: holds no {FILE}; make it with `neurosim analyze {path.parent}`"
        )
    return read_record(path, Analysis, FORMAT, VERSION)
