"""Where a file named in a params file is looked for."""

from __future__ import annotations

from pathlib import Path


def locate(text: str, *bases: Path) -> Path:
    """Return where ``text`` exists, or where it should be (in the first base).

    Parameters
    ----------
    text
        A path as written; ``~`` is the home folder.
    *bases
        Folders a relative path is looked up in, one after the other, before the
        working directory, which PetaVision's paths start at.
    """
    path = Path(text).expanduser() if text.startswith("~") else Path(text)
    candidates = [path] if path.is_absolute() else [*(base / path for base in bases), path]
    for candidate in candidates:
        try:
            if candidate.exists():
                return candidate
        except (OSError, ValueError):
            break
    return candidates[0]
