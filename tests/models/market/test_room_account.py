"""Rows of negotiated room: kW for an interval become Wh, signs say who gives, lump sums are one kWh."""

import numpy as np

from cosim.models.market.room_account import RoomTrade, top_up_rows, trade_rows
from cosim.models.time import Interval

TRADE = RoomTrade(np.array([2.0, -1.0]), np.array([0.1, 0.2]), np.array([0.5, 4.0]), np.array([0.3, 0.4]))


def test_export_rows_come_before_import_rows():
    """Each prosumer has both, with the energy of the interval in Wh, negative where room is given back."""
    rows = trade_rows(TRADE, Interval(0, 0, 900))
    assert rows.party.tolist() == [0, 1, 0, 1]
    assert rows.taken_wh.tolist() == [500, -250, 125, 1000]
    assert rows.price_eur_per_kwh.tolist() == [0.1, 0.2, 0.3, 0.4]


def test_an_hour_of_room_costs_the_sum_of_both_sides():
    """Power in kW times EUR/kWh of export room and of import room add up; no room costs nothing."""
    assert np.allclose(TRADE.rate_eur_per_h(), [2.0 * 0.1 + 0.5 * 0.3, -1.0 * 0.2 + 4.0 * 0.4])
    assert RoomTrade.none(2).rate_eur_per_h().tolist() == [0.0, 0.0]


def test_a_top_up_is_one_kilowatt_hour_at_its_amount():
    """Who is owed nothing has no energy in the row; who is owed gets it from the operator."""
    rows = top_up_rows(np.array([0.0, 0.25]))
    assert rows.party.tolist() == [0, 1]
    assert rows.taken_wh.tolist() == [0, -1000]
    assert rows.price_eur_per_kwh.tolist() == [0.0, 0.25]
