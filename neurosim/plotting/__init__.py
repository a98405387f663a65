"""Figures of runs and of what analysis found in them, and the page that holds them all.

Each figure is a function from arrays to a :class:`matplotlib.figure.Figure`, for the report and for
notebooks alike; none touches the state of pyplot. They are in modules by what they show:
``network``, ``curves``, ``reconstructions``, ``dictionaries``, ``selectivity``, ``readout`` and
``robustness``.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["report"]


def report(run: str | Path, output: str | Path | None = None) -> Path:
    """Draw what a run has left and, where it was analysed, what :func:`neurosim.analyze` found.

    Writes one HTML page that needs no other file, and each of its figures as PNG and SVG. A
    report that is there already is replaced when the new one is complete. What cannot be drawn
    is listed on the page, with the command that makes it possible.

    Parameters
    ----------
    run : path
        Output folder of the run; it may still go on.
    output : path, optional
        Folder of the report; ``RUN/report`` by default.

    Returns
    -------
    Path
        The page, ``index.html``.

    Raises
    ------
    RunFileError
        No run is there, one of its files is damaged, or the folder of the report holds
        something else.

    Examples
    --------
    >>> import neurosim
    >>> page = neurosim.report("output/first")
    >>> page.name, (page.parent / "network.svg").exists()
    ('index.html', True)
    """
    # Drawing takes a second to import.
    from neurosim.plotting.assemble import make_report

    return make_report(run, output)
