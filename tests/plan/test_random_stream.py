"""The random numbers, computed here with plain integers one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from neurosim import ParamsError
from neurosim.plan.random_stream import SeedCounter, Tausworthe
from tests.backends.nets import column, group, noise, simulator, weights

MASK = 0xFFFFFFFF


def words(seed: int) -> Iterator[int]:
    """The 32-bit words of one generator, by its recurrence."""
    s1 = 69069 * (seed or 1) & MASK
    s2 = 69069 * s1 & MASK
    s3 = 69069 * s2 & MASK
    count = 0
    while True:
        s1 = ((s1 & 0xFFFFFFFE) << 12 & MASK) ^ (((s1 << 13 & MASK) ^ s1) >> 19)
        s2 = ((s2 & 0xFFFFFFF8) << 4 & MASK) ^ (((s2 << 2 & MASK) ^ s2) >> 25)
        s3 = ((s3 & 0xFFFFFFF0) << 17 & MASK) ^ (((s3 << 3 & MASK) ^ s3) >> 11)
        count += 1
        if count > 6:
            yield s1 ^ s2 ^ s3


def unit(word: int) -> np.float32:
    return np.float32(word) / np.float32(MASK)


def normal(stream: Iterator[int]) -> np.float32:
    """One deviate by the polar method; the second of the pair is thrown away."""
    while True:
        x1 = np.float32(2) * unit(next(stream)) - np.float32(1)
        x2 = np.float32(2) * unit(next(stream)) - np.float32(1)
        w = x1 * x1 + x2 * x2
        if 0 < w < 1:
            return x1 * np.sqrt(np.float32(-2) * np.log(w) / w)


def test_words_of_many_generators() -> None:
    seeds = [0, 1, 2, 10_000_000, 1234567890, 4294967295]
    made = Tausworthe(np.array(seeds, np.uint32))
    streams = [words(seed) for seed in seeds]
    drawn = np.array([made.draw() for _ in range(300)])
    assert np.array_equal(drawn, [[next(s) for s in streams] for _ in range(300)])
    assert np.array_equal(drawn[:, 0], drawn[:, 1]), "a seed of 0 counts as 1"


def test_the_published_generator() -> None:
    """Known answer of taus88 as the GNU Scientific Library documents it: seed 1, 10000th word."""
    made = Tausworthe(np.array([1], np.uint32))
    for _ in range(9999):
        made.draw()
    assert int(made.draw()[0]) == 2733957125


def test_some_generators_wait() -> None:
    made = Tausworthe(np.array([7, 8], np.uint32))
    first, second = words(7), words(8)
    made.draw(np.array([True, False]))
    next(first)
    assert made.draw().tolist() == [next(first), next(second)]


def test_seeds_follow_the_objects_and_wrap_above_ten_million() -> None:
    counter = SeedCounter(MASK - 1)
    one = counter.generators(2)
    assert one.draw().tolist() == [next(words(MASK - 1)), next(words(MASK))]
    assert counter.next_seed == 10_000_000
    assert counter.generators(1).draw().tolist() == [next(words(10_000_000))]


def start_weights(*groups: str) -> np.ndarray:
    made = simulator([column(4, 4, 2), noise("A", 2, valueV=0, InitVType="ZeroV"),
                      noise("B", 3, InitVType="ZeroV"), *groups])  # fmt: skip
    return made.backend.read("AToB:W")


def uniform_random(
    seed: int, size: int, low: float, high: float, fraction: float, least: int, arbors: int
) -> np.ndarray:
    """UniformRandomWeight of one kernel: a value, then, while zeros are left, a chance of zero."""
    stream = words(seed)
    patches = np.zeros((arbors, size), np.float32)
    width = (high - low) / 2.0**32
    for patch in patches:
        start = next(stream) % size if least else 0
        zeros = size - least
        for n in range(size):
            value = np.float32(low) + np.float32(width * next(stream))
            if zeros > 0 and np.float32(next(stream)) < np.float32(fraction * 2.0**32):
                value = np.float32(0)
                zeros -= 1
            patch[(n + start) % size] = value
    return patches


@pytest.mark.parametrize("fraction, least", [(0.0, 0), (0.7, 0), (1.0, 4), (0.9, 20), (0.5, 27)])
def test_uniform_random_weights(fraction: float, least: int) -> None:
    w = start_weights(
        weights("AToB", 3, weightInitType="UniformRandomWeight", wMinInit=-1, wMaxInit=2,
                sparseFraction=fraction, minNNZ=least, numAxonalArbors=2)
    )  # fmt: skip
    for kernel in range(2):
        expected = uniform_random(1234567890 + kernel, 27, -1, 2, fraction, least, 2)
        assert np.array_equal(w[:, kernel].reshape(2, 27).astype(np.float32), expected)
    assert np.all(np.count_nonzero(w.reshape(4, 27), axis=1) >= least)


def test_share_of_zero_weights() -> None:
    w = start_weights(
        weights("AToB", 61, weightInitType="UniformRandomWeight", wMinInit=-1, wMaxInit=1,
                sparseFraction=0.9)
    )  # fmt: skip
    assert np.mean(w == 0) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / w.size))
    kept = w[w != 0]
    assert kept.mean() == pytest.approx(0, abs=4 * np.sqrt(1 / 3 / kept.size))
    assert kept.var() == pytest.approx(1 / 3, rel=0.1)


def test_gaussian_and_discrete_weights() -> None:
    w = start_weights(weights("AToB", 3, wGaussMean=0.5, wGaussStdev=2, numAxonalArbors=2))
    for kernel in range(2):
        stream = words(1234567890 + kernel)
        expected = [np.float32(0.5) + normal(stream) * np.float32(2) for _ in range(54)]
        np.testing.assert_allclose(w[:, kernel].reshape(-1), expected, rtol=1e-6)
    w = start_weights(weights("AToB", 3, weightInitType="DiscreteUniformRandomWeight",
                              wMin=-1, wMax=1, numValues=5))  # fmt: skip
    stream = words(1234567891)
    assert w[0, 1].reshape(-1).tolist() == [
        -1 + 0.5 * (5 * next(stream) >> 32) for _ in range(27)
    ]  # fmt: skip


def test_potentials_use_the_generators_of_the_first_image() -> None:
    """One generator per position; the next image goes on where the last one stopped."""
    made = simulator([
        column(2, 3, 2),
        noise("A", 2, InitVType="UniformRandomV", minV=-1, maxV=3),
        noise("B", 1),
    ])  # fmt: skip
    streams = [words(1234567890 + place) for place in range(6)]
    expected = [
        [[np.float32(-1) + unit(next(streams[p])) * np.float32(4) for _ in range(2)]
         for p in range(6)]
        for _ in range(2)
    ]  # fmt: skip
    assert np.array_equal(made.backend.read("A:A").reshape(2, 6, 2), expected)
    # A took a seed for each position of each image.
    streams = [words(1234567890 + 12 + place) for place in range(6)]
    expected_b = [[normal(streams[p]) for p in range(6)] for _ in range(2)]
    np.testing.assert_allclose(made.backend.read("B:A").reshape(2, 6), expected_b, rtol=1e-6)


def test_a_weight_file_uses_no_random_numbers_and_must_fit(tmp_path: object) -> None:
    missing = {"weightInitType": "FileWeight", "initWeightsFile": "absent.pvp"}
    text = [column(4, 4), noise("A", 2), noise("B", 3), weights("AToB", 3, **missing)]
    with pytest.raises(ParamsError, match=r'^<text>:\d+: HyPerConn "AToB": initWeightsFile: '):
        simulator(text, folder=str(tmp_path))


def test_one_to_one_and_same_features() -> None:
    w = start_weights(weights("AToB", 3, weightInitType="OneToOneWeights", weightInit=0.5))
    expected = np.zeros((1, 2, 3, 3, 3))
    expected[0, 0, 1, 1, 0] = expected[0, 1, 1, 1, 1] = 0.5
    assert np.array_equal(w, expected)
    w = start_weights(weights("AToB", 1, weightInitType="UniformWeight", weightInit=2,
                              connectOnlySameFeatures=True))  # fmt: skip
    assert np.array_equal(w[0, :, 0, 0], 2 * np.eye(2, 3))


def test_gaussian_of_distance() -> None:
    made = simulator([
        column(8, 8), noise("A", 1), noise("B", 1, nxScale=0.5, nyScale=0.5),
        group("HyPerConn", "AToB", channelCode=0, nxp=3, nyp=3, weightInitType="Gauss2DWeight",
              sigma=2, rMax=4, strength=1.5, normalizeMethod="none", plasticityFlag=False),
    ])  # fmt: skip
    w = made.backend.read("AToB:W")[0, :, :, :, 0]
    # Pre unit 0 is half a unit left of the centre of post unit 0, which is 2 pre units wide.
    head = int(np.floor((0 - 1 * 2) / 2))
    distance = (head + np.arange(3) + 0.5) * 2 - 0.5
    squared = distance[:, None] ** 2 + distance[None, :] ** 2
    expected = np.where(squared <= 16, 1.5 * np.exp(-squared / 8), 0)
    np.testing.assert_allclose(w[0], expected, rtol=1e-6)
    np.testing.assert_allclose(w[3], expected[::-1, ::-1], rtol=1e-6)
