"""Mixed populations by share: who follows which strategy when only the proportions are given."""

from collections.abc import Mapping, Sequence

from cosim.models.errors import BadInputError, Fault
from cosim.randomness import Chance

KEY = "people.shares"
# Sums and products of shares written in decimals round by less than this.
ROUNDING = 1e-9


def assign_by_share(
    ids: Sequence[str], shares: Mapping[str, float], chance: Chance, *, file: str = "scenario"
) -> dict[str, str]:
    """Draw a strategy for prosumers: strategy by id; who is left over when shares add up to less than 1 is not in it.

    Counts are the nearest to the shares that add up (largest remainders, Hamilton's method; ties go by name). Who gets
    what depends on the seed and the stable ids alone: everybody draws a number once, and in its order the strategies
    take their counts, by name. So the order of `ids` does not matter, and a first strategy whose share grows keeps
    everybody it had.

    Raises BadInputError, with every fault, for shares that are negative or not finite or add up to more than 1.

    >>> sorted(assign_by_share(["a", "b", "c"], {"truthful": 0.7, "passive": 0.3}, Chance(1)).values())
    ['passive', 'truthful', 'truthful']
    """
    faults = [
        Fault(file, f"{KEY}.{name}", str(share), "allowed is 0 to 1")
        for name, share in sorted(shares.items())
        if not 0 <= share <= 1
    ]
    if not faults and sum(shares.values()) > 1 + ROUNDING:
        faults = [Fault(file, KEY, str(sum(shares.values())), "shares may add up to 1 at most")]
    if faults:
        raise BadInputError(faults)
    draw = dict(zip(ids, chance.uniforms(ids, KEY, 0, 1)[:, 0].tolist(), strict=True))
    line = iter(sorted(ids, key=lambda name: (draw[name], name)))
    counts = _counts(len(ids), shares)
    return {next(line): name for name in sorted(shares) for _ in range(counts[name])}


def _counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Share a total among names and those left over, in whole numbers that add up."""
    exact = {name: total * shares[name] for name in sorted(shares)}
    left_over = total - sum(exact.values())
    counts = {name: int(part + ROUNDING) for name, part in exact.items()}
    odd = total - sum(counts.values()) - int(left_over + ROUNDING)
    remainders = [(left_over - int(left_over + ROUNDING), "")]
    remainders += [(part - counts[name], name) for name, part in exact.items()]
    # Equal remainders may differ in the last digits of their products.
    for _, name in sorted(remainders, key=lambda item: (-round(item[0], 9), item[1]))[:odd]:
        if name:
            counts[name] += 1
    return counts
