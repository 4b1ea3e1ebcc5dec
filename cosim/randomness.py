"""One seed -> an independent stream of chance for every stable id, purpose and interval.

Streams are counter-based (Philox 4x64-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
a draw is a function of (seed, id, purpose, index), so nothing has to be saved for a resume, one more agent
changes nobody else's luck, and a whole cohort draws in one array operation exactly what each prosumer alone
would have drawn.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def _word(*parts: str) -> int:
    """Return 64 bits that name something, the same on every machine and in every process."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "little")


def _high_product(a: np.uint64, b: np.ndarray) -> np.ndarray:
    """Upper 64 bits of a 64 x 64 bit product, by 32-bit halves."""
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = b & _LOW, b >> _HALF
    middle = a_high * b_low + ((a_low * b_low) >> _HALF)
    cross = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (cross >> _HALF)


def _philox(key: tuple[np.ndarray, np.ndarray], counter: list[np.ndarray]) -> np.ndarray:
    """Philox 4x64-10 of many keys and counters at once: (..., 4) words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        low0, low1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            _high_product(_MULTIPLIERS[1], c2) ^ c1 ^ k0,
            low1,
            _high_product(_MULTIPLIERS[0], c0) ^ c3 ^ k1,
            low0,
        )
        k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    return np.stack([c0, c1, c2, c3], axis=-1)


class Chance:
    """All randomness of a run.

    >>> chance = Chance(1)
    >>> one = chance.stream("p01", "bid", 7).random(2)
    >>> many = chance.uniforms(["p00", "p01"], "bid", 7, 2)
    >>> bool((one == many[1]).all())
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys: dict[str, int] = {}

    def _key(self, stable_id: str) -> int:
        if stable_id not in self._keys:
            self._keys[stable_id] = _word("cosim", str(self.seed), stable_id)
        return self._keys[stable_id]

    def stream(self, stable_id: str, purpose: str, index: int) -> np.random.Generator:
        """Return the generator of one id for one purpose in one interval (or day)."""
        key = np.array([self._key(stable_id), _word(purpose)], dtype=np.uint64)
        counter = np.array([0, index, 0, 0], dtype=np.int64).view(np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def uniforms(self, stable_ids: Sequence[str], purpose: str, index: int, count: int) -> np.ndarray:
        """Return what each id's own stream would give by `.random(count)`: (ids, count) in [0, 1)."""
        blocks = -(-count // 4)
        shape = (len(stable_ids), blocks)
        # numpy advances the counter before its first block, hence the blocks 1, 2, ...
        first = np.broadcast_to(np.arange(1, blocks + 1, dtype=np.uint64), shape)
        second = np.broadcast_to(np.array(index, dtype=np.int64).view(np.uint64), shape)
        zero = np.zeros(shape, dtype=np.uint64)
        key0 = np.array([self._key(name) for name in stable_ids], dtype=np.uint64)[:, None] + zero
        key1 = np.full(shape, _word(purpose), dtype=np.uint64)
        words = _philox((key0, key1), [first + zero, second + zero, zero, zero])
        unit: np.ndarray = (words >> np.uint64(11)) * (1.0 / 9007199254740992.0)
        return unit.reshape(len(stable_ids), 4 * blocks)[:, :count]

    def normals(self, stable_ids: Sequence[str], purpose: str, index: int, count: int) -> np.ndarray:
        """Return standard normals by inversion of `uniforms`: (ids, count)."""
        from scipy.special import ndtri

        uniform = self.uniforms(stable_ids, purpose, index, count)
        normal: np.ndarray = ndtri(np.clip(uniform, 2.0**-53, 1.0 - 2.0**-53))
        return normal

    def innovations(self, stable_ids: Sequence[str], purpose: str, block: int = 96) -> Callable[[int, int], np.ndarray]:
        """Return a function (first_index, count) -> (ids, count) standard normals keyed by absolute index.

        What it returns is read only: a look at the blocks that it keeps until others are wanted.
        """
        kept, table = range(0), np.empty((len(stable_ids), 0))

        def window(first: int, count: int) -> np.ndarray:
            nonlocal kept, table
            wanted = range(first // block, (first + count - 1) // block + 1)
            if wanted != kept:
                blocks = [
                    table[:, (number - kept.start) * block : (number - kept.start + 1) * block]
                    if number in kept
                    else self.normals(stable_ids, purpose, number, block)
                    for number in wanted
                ]
                kept, table = wanted, np.concatenate(blocks, axis=1)
                table.flags.writeable = False
            return table[:, first - wanted.start * block :][:, :count]

        return window
