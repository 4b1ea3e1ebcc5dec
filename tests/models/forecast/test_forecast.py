"""Forecasters: what each may know, and how its error behaves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.forecast import (
    Forecaster,
    ForecastView,
    Noisy,
    Perfect,
    Persistence,
    check_forecaster,
    fit_noise,
)

PER_DAY = 96
SERIES = -np.abs(np.random.default_rng(7).normal(3.0, 1.0, (2, 2000)))


def normals_of(seed):
    table = np.random.default_rng(seed).standard_normal((2, 3000))
    return lambda first, count: table[:, first : first + count]


def view(issued_at, first, count, quantity="price", seed=1, values=SERIES):
    return ForecastView(
        quantity=quantity,
        issued_at=issued_at,
        first=first,
        count=count,
        known=672,
        past=lambda count: values[:, issued_at - count : issued_at],
        truth=values[:, first : first + count],
        spread=np.linspace(0.5, 1.5, PER_DAY)[None, :] * np.array([[1.0], [2.0]]),
        rho=np.array([0.9, 0.5]),
        normals=normals_of(seed),
    )


@pytest.mark.parametrize("forecaster", [Perfect(), Persistence(), Noisy(0.7)], ids=lambda f: f.name)
def test_our_own_forecasters_keep_the_contract(forecaster):
    """The check that is shipped to users finds nothing in ours."""
    assert check_forecaster(forecaster) == []


class Forgetful(Forecaster):
    name = "forgetful"

    def forecast(self, view):
        return np.full((len(view.history), view.count), 1.0)


class Remembering(Forecaster):
    name = "remembering"

    def __init__(self):
        self.calls = 0.0

    def forecast(self, view):
        self.calls += 1.0
        return np.full((len(view.history), view.count + 0), -self.calls)


class Crooked(Forecaster):
    name = "crooked"

    def forecast(self, view):
        return np.zeros(view.count)


class Crashing(Forecaster):
    name = "crashing"

    def forecast(self, view):
        return view.truth * 2.0


@pytest.mark.parametrize(
    ("forecaster", "sentence"),
    [
        (Forgetful(), "impossible side of zero"),
        (Remembering(), "differently"),
        (Crooked(), "expected an array"),
        (Crashing(), "raises TypeError"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_check_finds_broken_promises(forecaster, sentence):
    """Wrong sign, memory, wrong shape, and looking at a truth that is not shown are each found."""
    assert any(sentence in fault for fault in check_forecaster(forecaster))


@settings(max_examples=50, deadline=None)
@given(st.integers(700, 1000), st.integers(0, 120), st.integers(1, 200))
def test_persistence_repeats_the_latest_known_day(issued_at, later, count):
    """Every value is from the same time of day, was known at issue, and no known day is later."""
    first = issued_at + later
    asked = view(issued_at, first, count)
    times = np.tile(np.arange(2000), (2, 1)).astype(float)
    answer = Persistence().forecast(
        replace(asked, past=lambda count: times[:, issued_at - count : issued_at], truth=None)
    )
    target = np.arange(first, first + count)
    assert np.all((target - answer) % PER_DAY == 0)
    assert np.all((answer < issued_at) & (answer >= issued_at - PER_DAY))


def test_noise_is_the_stated_formula():
    """The error equals the sum over unknown innovations, written out term by term."""
    asked = view(800, 803, 5)
    eps = asked.normals(0, 3000)
    found = Noisy(0.7).error(asked)
    for row in range(2):
        rho = asked.rho[row]
        for j, t in enumerate(range(803, 808)):
            total = sum(rho ** (t - s) * eps[row, s] for s in range(800, t + 1))
            expected = 0.7 * asked.spread[row, t % PER_DAY] * np.sqrt(1 - rho**2) * total
            assert found[row, j] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_forecasts_issued_later_only_lose_what_became_known(seed, passed):
    """Between two issues a target's error changes by the innovations in between alone."""
    target = 850
    early = Noisy(1.0).error(view(800, target, 1, seed=seed))[:, 0]
    late = Noisy(1.0).error(view(800 + passed, target, 1, seed=seed))[:, 0]
    asked = view(800, target, 1, seed=seed)
    s = np.arange(800, 800 + passed)
    known = np.sum(asked.rho[:, None] ** (target - s) * asked.normals(800, passed), axis=1)
    scale = asked.spread[:, target % PER_DAY] * np.sqrt(1 - asked.rho**2)
    np.testing.assert_allclose(early - late, scale * known, atol=1e-9)


def test_error_grows_with_lead_time_to_the_spread():
    """Over 4,000 draws the deviation at lead 1, 5, 60 is share x spread x sqrt(1 - rho^(2 lead))."""
    errors = np.array([Noisy(0.5).error(view(700, 700, 60, seed=seed)) for seed in range(4000)])
    asked = view(700, 700, 60)
    for lead in (1, 5, 60):
        spread = asked.spread[:, (699 + lead) % PER_DAY]
        expected = 0.5 * spread * np.sqrt(1 - asked.rho ** (2 * lead))
        assert errors[:, :, lead - 1].std(axis=0) == pytest.approx(expected, rel=0.05)


def test_noisy_forecasts_stay_on_their_side_and_nights_stay_dark():
    """Noise never turns demand into generation, and where the spread is 0 the truth comes out."""
    asked = view(700, 700, 96, quantity="demand")
    assert Noisy(5.0).forecast(asked).max() <= 0.0
    sun = view(700, 700, 96, quantity="generation", values=np.zeros((2, 2000)))
    dark = Noisy(5.0).forecast(replace(sun, spread=np.zeros((2, PER_DAY))))
    assert not dark.any()


def test_fit_recovers_the_process_that_made_the_data():
    """A first-order autoregressive series of 400 days gives back its spread (15 %) and correlation (0.02)."""
    rng = np.random.default_rng(3)
    rho, spread = 0.8, np.linspace(0.0, 2.0, PER_DAY)
    eps = rng.standard_normal(400 * PER_DAY) * np.sqrt(1 - rho**2)
    noise = np.empty_like(eps)
    level = rng.standard_normal()
    for place, step in enumerate(eps):
        level = rho * level + step
        noise[place] = level
    shape = 5.0 + np.sin(np.arange(400 * PER_DAY) * 2 * np.pi / PER_DAY)
    values = shape + noise * np.tile(spread, 400)
    found_spread, found_rho = fit_noise(values[None, :], PER_DAY)
    assert found_rho == pytest.approx([rho], abs=0.02)
    np.testing.assert_allclose(found_spread[0, 1:], spread[1:], rtol=0.15)
    assert found_spread[0, 0] == 0.0


def test_too_short_a_past_is_said():
    """Fitting and persistence name how much they need."""
    with pytest.raises(ValueError, match="two days"):
        fit_noise(np.zeros((1, 100)), PER_DAY)
    asked = view(700, 700, 4)
    with pytest.raises(ValueError, match="96 known intervals"):
        Persistence().forecast(replace(asked, known=50))
