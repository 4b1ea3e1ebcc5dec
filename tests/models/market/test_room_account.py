"""Rows of negotiated room: kW for an interval become Wh, signs say who gives, lump sums are one kWh."""

import numpy as np

from cosim.models.market.ledger import MONEY_PER_EUR, LedgerKind
from cosim.models.market.mechanism import Trades
from cosim.models.market.room_account import RoomAccount, RoomTrade, top_up_rows, trade_rows
from cosim.models.market.settlement import SettlementPrices, settle
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


def test_room_is_settled_with_the_operator():
    """Buyers of room pay the operator, sellers are paid by it, free room leaves no row; money is to the unit."""
    free = RoomTrade(np.array([3.0, 3.0]), np.zeros(2), np.array([1.0, 0.0]), np.array([4e-5, 0.0]))
    room = RoomAccount(TRADE, free, np.array([0.0, 0.25]))
    still = np.zeros(2, np.int64)
    ledger = settle(
        trades=Trades.empty(),
        nominated_wh=still,
        metered_wh=still,
        passive_wh=0,
        loss_wh=0,
        prices=SettlementPrices(0.3, 0.08, 0.3, 0.08, 0.1, 0.002, 0.06),
        room=(room, Interval(0, 0, 900)),
    )
    operator = 3
    day, now, top_up = LedgerKind.ROOM_DAY_AHEAD, LedgerKind.ROOM, LedgerKind.ROOM_TOP_UP
    assert ledger.kind.tolist() == [day, day, day, day, now, top_up]
    assert ledger.payer.tolist() == [0, operator, 0, 1, 0, operator]
    assert ledger.payee.tolist() == [operator, 1, operator, operator, operator, 1]
    assert ledger.energy_wh.tolist() == [500, 250, 125, 1000, 250, 1000]
    assert ledger.money.tolist() == [0.05 * MONEY_PER_EUR, 0.05 * MONEY_PER_EUR, 3750, 0.4 * MONEY_PER_EUR, 1, 25_000]
