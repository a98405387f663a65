"""PetaVision's random numbers: one small generator per kernel or position.

A three-component Tausworthe generator of 32-bit words, each seeded through a
linear congruence and warmed up by six steps; generator ``i`` of an object has
the seed ``base + i``. So results depend neither on threads nor on the order of
work, and a params file gives the weights it gives in PetaVision.
"""

from __future__ import annotations

import numpy as np

from neurosim.errors import RequestError

_WORD = np.float64(2.0**32)
#: Constants of the three components, one a row.
_FEEDBACK = np.array([[13], [2], [3]], np.uint32)
_TAP = np.array([[19], [25], [11]], np.uint32)
_MASK = np.array([[0xFFFFFFFE], [0xFFFFFFF8], [0xFFFFFFF0]], np.uint32)
_SHIFT = np.array([[12], [4], [17]], np.uint32)
SMALLEST_SEED = 10_000_000


class SeedCounter:
    """Hands out seeds in the order of the objects that ask.

    PetaVision takes no seed below 10 million; here those are counted from there.
    """

    def __init__(self, seed: int) -> None:
        if not 0 <= seed < 2**32:
            raise RequestError(f"randomSeed = {seed}; it must be from 0 to {2**32 - 1}")
        self.next_seed = seed if seed >= SMALLEST_SEED else SMALLEST_SEED + seed

    def generators(self, count: int) -> Tausworthe:
        """``count`` generators with consecutive seeds."""
        base = self.next_seed
        following = (base + count) % 2**32
        self.next_seed = following + SMALLEST_SEED if following < SMALLEST_SEED else following
        return Tausworthe(np.arange(base, base + count, dtype=np.uint64).astype(np.uint32))


class Tausworthe:
    """Independent generators that draw side by side.

    Parameters
    ----------
    seeds : uint32 array (n,)
    """

    def __init__(self, seeds: np.ndarray) -> None:
        seeds = np.where(seeds == 0, 1, seeds).astype(np.uint32)
        with np.errstate(over="ignore"):
            first = seeds * np.uint32(69069)
            second = first * np.uint32(69069)
            self.state = np.stack([first, second, second * np.uint32(69069)])
        for _ in range(6):
            self.draw()

    def draw(self, active: np.ndarray | None = None) -> np.ndarray:
        """One 32-bit word from each generator.

        Parameters
        ----------
        active : bool array (n,), optional
            Generators that advance; the others keep their state.
        """
        new = (self.state << _FEEDBACK) ^ self.state
        new >>= _TAP
        new ^= (self.state & _MASK) << _SHIFT
        if active is not None and not active.all():
            new = np.where(active, new, self.state)
        self.state = new
        return new[0] ^ new[1] ^ new[2]

    def words(self, count: int) -> np.ndarray:
        """``count`` words from each generator, ``(count, n)``."""
        drawn = np.empty((count, self.state.shape[1]), np.uint32)
        for row in drawn:
            row[:] = self.draw()
        return drawn

    def uniform(self, active: np.ndarray | None = None) -> np.ndarray:
        """Float32 from the closed interval 0 to 1."""
        return self.draw(active).astype(np.float32) / np.float32(4294967295.0)

    def integers(self, count: int) -> np.ndarray:
        """Whole numbers from 0 to ``count - 1``."""
        return np.floor(count * (self.draw().astype(np.float64) / _WORD)).astype(np.int64)

    def normal(self) -> np.ndarray:
        """Standard normal deviates by the polar method, a fresh pair each time."""
        n = self.state.shape[1]
        result = np.zeros(n, np.float32)
        waiting = np.ones(n, bool)
        while waiting.any():
            x1 = 2 * self.uniform(waiting) - 1
            x2 = 2 * self.uniform(waiting) - 1
            w = x1 * x1 + x2 * x2
            done = waiting & (w < 1) & (w > 0)
            safe = np.where(done, w, np.float32(0.5))
            result = np.where(done, x1 * np.sqrt(-2 * np.log(safe) / safe), result)
            waiting &= ~done
        return result.astype(np.float32)
