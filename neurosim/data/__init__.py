"""Folders of labelled pictures, made ready for a study."""

from neurosim.data.prepare import PreparedData, prepare_data, prepare_faces, prepare_lfw

__all__ = ["PreparedData", "prepare_data", "prepare_faces", "prepare_lfw"]
