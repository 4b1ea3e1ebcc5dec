"""Reviews in a run: what is saved is counted right, strategies change at midnight, and a resume goes on to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.situations import IDS, homes, situations
from cosim.encoding import decode, encode
from cosim.experiments.build import Switches
from cosim.models.devices.columns import SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.market.settlement import SettlementPrices
from cosim.savings import Savings, Settled

HOURLY = {"time__interval_s": 3600, "time__start": "2016-06-20T00:00:00+01:00", "forecast__kind": "perfect"}
MIXED = {
    "people__shares": {"zero_intelligence": 0.3, "adaptive": 0.3, "colluding_pair": 0.2},
    "people__imitation": {"reviewing": 0.8, "intensity": 300.0, "mutation": 0.2},
}
DAY = 24


def followed(tables) -> list[list[str]]:
    """Return everybody's strategy on each day."""
    return [each["strategies"]["strategy"] for each in tables if "strategies" in each]


def test_savings_by_hand():
    """A shop that buys 1.5 kWh for 0.30 instead of 0.36, and a battery that takes up 1 kWh at 95 % and 0.06."""
    view = next(situations()).view
    portfolio, hours = homes(), view.interval.hours
    prices = SettlementPrices(0.30, 0.06, 0.30, 0.06, 0.06, 0.0, 0.05)
    points = SetPoints.as_it_comes(view.expected)
    after, alone = deliver(portfolio, view.state, points, view.expected, view.interval, view.envelopes)
    money = np.zeros(len(IDS), np.int64)
    before = replace(after, soc_kwh=after.soc_kwh - np.array([1.0, 0.0, 0.0, 0.0]))
    settled = Settled(before, after, alone, money)
    saved = Savings.begun(view.state).after(portfolio, settled, view.expected, prices, view.interval)
    exchanged = np.abs(np.round(1000 * alone.net_kw * hours)) / 1000
    assert alone.net_kw[1] < 0
    np.testing.assert_allclose(saved.exchanged_kwh, exchanged)
    np.testing.assert_allclose(saved.saved_eur[1], 0.36 * exchanged[1])
    bill = np.where(alone.net_kw > 0, -0.06, 0.36) * exchanged
    np.testing.assert_allclose(saved.saved_eur, bill + np.array([0.95 * 0.06, 0.0, 0.0, 0.0]))
    again = saved.after(portfolio, settled, view.expected, prices, view.interval)
    np.testing.assert_allclose(again.total_eur[1], 2 * saved.saved_eur[1])
    assert not again.read().total_eur.any()
    assert encode(Savings.from_plain(decode(encode(again.to_plain()))).to_plain()) == encode(again.to_plain())


def saved(moves: list[tuple[float, float]], held_kwh: float = 3.0) -> list[float]:
    """Return what each interval saves to a lossless battery by (kWh taken up instead of fed in, feed-in price)."""
    view, portfolio = next(situations()).view, homes()
    portfolio = replace(portfolio, battery=replace(portfolio.battery, discharge_efficiency=np.ones(4)))
    points = SetPoints.as_it_comes(view.expected)
    after, alone = deliver(portfolio, view.state, points, view.expected, view.interval, view.envelopes)
    exchanged = np.round(1000 * alone.net_kw * view.interval.hours) / 1000
    savings, before, each = Savings.begun(view.state), replace(after, soc_kwh=np.full(4, held_kwh)), []
    for more_kwh, price in moves:
        prices = SettlementPrices(0.30, price, 0.30, price, 0.06, 0.0, 0.05)
        twin = exchanged * np.where(exchanged > 0.0, price, 0.36)
        money = np.round(1e5 * (twin - more_kwh * price)).astype(np.int64)
        after = replace(before, soc_kwh=before.soc_kwh + more_kwh)
        settled = Settled(before, after, alone, money)
        savings, before = savings.after(portfolio, settled, view.expected, prices, view.interval), after
        each.append(float(savings.saved_eur[1]))
    assert savings.total_eur[1] == pytest.approx(sum(each))
    return each


def test_a_battery_gains_by_feed_in_prices_that_change():
    """10 kWh stored at 0.02 and fed in at 0.06 save 0.40 EUR in a period, whatever prices are before and in between."""
    assert sum(saved([(10.0, 0.02), (-10.0, 0.06)])) == pytest.approx(0.40)
    assert sum(saved([(0.0, 0.09), (10.0, 0.02), (0.0, -0.05), (-10.0, 0.06)])) == pytest.approx(0.40)


def test_what_stays_in_a_battery_is_worth_the_mean_price_of_the_period():
    """10 kWh stored at 0.02 are worth 0.04 at the end; what was there at the review gains nothing by prices."""
    assert sum(saved([(10.0, 0.02), (0.0, 0.06)])) == pytest.approx(10.0 * (0.04 - 0.02))
    for held_kwh in (0.0, 3.0):
        np.testing.assert_allclose(saved([(0.0, 0.02), (0.0, 0.06)], held_kwh), 0.0, atol=1e-5)


def test_a_resume_goes_on_with_the_mean_price_of_the_period():
    """Saved in the middle of a period, after a review in which prices were others, savings go on to the bit."""
    view, portfolio = next(situations()).view, homes()
    points = SetPoints.as_it_comes(view.expected)
    after, alone = deliver(portfolio, view.state, points, view.expected, view.interval, view.envelopes)
    settled = Settled(replace(after, soc_kwh=after.soc_kwh - 1.0), after, alone, np.zeros(4, np.int64))
    one = other = Savings.begun(view.state)
    for number, price in enumerate((0.05, 0.09, 0.02, 0.06, 0.03)):
        prices = SettlementPrices(0.30, price, 0.30, price, 0.06, 0.0, 0.05)
        one, other = (each.after(portfolio, settled, view.expected, prices, view.interval) for each in (one, other))
        one, other = (each.read() if number == 1 else each for each in (one, other))
        other = Savings.from_plain(decode(encode(other.to_plain())))
        assert encode(other.to_plain()) == encode(one.to_plain())
    np.testing.assert_allclose(one.feed_in_eur_per_kwh, (0.02 + 0.06 + 0.03) / 3)


def test_a_resume_where_feed_in_prices_change_is_the_same_to_the_bit(short_runs):
    """The energy price falls below the feed-in price at noon, and that is what is paid then."""
    bands = [{"start": "00:00", "eur_per_kwh": 0.30}, {"start": "10:00", "eur_per_kwh": 0.02}]
    how = {**HOURLY, **MIXED, "tariff__bands": bands}
    whole, kept = short_runs.world(DAY + 4, **how), {}
    stops = (DAY - 8, DAY, DAY + 1)

    def keep(now: int) -> bool:
        if now in stops:
            kept[now] = encode(whole.to_plain())
        return True

    tables = short_runs.play(whole, after_tick=keep)
    assert {float(each["intervals"]["sell_eur_per_kwh"][0]) for each in tables} == {0.02, 0.06}
    for now in stops:
        other = short_runs.world(DAY + 4, **how)
        other.restore(decode(kept[now]))
        short_runs.play(other)
        assert other.state.digest == whole.state.digest


def test_who_decides_nothing_saves_nothing(short_runs):
    """Without market and envelopes passive prosumers pay what their twins pay, to the rounding of the ledger."""
    world = short_runs.world(
        DAY,
        switches=Switches(market=False, envelopes=False),
        people__strategy="passive",
        people__imitation={"reviewing": 0.0},
        people__cars_per_kw=0.6,
        **HOURLY,
    )
    for each in short_runs.play(world):
        people = each["prosumers"]
        assert np.abs(people["saved_eur"]).max() < 2e-5
        np.testing.assert_allclose(people["exchanged_kwh"], np.abs(people["metered_wh"]) / 1000)


def test_counting_savings_changes_nothing_else(short_runs):
    """Where nobody reconsiders the run is the one without, but for what is counted."""
    counted, plain = (
        short_runs.play(short_runs.world(4, people__shares=MIXED["people__shares"], **told))
        for told in ({"people__imitation": {"reviewing": 0.0}}, {})
    )
    for one, other in zip(counted, plain, strict=True):
        one.pop("strategies", None)
        more = {name: one["prosumers"].pop(name) for name in ("saved_eur", "exchanged_kwh")}
        assert all(len(column) == 10 for column in more.values())
        assert encode(one) == encode(other)


def test_strategies_change_between_days_only(short_runs):
    """Everybody has one strategy a day, some change, to what others have, and cohorts are who follows them."""
    world = short_runs.world(DAY + 2, **HOURLY, **MIXED)
    days = followed(short_runs.play(world))
    assert [len(day) for day in days] == [10, 10]
    assert days[0] != days[1]
    assert {name for day in days for name in day} <= set(days[0])
    members = sorted(name for cohort in world.cast.prosumers.cohorts for name in cohort.ids)
    assert members == sorted(world.setting.ids)
    assert world.cast.prosumers.followed == days[-1]


def test_a_period_may_have_several_days(short_runs):
    """With a review every second day strategies stay over the first midnight and change at the second."""
    told = {**MIXED, "people__imitation": {**MIXED["people__imitation"], "every_days": 2}}
    days = followed(short_runs.play(short_runs.world(2 * DAY + 2, **HOURLY, **told)))
    assert days[0] == days[1] != days[2]


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_a_resume_over_a_review_is_the_same_to_the_bit(short_runs, lead):
    """Stopped before and after the review, from saved bytes, with cohorts and one-prosumer strategies mixed."""
    shares = {"zero_intelligence": 0.3, "adaptive": 0.2, "roth_erev_one": 0.2, "gjerstad_dickhaut": 0.2}
    how = {**HOURLY, **MIXED, "people__shares": shares, "market__gate_lead_intervals": lead}
    whole = short_runs.world(DAY + 4, **how)
    kept = {}
    stops = (DAY - lead - 1, DAY - lead)

    def keep(now: int) -> bool:
        if now in stops:
            kept[now] = encode(whole.to_plain())
        return True

    days = followed(short_runs.play(whole, after_tick=keep))
    assert days[0] != days[1]
    for now in stops:
        other = short_runs.world(DAY + 4, **how)
        other.restore(decode(kept[now]))
        short_runs.play(other)
        assert other.state.digest == whole.state.digest


def test_a_run_without_imitation_has_no_word_of_it(short_runs):
    """Neither table nor columns, and a population that keeps its strategies refuses to review them."""
    world = short_runs.world(2)
    (first, _) = short_runs.play(world)
    assert "strategies" not in first
    assert "saved_eur" not in first["prosumers"]
    with pytest.raises(ValueError, match="keep its strategies"):
        world.cast.prosumers.review(None)
