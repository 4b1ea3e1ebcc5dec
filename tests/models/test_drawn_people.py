"""Drawn customers: the same for a seed among however many, spread evenly, with devices as said."""

from dataclasses import fields

import numpy as np

from cosim.models.drawn_people import KINDS, DeviceShares, draw_people
from cosim.models.prosumer_checks import BATTERY_HOURS
from cosim.models.village import profile_columns

SHARES = DeviceShares(pv=0.6, battery=0.5, heat_pump=0.35)
BUSES = np.arange(10, 60)


def columns(table):
    """Return a table's columns as plain lists, in which NaN equals itself."""
    return [np.array(getattr(table, item.name)).astype(str).tolist() for item in fields(table)]


def test_a_seed_is_a_population():
    """The same words draw the same table; another seed draws other kinds, devices and places."""
    one, again, other = (draw_people(BUSES, 200, seed, SHARES) for seed in (5, 5, 6))
    assert columns(one) == columns(again)
    assert not np.array_equal(one.pv_kw, other.pv_kw)
    assert not np.array_equal(one.bus, other.bus)
    assert one.kind != other.kind


def test_more_people_change_none():
    """The first hundred of a thousand are those of a hundred: same id, kind, bus and devices."""
    few, many = draw_people(BUSES, 100, 1, SHARES), draw_people(BUSES, 1_000, 1, SHARES)
    assert columns(few) == columns(many.take(np.arange(100)))


def test_people_are_spread_evenly():
    """No bus has two prosumers more than another; buses left over have one passive home without devices."""
    many = draw_people(BUSES, 120, 1, SHARES)
    counts = np.bincount(many.bus)[BUSES]
    assert (counts.min(), counts.max(), many.takes_part.all()) == (2, 3, True)
    few = draw_people(BUSES, 20, 1, SHARES)
    assert sorted(few.bus.tolist()) == BUSES.tolist()
    passive = ~few.takes_part
    assert passive.sum() == 30
    assert {few.kind[row] for row in np.flatnonzero(passive)} == {"residential"}
    assert not (few.pv_kw + few.battery_kw + few.heat_pump_kw)[passive].any()


def test_shares_and_sizes_are_as_said():
    """Of 4,000 as many as said have each device, within three standard deviations; sizes stay in limits."""
    table = draw_people(BUSES, 4_000, 1, SHARES)
    homes = np.array([kind == "residential" for kind in table.kind])
    sun = table.pv_kw > 0
    for has, share in (
        (sun, SHARES.pv),
        ((table.battery_kw > 0)[sun], SHARES.battery),
        ((table.heat_pump_kw > 0)[homes], SHARES.heat_pump),
        (homes, KINDS["residential"].share),
    ):
        assert abs(has.mean() - share) < 3.0 * np.sqrt(share * (1 - share) / len(has))
    for name, kind in KINDS.items():
        mine = np.array([own == name for own in table.kind])
        assert kind.peak_kw[0] <= table.load_kw[mine].min() <= table.load_kw[mine].max() <= kind.peak_kw[1]
        assert kind.roof_kwp[0] <= table.pv_kw[mine & sun].min() <= table.pv_kw[mine & sun].max() <= kind.roof_kwp[1]
    stores = table.battery_kw > 0
    hours = table.battery_kwh[stores] / table.battery_kw[stores]
    assert BATTERY_HOURS[0] <= hours.min() <= hours.max() <= BATTERY_HOURS[1]


def test_no_shares_no_devices():
    """Shares of 0 leave nobody a device, shares of 1 everybody who can have it."""
    nobody = draw_people(BUSES, 300, 1, DeviceShares(0.0, 0.0, 0.0))
    assert not (nobody.pv_kw + nobody.battery_kw + nobody.heat_pump_kw).any()
    assert {*nobody.pv_profile, *nobody.heat_pump_profile} == {None}
    everybody = draw_people(BUSES, 300, 1, DeviceShares(1.0, 1.0, 1.0))
    homes = np.array([kind == "residential" for kind in everybody.kind])
    assert (everybody.pv_kw > 0).all()
    assert (everybody.battery_kw > 0).all()
    assert np.array_equal(everybody.heat_pump_kw > 0, homes)


def test_days_differ():
    """A hundred have at least five load profiles, all eight of the sun, and ids of kind and number."""
    table = draw_people(BUSES, 100, 1, SHARES)
    assert len(set(table.load_profile)) >= 5
    assert len({name for name in table.pv_profile if name}) == 8
    assert len(profile_columns(table)) >= 15
    assert all(name.split("-")[0] == KINDS[kind].word for name, kind in zip(table.ids, table.kind, strict=True))
    assert [int(name.split("-")[1]) for name in table.ids] == list(range(1, 101))
