"""From the scenario's words on faults to the faults of a run; who and what they name must exist."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cosim.experiments.scenario_faults import FaultsSection, SpanSection
from cosim.faults import Faults, ForcedBranch, Silence, Span, Withheld, WrongMeter
from cosim.messages import CHANNELS, MARKETPLACE, OPERATOR
from cosim.models.errors import Fault, did_you_mean
from cosim.models.market.tariff import PriceSeries
from cosim.models.table_file import shown
from cosim.post import Channel, Lines
from cosim.randomness import Chance
from cosim.setting import Setting

ACTORS = (OPERATOR, MARKETPLACE)


def name_faults(section: FaultsSection, ids: Sequence[str], branches: Sequence[str], file: str) -> Iterator[Fault]:
    """Yield what the section names and the run does not have."""
    named: dict[str, tuple[list[str], Sequence[str]]] = {
        "silences": ([one.who for one in section.silences], [*ACTORS, *ids]),
        "wrong_meters": ([one.who for one in section.wrong_meters], ids),
        "withheld": ([one.who for one in section.withheld], ids),
    }
    for key, (who, known) in named.items():
        for row, name in enumerate(who):
            if name not in known:
                yield Fault(file, f"faults.{key}.{row}.who", shown(name), did_you_mean(shown(name), known))
    for row, forced in enumerate(section.branches):
        if forced.branch not in branches:
            said = did_you_mean(shown(forced.branch), branches)
            yield Fault(file, f"faults.branches.{row}.branch", shown(forced.branch), said)
    yield from _overlaps("wrong_meters", [(one.who, one) for one in section.wrong_meters], file)
    yield from _overlaps("branches", [(one.branch, one) for one in section.branches], file)


def _overlaps(key: str, spans: Sequence[tuple[str, SpanSection]], file: str) -> Iterator[Fault]:
    """Yield what is said twice of one meter or branch at the same time; only one of the two could hold."""
    for row, (name, span) in enumerate(spans):
        for other, earlier in spans[:row]:
            if name == other and span.begin < earlier.end and earlier.begin < span.end:
                said = f"overlaps with another entry of {shown(name)}, from {earlier.begin} to {earlier.end}"
                yield Fault(file, f"faults.{key}.{row}", f"{span.begin} to {span.end}", said)


def run_faults(section: FaultsSection, ids: Sequence[str], branches: Sequence[str]) -> Faults:
    """Return the faults of a run, prosumers and branches by their rows; names must be sound."""
    row, branch = {name: at for at, name in enumerate(ids)}, {name: at for at, name in enumerate(branches)}
    return Faults(
        silences=tuple(Silence(one.who if one.who in ACTORS else row[one.who], _span(one)) for one in section.silences),
        meters=tuple(WrongMeter(row[one.who], one.factor, _span(one)) for one in section.wrong_meters),
        withheld=tuple(Withheld(row[one.who], _span(one)) for one in section.withheld),
        branches=tuple(ForcedBranch(branch[one.branch], one.closed, _span(one)) for one in section.branches),
        price_gaps=tuple(_span(one) for one in section.price_gaps),
    )


def lines(section: FaultsSection, setting: Setting, chance: Chance) -> Lines:
    """Return the channels of a run, and the gates after which a letter counts as lost."""
    trade_s, answer_s = float(setting.trade_window_s), float(setting.nomination_window_s)
    answers = ("RoomRequest", "EnvelopeGrant", "Fills", "Nomination", "Cancellation", "GridReading", "EnergyReading")
    window_s = {"OrderBatch": trade_s, "VolumeLimit": trade_s, **dict.fromkeys(answers, answer_s)}
    if setting.rooms is not None:
        rounds = ("RoomBid", "RoomOffer", "PoolBid", "PoolOffer")
        window_s |= dict.fromkeys(rounds, float(setting.rooms.interval.round_s))
    return Lines(
        uniforms=lambda purpose, index: chance.uniforms(setting.ids, purpose, index, 1)[:, 0],
        channels={name: Channel(**getattr(section, name).model_dump()) for name in CHANNELS},
        window_s=window_s,
        faults=setting.faults,
    )


def with_gaps(series: PriceSeries, section: FaultsSection, interval_s: int) -> PriceSeries:
    """Return prices in which the last one before a gap stands in for those that are missing."""
    values = series.values_eur_per_kwh.copy()
    for gap in sorted(section.price_gaps, key=lambda one: one.begin):
        first, end = ((at * interval_s - series.first_s) // series.step_s for at in (gap.begin, gap.end))
        values[first:end] = values[max(first - 1, 0) : first][:1]
    return replace(series, values_eur_per_kwh=values)


def _span(section: SpanSection) -> Span:
    return Span(section.begin, section.end)
