"""Ageing batteries: segments against rainflow counting, against a slow loop, and capacity that fades."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Interval
from cosim.models.devices import Ageing, DeviceState, deliver
from cosim.models.devices.ageing import cycle_life, mean_wear_eur_per_kwh
from cosim.models.devices.balance import energy_residual_kwh
from cosim.models.devices.battery import Battery

SEEDS = st.integers(0, 2**32 - 1)
ONE, EVER = np.ones(1), 1e30 * np.ones(1)


def battery(ageing, capacity=10.0):
    """Return one battery of all its capacity, without losses."""
    return Battery(capacity * ONE, capacity * ONE, ONE, ONE, 0 * ONE, capacity * ONE, 0 * ONE, ageing)


def rainflow(levels):
    """Return the life that a path of states of charge takes: closed cycles, then half-cycles that discharge.

    The four-point rule on a stack, e.g. Amzallag et al., Int. J. Fatigue 16 (1994).
    """
    stack, cycles = [], []
    for level in levels:
        if len(stack) > 1 and (stack[-1] - stack[-2]) * (level - stack[-1]) >= 0:
            stack.pop()
        stack.append(level)
        while len(stack) >= 4:
            outer, inner, last = (abs(stack[k + 1] - stack[k]) for k in (-4, -3, -2))
            if inner > outer or inner > last:
                break
            cycles.append(inner)
            del stack[-3:-1]
    halves = [stack[k] - stack[k + 1] for k in range(len(stack) - 1) if stack[k + 1] < stack[k]]
    return sum(float(cycle_life(np.array(depth))) for depth in cycles + halves)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=30))
def test_segments_count_like_rainflow(percents):
    """With a segment for each percent, any path between whole percents takes the life that rainflow counts."""
    ageing, levels = Ageing(ONE, EVER, segments=100), [10.0 * percent / 100 for percent in percents]
    one = battery(ageing)
    segment, life = ageing.filled(levels[0] * ONE, one.capacity_kwh), np.zeros(1)
    for level in levels[1:]:
        segment, soc, life = ageing.after(segment, life, level * ONE, one.rated(), 1.0)
        # Capacity fades by less than is seen here.
        np.testing.assert_allclose(soc, level, atol=2e-2)
    assert life[0] == pytest.approx(rainflow([level / 10.0 for level in levels]), rel=0.05, abs=1e-6)


def test_fewer_segments_are_nearer_to_linear():
    """A path of many depths: twenty segments are within a few percent, one alone is the linear wear of full cycles."""
    path = 10.0 * (0.5 + 0.4 * np.sin(np.arange(200)) * np.cos(0.1 * np.arange(200)))
    exact, found = rainflow(path / 10.0), {}
    for count in (1, 20):
        ageing = Ageing(ONE, EVER, segments=count)
        one = battery(ageing)
        segment, life = ageing.filled(path[0] * ONE, one.capacity_kwh), np.zeros(1)
        for level in path[1:]:
            segment, _, life = ageing.after(segment, life, level * ONE, one.rated(), 1.0)
        found[count] = life[0]
    assert found[20] == pytest.approx(exact, rel=0.05)
    taken = np.maximum(-np.diff(path), 0.0).sum() / 10.0
    assert found[1] == pytest.approx(taken * 5.24e-4, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_columns_agree_with_one_battery_in_a_loop(draw_portfolio, draw_columns, seed):
    """Segments, life, energy and cost of every battery over eight intervals equal plain Python; energies close."""
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 3, 1)
    ageing = Ageing(rng.uniform(0.0, 300.0, 3), rng.uniform(1e3, 1e5, 3), segments=4)
    portfolio = replace(portfolio, battery=replace(portfolio.battery, ageing=ageing))
    state, wish, exogenous = draw_columns(rng, portfolio)
    state = portfolio.new(state)
    interval, loops = Interval(0, 0, 3600), [slow(portfolio, row, float(state.soc_kwh[row])) for row in range(3)]
    for _ in range(8):
        points = replace(wish, battery_kw=rng.uniform(-20.0, 20.0, 3))
        after, delivery = deliver(portfolio, state, points, exogenous, interval, Envelopes.unlimited(3))
        assert np.all(energy_residual_kwh(portfolio, state, after, delivery, exogenous, interval) < 1e-8)
        for row, loop in enumerate(loops):
            power, cost = loop(float(points.battery_kw[row]), after)
            assert delivery.battery_kw[row] == pytest.approx(power, abs=1e-9)
            assert delivery.ageing_eur[row] == pytest.approx(cost, abs=1e-9)
        state = after


def slow(portfolio, row, soc):
    """Return a function that charges or discharges one battery for an hour and compares its state with columns."""
    b, ageing = portfolio.battery, portfolio.battery.ageing
    capacity, size = float(b.capacity_kwh[row]), float(b.capacity_kwh[row]) / ageing.segments
    low, top = float(b.soc_min_kwh[row]), float(b.soc_max_kwh[row])
    gain, loss = float(b.charge_efficiency[row]), float(b.discharge_efficiency[row])
    segments, life = [min(max(soc - size * k, 0.0), size) for k in range(ageing.segments)], 0.0

    def hour(wish_kw, after):
        nonlocal life
        soc, before = sum(segments), life
        most = max(top * (1 - 0.2 * life), low)
        rating = float(b.power_kw[row])
        lowest, highest = -min(rating, max(most - soc, 0.0) / gain), min(rating, max(soc - low, 0.0) * loss)
        power = min(max(wish_kw, lowest), highest)
        moved = -power * gain if power < 0 else -power / loss
        for k in range(ageing.segments):
            step = min(max(moved, -segments[k]), size - segments[k])
            segments[k] += step
            moved -= step
            if step < 0:
                gained = ((k + 1) / ageing.segments) ** 2.03 - (k / ageing.segments) ** 2.03
                life += 5.24e-4 * gained * -step / size
        life += 1.0 / float(ageing.calendar_h[row])
        too_much = sum(segments) - max(top * (1 - 0.2 * life), low)
        for k in reversed(range(ageing.segments)):
            lost = min(segments[k], max(too_much, 0.0))
            segments[k] -= lost
            too_much -= lost
        np.testing.assert_allclose(after.segment_kwh[row], segments, atol=1e-8)
        np.testing.assert_allclose([after.soc_kwh[row], after.life_lost[row]], [sum(segments), life], atol=1e-8)
        return power, (life - before) * capacity * float(ageing.price_eur_per_kwh[row])

    return hour


def test_a_battery_that_only_stands_lasts_its_calendar():
    """After half its calendar a full battery holds nine tenths of its capacity, and the rest of its charge is lost."""
    ageing = Ageing(100 * ONE, 1000.0 * ONE)
    one = battery(ageing)
    segment, soc, life = ageing.after(ageing.filled(10 * ONE, one.capacity_kwh), 0 * ONE, 10 * ONE, one.rated(), 500.0)
    assert life == pytest.approx(0.5)
    assert soc == pytest.approx(9.0)
    assert segment.sum() == pytest.approx(9.0)
    assert ageing.cost_eur(life, one.capacity_kwh) == pytest.approx(0.5 * 10 * 100)
    assert one.aged(life).soc_max_kwh == pytest.approx(9.0)


def test_linear_wear_costs_what_a_full_cycle_does():
    """A cycle of all usable capacity costs the same by linear wear and by its depth."""
    wear, depth = mean_wear_eur_per_kwh(200.0, 0.85, 0.95, 0.9), 0.85 * 10.0
    assert wear * (depth / 0.95 + depth * 0.9) == pytest.approx(200.0 * 10.0 * float(cycle_life(np.array(0.85))))


def test_a_checkpoint_keeps_the_age(draw_portfolio, draw_columns):
    """Arrays of an aged state rebuild it; those of a state without ages rebuild that one."""
    rng = np.random.default_rng(1)
    portfolio = draw_portfolio(rng, 3, 1)
    plain = portfolio.initial_state()
    aged = replace(portfolio, battery=replace(portfolio.battery, ageing=Ageing(np.ones(3), np.ones(3)))).new(plain)
    for state in (plain, aged):
        again = DeviceState.from_arrays(state.to_arrays())
        assert again.to_arrays().keys() == state.to_arrays().keys()
        assert all(np.array_equal(again.to_arrays()[name], column) for name, column in state.to_arrays().items())
