"""Ensembles and comparisons over the cases of a sweep.

Whatever is not asked for by name is averaged first, seed by seed, over the combinations that every counted seed has;
then means, deviations and intervals are taken over seeds. Equal seeds draw equal chance in every case, so that
differences between settings are taken within each seed (common random numbers).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from cosim.experiments.key_figures import KEY_FIGURES
from cosim.experiments.sweeps.harvest import cell
from cosim.experiments.sweeps.intervals import Mean, mean_of
from cosim.models.errors import BadInputError, Fault, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Settings = Mapping[str, Any]
UNITS = {figure.key: figure.unit for figure in KEY_FIGURES}


@dataclass(frozen=True)
class Statistics:
    """Statistics of a table of cases: `vary` has the values of each varied key, in the order they were given."""

    cases: "pd.DataFrame"
    vary: Mapping[str, Sequence[Any]]

    @cached_property
    def cells(self) -> dict[str, list[Any]]:
        """The values of each varied key as the table has them."""
        return {key: [cell(value, values) for value in values] for key, values in self.vary.items()}

    @property
    def figures(self) -> list[str]:
        """The key figures that the cases have numbers of, in their usual order."""
        return [figure.key for figure in KEY_FIGURES if self._is_number(figure.key)]

    def ensemble(
        self, by: Sequence[str] | None = None, figures: Sequence[str] | None = None, confidence: float = 0.95
    ) -> "pd.DataFrame":
        """Return count, mean, std, low and high of figures for every combination of values of the keys `by`.

        Args:
            by: varied keys, all of them by default; the others are averaged within each seed.
            figures: columns of the table of cases, the key figures by default.
            confidence: level of the interval low..high.
        """
        import pandas as pd

        keys = list(self.vary) if by is None else list(by)
        names = self._checked(keys, figures, confidence)
        rows = [
            {**settings, "figure": name, **mean_of(self.by_seed(settings, name), confidence).as_row()}
            for settings in self.combinations(keys)
            for name in names
        ]
        return pd.DataFrame(rows, columns=[*keys, "figure", "count", "mean", "std", "low", "high"])

    def paired(
        self, a: Settings, b: Settings, figures: Sequence[str] | None = None, confidence: float = 0.95
    ) -> "pd.DataFrame":
        """Return what going from settings `a` to settings `b` changes: differences b - a within each seed.

        Columns: figure, mean_a, mean_b, count of pairs, mean, std, low and high of the differences. Args as above.
        """
        import pandas as pd

        names = self._checked([*a, *b], figures, confidence)
        settings = [self._as_cells(each) for each in (a, b)]
        rows = []
        for name in names:
            one, other = (self.by_seed(each, name) for each in settings)
            both = one.index.intersection(other.index)
            found = mean_of(other[both] - one[both], confidence)
            rows.append({"figure": name, "mean_a": one[both].mean(), "mean_b": other[both].mean(), **found.as_row()})
        return pd.DataFrame(rows, columns=["figure", "mean_a", "mean_b", "count", "mean", "std", "low", "high"])

    def differences(self, a: Settings, b: Settings, figure: str, confidence: float = 0.95) -> Mean:
        """Return the mean difference b - a of one figure within seeds."""
        one, other = (self.by_seed(each, figure) for each in (a, b))
        both = one.index.intersection(other.index)
        return mean_of(other[both] - one[both], confidence)

    def by_seed(self, settings: Settings, figure: str) -> "pd.Series[float]":
        """Return a figure of the cases with some settings by seed, averaged over combinations of the other keys.

        A seed counts where it has all combinations that any seed has.
        """
        chosen = self.cases
        for key, value in settings.items():
            chosen = chosen[(chosen[key] == value).fillna(value=False).to_numpy(dtype=bool)]
        grouped = chosen[["seed", figure]].astype({figure: "float64"}).groupby("seed")[figure]
        sizes = grouped.size()
        return grouped.mean()[sizes == sizes.max()].dropna() if len(sizes) else grouped.mean()

    def combinations(self, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield every combination of values of some keys, as the table has them."""
        for values in product(*(self.cells[key] for key in keys)):
            yield dict(zip(keys, values, strict=True))

    def _as_cells(self, settings: Settings) -> dict[str, Any]:
        """Return settings as the table has them; BadInputError for values that are not among those varied."""
        faults = [
            Fault("sweep", key, repr(value), f"allowed is one of {', '.join(map(repr, self.vary[key]))}")
            for key, value in settings.items()
            if value not in self.vary[key]
        ]
        if faults:
            raise BadInputError(faults)
        return {key: cell(value, self.vary[key]) for key, value in settings.items()}

    def _checked(self, keys: Sequence[str], figures: Sequence[str] | None, confidence: float) -> list[str]:
        """Return the figures meant; BadInputError lists unknown keys, unknown figures and levels that are none."""
        known = [str(name) for name in self.cases.columns if self._is_number(str(name))]
        faults = [
            Fault("sweep", "key", repr(key), did_you_mean(key, self.vary)) for key in keys if key not in self.vary
        ]
        faults += [
            Fault("sweep", "figure", repr(name), did_you_mean(name, known))
            for name in figures or ()
            if name not in known
        ]
        if not 0 < confidence < 1:
            faults.append(Fault("sweep", "confidence", repr(confidence), "allowed is between 0 and 1"))
        if faults:
            raise BadInputError(faults)
        return self.figures if figures is None else list(figures)

    def _is_number(self, name: str) -> bool:
        return name in self.cases and name not in self.vary and self.cases[name].dtype.kind in "iuf"
