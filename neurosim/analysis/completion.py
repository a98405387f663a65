"""Crossmodal completion: the name that belongs to a face, the face that belongs to a name."""

from __future__ import annotations

import numpy as np

from neurosim.analysis.decode import Decoder
from neurosim.analysis.estimate import Estimate
from neurosim.analysis.results import Completion
from neurosim.analysis.selectivity import balanced_at, best_threshold, correlation, roc_area

#: Classes of which pictures are kept.
PICTURES = 12


def complete(
    decoder: Decoder,
    layer: str,
    image_input: str,
    name_input: str,
    *,
    by_face: np.ndarray,
    by_train: np.ndarray,
    label: np.ndarray,
    target: np.ndarray,
    target_train: np.ndarray,
    by_name: np.ndarray,
    names: list[str],
    true_names: np.ndarray,
    mean_faces: np.ndarray,
    first: int,
    estimate: Estimate | None = None,
) -> Completion:
    # Long: one line for each array that is kept.
    """Reconstruct what was not shown from the top layer, and score it.

    Faces are left out where nothing decodes them: where the way down ends at a layer that pools,
    and there is no estimate either.

    Parameters
    ----------
    decoder : Decoder
    layer, image_input, name_input : str
        The top layer and the two inputs.
    by_face : ndarray
        Codes of validation faces shown alone (image, unit).
    by_train : ndarray
        Codes of training faces shown alone (image, unit).
    label : ndarray
        Their class, an index into ``names``; -1 for none of them.
    target, target_train : ndarray
        bool (image,): which validation and training images show the target.
    by_name : ndarray
        Code of each name shown alone (known, unit).
    names : list of str
        The classes.
    true_names : ndarray
        Pictures of the names (known, y, x, 1).
    mean_faces : ndarray
        Mean training face of each class (known, y, x, feature).
    first : int
        The class whose pictures come first.
    estimate : Estimate, optional
        Guesses faces where no dictionary leads to them.
    """
    named = decoder.decode(by_face, layer, name_input) / decoder.scale(name_input)
    guessed, alike = _nearest(named, true_names)
    evidence = _evidence(named, true_names[first])
    trained = decoder.decode(by_train, layer, name_input) / decoder.scale(name_input)
    threshold, _ = best_threshold(_evidence(trained, true_names[first])[:, None], target_train)
    known = label >= 0
    correct = guessed == label
    own = np.full(len(label), np.nan, np.float32)
    own[known] = alike[np.flatnonzero(known), label[known]]
    shares = [correct[label == c].mean() for c in range(len(names)) if (label == c).any()]

    direct = decoder.reaches(layer, image_input)
    seen = direct or estimate is not None
    guessed_face = np.full(len(names), -1, np.int64)
    own_face = np.full(len(names), np.nan, np.float32)
    faces = np.empty((0, *mean_faces.shape[1:]), np.float32)
    if direct:
        faces = decoder.decode(by_name, layer, image_input) / decoder.scale(image_input)
    elif estimate is not None:
        faces = estimate.decode(by_name)
    if seen:
        guessed_face, alike_face = _nearest(faces, mean_faces)
        own_face = np.diagonal(alike_face).astype(np.float32)

    frequent = np.argsort(-np.bincount(label[known], minlength=len(names)), kind="stable")
    kept = np.array([first, *(c for c in frequent if c != first)], np.int64)[:PICTURES]
    means = np.stack([_mean(named[label == c]) for c in kept])
    return Completion(
        names=names,
        guessed=guessed,
        correlation=own,
        accuracy=float(correct[known].mean()) if known.any() else float("nan"),
        balanced=float(np.mean(shares)) if shares else float("nan"),
        evidence=evidence,
        evidence_auc=float(roc_area(evidence[:, None], target[None])[0, 0]),
        evidence_threshold=float(threshold[0]),
        evidence_balanced=float(balanced_at(evidence[:, None], target, threshold)[0]),
        guessed_face=guessed_face,
        correlation_face=own_face,
        shown_classes=kept,
        name_pictures=means,
        true_names=true_names[kept],
        face_pictures=faces[kept] if seen else faces,
        mean_faces=mean_faces[kept],
    )


def _evidence(pictures: np.ndarray, name: np.ndarray) -> np.ndarray:
    """Projection of each picture onto a name, as a share of the name."""
    flat, whole = pictures.reshape(len(pictures), -1).astype(np.float64), name.ravel().astype(float)
    return (flat @ whole / (whole @ whole)).astype(np.float32)


def _nearest(pictures: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best correlated known picture of each, -1 for a blank one; and all correlations."""
    flat = pictures.reshape(len(pictures), 1, -1).astype(np.float64)
    others = known.reshape(1, len(known), -1).astype(np.float64)
    alike = np.concatenate(
        [correlation(row[None], others) for row in flat] or [np.empty((0, len(known)))]
    )
    silent = np.isnan(alike).all(axis=1)
    best = np.where(silent, -1, np.where(np.isnan(alike), -2.0, alike).argmax(axis=1))
    return best.astype(np.int64), alike.astype(np.float32)


def _mean(pictures: np.ndarray) -> np.ndarray:
    """Their mean; zeros where there is none."""
    if not len(pictures):
        return np.zeros(pictures.shape[1:], np.float32)
    return pictures.mean(axis=0).astype(np.float32)
