"""How closely numbers must agree, each with its reason; no test states a tolerance of its own.

Absolute unless the name says relative. Activities of the conformance cases are of order 0.1 to 1,
inputs after normalisation of order 0.1, energies of order 10.
"""

from __future__ import annotations

# ---- Against PetaVision's recorded outputs (V1_LCA_* is the case v1_lca, and so on) ------------

# PetaVision stores float32 (rounding 6e-8 of the value) and sums a drive over 192 products in an
# order of its own; 400 contracting steps keep the difference near 1e-6.
V1_LCA_ACTIVITY = 1e-5
V1_MOMENTUM_ACTIVITY = 1e-5
DSC2_ACTIVITY = 1e-5
# Reconstructions and error layers are the same kind of sums, over at most 2048 products.
RECONSTRUCTION = 1e-5
# A unit whose potential ends within rounding of the threshold may fall on either side of it: the
# active sets are compared by the number of units in only one of them.
ACTIVE_SET_UNITS = 3
# Squares of 12288 float32 values, summed; PetaVision prints six to nine digits.
ENERGY_RELATIVE = 1e-5

# PetaVision normalises an image with mean and variance summed in float32, which is off by 6e-5 and,
# where the resampling sums too, by a few times that.
V1_IMAGE_INPUT = 5e-4
# What that difference of the input becomes in the code after 400 steps.
V1_IMAGE_ACTIVITY = 2e-3

# The time scale is the ratio of an energy to the difference of two nearly equal ones, so the
# rounding of the energies is amplified; the activities suffer less from a step slightly off.
V1_ADAPTIVE_ACTIVITY = 1e-4
TIMESCALE_RELATIVE = 1e-3

# Three updates of weights of norm 1, each from 40 steps that agree as in v1_lca.
V1_LEARN_WEIGHTS = 1e-5

# ISTALayer subtracts VThresh·sign(A), which jumps where A passes zero: rounding decides on which
# side a unit near zero is, and nothing tighter can be asked.
ISTA_ACTIVITY = 5e-4
ISTA_ACTIVE_SET_FRACTION = 0.01

# ---- Backends against the reference (relative to the largest absolute value of the array) ------

# The same sums in another order: about sqrt(n) roundings of 1.1e-16 with n up to 1e5 products.
FLOAT64_REORDERED = 1e-12
# The same with float32's 6e-8.
FLOAT32_REORDERED = 2e-5

# ---- Exact algebra -----------------------------------------------------------------------------

# Closed forms and identities evaluated in float64 (adjoints, leaks, fixed points once reached).
FLOAT64_EXACT = 1e-10

# ---- Optimality --------------------------------------------------------------------------------

# |Φᵀ(x − Φa)| ≤ λ for silent units and = λ for active ones, after a run long enough for the slowest
# mode to decay; relative to λ.
LASSO_OPTIMALITY_RELATIVE = 1e-4
# scikit-learn's coordinate descent stops on its own duality gap; codes of order 1.
SKLEARN_LASSO_CODE = 1e-4
# The order of an integrator is the slope of log(error) over log(step), still bent by the next term
# at steps large enough to stay clear of rounding.
CONVERGENCE_ORDER = 0.15

#: The state of a solver's search is quotients of sums of small differences: rounding shows there
#: this many times as much as in the codes.
SEARCH_STATE = 10.0
