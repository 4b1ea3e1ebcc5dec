"""Tariffs: bands by the wall clock through clock changes, day-ahead prices, means over steps, bad input."""

import math
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cosim.models.errors import BadInputError
from cosim.models.market.local_time import clock_seconds
from cosim.models.market.tariff import Band, Dynamic, PriceSeries, TimeOfUse

# Night 45, peak 120, else 80; feed-in 35 EUR/MWh.
BANDS = (
    Band(time(6), 0.080),
    Band(time(10), 0.120),
    Band(time(13), 0.080),
    Band(time(18), 0.120),
    Band(time(20), 0.080),
    Band(time(23), 0.045),
)


def time_of_use(start: datetime, **changes) -> TimeOfUse:
    fields = {
        "bands": BANDS,
        "zone": "Europe/Berlin",
        "run_start": start,
        "feed_in_eur_per_kwh": 0.035,
        "network_charge_eur_per_kwh": 0.07,
        "market_fee_eur_per_kwh": 0.002,
    }
    return TimeOfUse(**{**fields, **changes})


def twin(moment: datetime) -> float:
    """Price at one moment, by comparing wall-clock times one at a time."""
    local = moment.astimezone(ZoneInfo("Europe/Berlin")).time()
    return ([band.energy_eur_per_kwh for band in BANDS if band.start <= local] or [BANDS[-1].energy_eur_per_kwh])[-1]


@pytest.mark.parametrize(
    ("start", "quarters"),
    [
        (datetime(2016, 3, 26, 23, tzinfo=UTC), 92),
        (datetime(2016, 10, 29, 22, tzinfo=UTC), 100),
        (datetime(2016, 6, 19, 22, tzinfo=UTC), 96),
    ],
)
def test_bands_follow_the_wall_clock(start, quarters):
    """Every quarter-hour of a short, a long and an ordinary local day has the price its wall clock says."""
    times_s = np.arange(quarters) * 900
    prices = time_of_use(start).prices(times_s, np.full(quarters, 0.25))
    moments = [start + timedelta(seconds=int(second)) for second in times_s]
    assert moments[0].astimezone(ZoneInfo("Europe/Berlin")).time() == time(0)
    assert (moments[-1] + timedelta(minutes=15)).astimezone(ZoneInfo("Europe/Berlin")).time() == time(0)
    assert prices.energy_eur_per_kwh.tolist() == [twin(moment) for moment in moments]
    assert prices.sell_eur_per_kwh.tolist() == [0.035] * quarters
    assert prices.buy_eur_per_kwh == pytest.approx(prices.energy_eur_per_kwh + 0.07)
    assert prices.market_fee_eur_per_kwh == 0.002


def test_clock_seconds_before_the_run_and_out_of_order():
    """Times may be negative and unsorted: each is read by itself."""
    start = datetime(2016, 3, 27, 1, tzinfo=UTC)  # the very moment the clocks go forward
    seconds = clock_seconds(np.array([0, -1, 86_400, -900]), start, "Europe/Berlin")
    assert seconds.tolist() == [3 * 3600, 2 * 3600 - 1, 3 * 3600, 2 * 3600 - 900]


def test_steps_get_mean_prices():
    """A step across a band's start gets the mean by time, exact also for five-minute steps."""
    tariff = time_of_use(datetime(2016, 1, 11, 4, 30, tzinfo=UTC))  # 05:30 local
    prices = tariff.prices(np.array([0, 3600, 4200]), np.array([1.0, 1 / 6, 1 / 12]))
    assert prices.energy_eur_per_kwh == pytest.approx([(0.045 + 0.080) / 2, 0.080, 0.080], abs=1e-12)


def test_one_band_is_a_flat_tariff_without_charges():
    """The least a tariff needs: one band and a feed-in price; charges are zero unless told."""
    flat = TimeOfUse(
        bands=(Band(time(12), 0.3),),
        zone="UTC",
        run_start=datetime(2016, 1, 1, tzinfo=UTC),
        feed_in_eur_per_kwh=0.1,
    )
    prices = flat.prices(np.array([0, 86_399 * 900]), np.array([0.25, 0.25]))
    assert prices.energy_eur_per_kwh.tolist() == [0.3, 0.3]
    assert (prices.network_charge_eur_per_kwh, prices.market_fee_eur_per_kwh) == (0, 0)


def test_day_ahead_and_markup():
    """The dynamic tariff adds its markup; feed-in never exceeds the energy price, negative ones included."""
    series = PriceSeries(np.array([0.05, -0.06, 0.20]), first_s=-3600)
    tariff = Dynamic(feed_in_eur_per_kwh=0.08, day_ahead=series, markup_eur_per_kwh=0.02)
    prices = tariff.prices(np.array([-3600, 0, 1800]), np.array([1.0, 0.5, 1.0]))
    assert prices.energy_eur_per_kwh == pytest.approx([0.07, -0.04, 0.09])
    assert prices.sell_eur_per_kwh == pytest.approx([0.07, -0.04, (-0.04 + 0.08) / 2])


@pytest.mark.parametrize("second", [-3601, 7200])
def test_times_without_a_price_are_refused(second):
    """Asking beyond the series is the user's mistake and says how far prices reach."""
    series = PriceSeries(np.array([0.05, -0.06, 0.20]), first_s=-3600)
    assert series.at(np.array([-3600, 7199])).tolist() == [0.05, 0.20]
    with pytest.raises(BadInputError, match="from -3600 to 7200 s"):
        series.at(np.array([second]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bands": ()}, ["at least one band"]),
        ({"bands": (Band(time(6), math.nan),)}, ["bands[0]", "finite"]),
        ({"bands": (Band(time(6, 10), 0.1),)}, ["quarter-hours"]),
        ({"bands": (Band(time(6), 0.1), Band(time(6), 0.2))}, ["in the order"]),
        ({"zone": "Europe/Berlim"}, ["did you mean 'Europe/Berlin'"]),
        ({"run_start": datetime(2016, 1, 1)}, ["run_start"]),  # noqa: DTZ001  the fault that is tested
        ({"feed_in_eur_per_kwh": math.inf}, ["feed_in_eur_per_kwh"]),
        (
            {"network_charge_eur_per_kwh": -0.1, "market_fee_eur_per_kwh": math.nan},
            ["network_charge", "market_fee"],
        ),
    ],
)
def test_bad_tariffs_are_refused(changes, words):
    """Every fault of a tariff is named, all at once."""
    with pytest.raises(BadInputError) as caught:
        time_of_use(datetime(2016, 1, 1, tzinfo=UTC), **changes)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("values", "step_s", "markup", "word"),
    [([0.1, math.nan], 3600, 0.0, "row 1"), ([0.1], 0, 0.0, "step_s"), ([0.1], 3600, math.inf, "markup")],
)
def test_bad_series_are_refused(values, step_s, markup, word):
    """A hole in the prices, a step without length and an endless markup are refused."""
    with pytest.raises(BadInputError, match=word):
        Dynamic(
            feed_in_eur_per_kwh=0.0,
            day_ahead=PriceSeries(np.array(values), 0, step_s),
            markup_eur_per_kwh=markup,
        )
