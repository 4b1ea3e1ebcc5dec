"""Orders: one order's rules, the columns of a book, and the faults found in a strategy's book."""

import math

import numpy as np
import pytest

from cosim.models.market.order import BUY, MAX_ENERGY_WH, SELL, Order, Orders, faults


def book(**columns: np.ndarray) -> Orders:
    sound = {
        "owner": np.array([0, 1], np.int64),
        "side": np.array([SELL, BUY], np.int8),
        "energy_wh": np.array([100, 200], np.int64),
        "limit_eur_per_kwh": np.array([0.1, 0.2]),
    }
    return Orders(**{**sound, **columns})


@pytest.mark.parametrize(
    ("side", "energy_kwh", "limit", "word"),
    [
        ("give", 1.0, 0.1, "side"),
        ("sell", -1.0, 0.1, "energy_kwh"),
        ("sell", math.nan, 0.1, "energy_kwh"),
        ("sell", math.inf, 0.1, "energy_kwh"),
        ("buy", 1.0, math.nan, "limit_eur_per_kwh"),
        ("buy", 1.0, -math.inf, "limit_eur_per_kwh"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(side, energy_kwh, limit, word):
    """A strategy's nonsense is named at the order itself, not three modules later."""
    with pytest.raises(ValueError, match=word):
        Order(side, energy_kwh, limit)


def test_orders_become_columns():
    """Sides, whole Wh and limits arrive in the columns; 0.29 kWh are 290 Wh though binary ones are less."""
    orders = Orders.of(3, [Order("buy", 0.29, 0.2), Order("sell", 0.0009, 0.1), Order("sell", 1.9999, 0.1)])
    assert orders.owner.tolist() == [3, 3]
    assert orders.side.tolist() == [BUY, SELL]
    assert orders.energy_wh.tolist() == [290, 1999]
    assert orders.limit_eur_per_kwh.tolist() == [0.2, 0.1]
    assert faults(orders, 4) == []


def test_books_join_and_split():
    """Joining keeps order; taking rows gives them back; joining nothing is the empty book."""
    both = Orders.concat([book(), book(owner=np.array([5, 6]))])
    assert both.owner.tolist() == [0, 1, 5, 6]
    assert both.take(both.owner > 4).owner.tolist() == [5, 6]
    assert len(Orders.concat([])) == 0
    assert faults(Orders.concat([Orders.empty(), Orders.empty()]), 0) == []


def test_the_smallest_and_the_greatest_order_are_sound():
    """One Wh and 1 GWh are orders; the sides are +1 and -1, as tables of other people may rely on."""
    orders = Orders.of(0, [Order("sell", 0.001, 0.1)])
    assert orders.energy_wh.tolist() == [1]
    assert faults(book(energy_wh=np.array([1_000_000_000, 1])), 2) == []
    assert Order("buy", 1_000_000.0, 0.1).energy_kwh * 1000 == MAX_ENERGY_WH == 1_000_000_000
    assert (SELL, BUY) == (1, -1)


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"owner": [0, 1]}, "owner is a list"),
        ({"owner": np.array([0.0, 1.0])}, "owner is float64"),
        ({"energy_wh": np.array([[1], [2]])}, "2 axes"),
        ({"side": np.array([1], np.int8)}, "length"),
        ({"owner": np.array([0, 2])}, "owner outside 0 to 1 in 1 orders, first at 1"),
        ({"owner": np.array([-1, 0])}, "owner outside"),
        ({"side": np.array([0, 1], np.int8)}, "neither"),
        ({"energy_wh": np.array([0, 5])}, "not positive"),
        ({"energy_wh": np.array([5, MAX_ENERGY_WH + 1])}, "above"),
        ({"limit_eur_per_kwh": np.array([np.nan, 0.1])}, "not finite"),
        ({"owner": np.array([1, 1]), "energy_wh": np.array([MAX_ENERGY_WH, 1])}, "owner 1 orders more"),
    ],
)
def test_faults_of_a_book_are_named(columns, word):
    """Wrong types, shapes and values of a cohort strategy are found, each in words."""
    assert any(word in fault for fault in faults(book(**columns), 2))


def test_all_value_faults_come_at_once():
    """A person mends a strategy once: two faults are both told."""
    found = faults(book(energy_wh=np.array([-1, 1]), limit_eur_per_kwh=np.array([0.1, np.inf])), 2)
    assert len(found) == 2
