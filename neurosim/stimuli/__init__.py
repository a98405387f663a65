"""Frames in: images, lists, folders, HDF5, pvp, drawn faces, and names as pictures."""
