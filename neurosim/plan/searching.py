"""The state of a solver's search, for each image: columns of its control buffer."""

from __future__ import annotations

#: Columns: what comes next, what is done in this step, length of a trial, share of the last
#: direction that is kept (of the last change that is undone, in a relaxation).
MODE, ACTION, STEP, TURN = range(4)
#: Of a search: length of the first trial of a presentation, share of the trial that is
#: taken, curvature along it, steps since drives were taken as measured.
START, SHARE, CURVATURE, AGE = range(4, 8)
#: Of a relaxation: squared residual of the active units a step ago, refusals in a row, least
#: squared residual of late.
NORM, REFUSED, LOWEST = 4, 5, 6
CONTROL = 8

#: Modes. A run starts; codes must be tried as they are; the response to a code is there and
#: nothing else is known; the same within a presentation; a first trial was made; under way.
STARTS, RENEW, BEGIN, AGAIN, FIRST, GOING = range(6)

#: Actions: try the code again; take the trial; search between code and trial; search, then
#: try the code again.
HOLD, TAKE, SEARCH, SETTLE = range(4)

#: What a search is told: weights or buffers have changed; a new input is shown; the
#: presentation is about to end, and what is delivered must be the code itself.
CHANGED, SHOWN, ENDS = range(3)

#: Steps after which drives are measured anew although no trial was taken as it was.
OLDEST = 24

#: Columns of sums before the search (squared distance, curvature, slope) and after it
#: (direction by change of drives, last direction by gradient, squared gradient), and
#: the largest excess over the threshold of the drive of an inactive unit.
DISTANCE, ALONG, SLOPE, PEAK = range(4)
CHANGE, BEHIND, FREE = range(3)
SUMS = 4

#: Columns of sums of a relaxation, over active units: squared residual, squared change of
#: it, change by residual, change by change of potentials.
SQUARE, MOVED, COMMON, AGAINST = range(4)
#: Action of a relaxation: go back to the potentials of the step before.
BACK = 4

#: Inactive units join in once their excess is more than this share of the largest one.
RELEASE = 0.3
