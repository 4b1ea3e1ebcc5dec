"""The ledger by hand: account numbers, balances of money and of energy, and taking rows."""

import numpy as np

from cosim.models.market.ledger import Accounts, Ledger, LedgerKind


def ledger(*rows) -> Ledger:
    """Return a ledger of (kind, payer, payee, Wh, EUR/kWh, money)."""
    types = (np.int8, np.int64, np.int64, np.int64, np.float64, np.int64)
    return Ledger(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)))


ROWS = (
    (LedgerKind.CONTRACT, 0, 2, 500, 0.3, 15_000),
    (LedgerKind.LOSS, 3, 5, 40, 0.1, 400),
    (LedgerKind.NETWORK_CHARGE, 0, 3, 500, 0.08, 4_000),
)


def test_accounts_are_numbered_after_the_prosumers():
    """Five named accounts follow the prosumers, each with its number, its name and a place in the count."""
    two = Accounts(2)
    numbers = [two.supplier, two.operator, two.marketplace, two.upstream, two.passive]
    assert numbers == [2, 3, 4, 5, 6]
    assert two.count == 7
    assert two.names(["a", "b"]) == ["a", "b", "supplier", "operator", "marketplace", "upstream", "passive"]


def test_balances_are_what_came_less_what_went():
    """Money counts in every row, energy only where it moved: up to losses, not with charges."""
    book = ledger(*ROWS)
    assert len(book) == 3
    assert book.balances(Accounts(2)).tolist() == [-19_000, 0, 15_000, 3_600, 0, 400, 0]
    assert book.energy_balances(Accounts(2)).tolist() == [-500, 0, 500, -40, 0, 40, 0]


def test_rows_are_taken_and_joined():
    """Rows of one kind are those alone; what follows stands behind, every column of it."""
    book = ledger(*ROWS)
    losses = book.of(LedgerKind.LOSS)
    assert (len(losses), losses.money.tolist(), losses.payee.tolist()) == (1, [400], [5])
    both = losses.followed_by(book)
    assert both.energy_wh.tolist() == [40, 500, 40, 500]
    assert both.kind.tolist() == [LedgerKind.LOSS, *(row[0] for row in ROWS)]
