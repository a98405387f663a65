"""Labeled Faces in the Wild, as scikit-learn fetches and keeps it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from neurosim.errors import StimulusError

#: The square around the face in the 250 x 250 pictures: 125 x 125, the rows those that
#: scikit-learn takes.
LFW_CROP = "0.248,0.28,0.748,0.78"

_FOLDER = Path("lfw_home", "lfw_funneled")


def fetch_lfw(
    data_home: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Return the folder of LFW's pictures, after fetching them where they are missing.

    Parameters
    ----------
    data_home
        Folder that scikit-learn keeps data in; default its own, ``~/scikit_learn_data``.
    progress
        Told that the data are being fetched.

    Returns
    -------
    Path
        One folder per person: ``George_W_Bush/George_W_Bush_0001.jpg``, 250 x 250.

    Raises
    ------
    StimulusError
        They are not there and cannot be fetched; the message names the cures.
    """
    from sklearn.datasets import fetch_lfw_people, get_data_home

    home = None if data_home is None else Path(data_home).expanduser()
    if home is not None and home.exists() and not home.is_dir():
        raise StimulusError(f"{home}: is a file; --data-home must be a folder")
    if progress:
        progress("fetching", 0, 1)
    try:
        # One pixel of each: the pictures are read, named and cut from the files that this leaves.
        pixel = slice(0, 1), slice(0, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fetch_lfw_people(data_home=home, resize=None, slice_=pixel)
    except (OSError, ValueError) as error:
        where = Path(get_data_home(None)) if home is None else home
        raise StimulusError(_missing(where, error)) from error
    folder = Path(get_data_home(home)) / _FOLDER
    if not folder.is_dir():
        raise StimulusError(
            f"{folder}: this version of scikit-learn keeps the pictures elsewhere; give their "
            "folder to neurosim data folder"
        )
    if progress:
        progress("fetching", 1, 1)
    return folder


def _missing(home: Path, error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return (
        f"LFW is not in {home} and cannot be fetched: {reason}. Without network, copy the folder "
        f"{_FOLDER.parts[0]} that scikit-learn left in ~/scikit_learn_data of another machine into "
        "DIR and give --data-home DIR; or prepare images that you have, one folder per person "
        "(NAME/NAME_0001.jpg), by: neurosim data folder FOLDER -o OUT"
    )
