"""What can be chosen when pictures are prepared, and whether the choice makes sense."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.data.duplicates import THRESHOLD
from neurosim.errors import RequestError

#: Left, top, right and bottom of what is kept, as shares of the width and the height.
Box = tuple[float, float, float, float]

_WHOLE: Box = (0, 0, 1, 1)
_CROPS = 'it must be "square", "none", or left,top,right,bottom as shares such as 0.1,0,0.9,1'


@dataclass(frozen=True)
class DataSettings:
    """How pictures are cut, resized and shared out.

    Parameters
    ----------
    size
        Side of the pictures written, in pixels, 8 to 1024; default 64.
    crop
        ``"square"`` (default): the largest square in the middle; ``"none"``: all of
        the picture, its sides made equal; or ``"left,top,right,bottom"``, each a share
        of the width or height, and of that the largest square in the middle.
    validation
        Share of each class that goes to validation, of what is not held out; default 0.15.
    hold_out
        Pictures of each class that are held out for the final test; default 0.
    target
        A person (or other label): the classes are then this one and ``other``.
    keep_names
        With a target, share out as for two classes, but keep one folder per label.
    min_images
        Leave out labels with fewer pictures; default 1.
    near_duplicates
        Correlation, above 0.5, from which two pictures are copies of each other, kept
        on one side; 1 means equal ones only.
    apart_from
        Folders (or list files) of pictures kept for other uses: what is a near-duplicate
        of one of them is left out; default none.
    seed
        Of the shares; default 0.

    Raises
    ------
    RequestError
        A value is out of its range.
    """

    size: int = 64
    crop: str = "square"
    validation: float = 0.15
    hold_out: int = 0
    target: str | None = None
    keep_names: bool = False
    min_images: int = 1
    near_duplicates: float = THRESHOLD
    apart_from: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = (
            ("size", 8 <= self.size <= 1024, "8 to 1024 pixels"),
            ("validation", 0 <= self.validation < 1, "a share, at least 0 and below 1"),
            ("hold_out", self.hold_out >= 0, "a number of pictures, at least 0"),
            ("min_images", self.min_images >= 1, "at least 1"),
            ("near_duplicates", 0.5 < self.near_duplicates <= 1, "above 0.5, and at most 1"),
            ("seed", self.seed >= 0, "at least 0"),
        )
        for name, right, allowed in ranges:
            if not right:
                raise RequestError(f"{name} = {getattr(self, name)}; it must be {allowed}")
        if self.keep_names and self.target is None:
            raise RequestError(
                "keep_names is for a target: without one, every name is kept; leave it out, or "
                "give a target"
            )
        _ = self.box

    @property
    def box(self) -> Box:
        """The part of a picture that ``crop`` keeps, before it is made square."""
        if self.crop in ("square", "none"):
            return _WHOLE
        try:
            left, top, right, bottom = (float(part) for part in self.crop.split(","))
        except ValueError:
            raise RequestError(f'crop = "{self.crop}"; {_CROPS}') from None
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise RequestError(
                f'crop = "{self.crop}"; the shares must be within 0 to 1, left below right and top '
                "below bottom"
            )
        return left, top, right, bottom
