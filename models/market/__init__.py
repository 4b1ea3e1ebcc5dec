"""Markets: orders, mechanisms, tariffs, and the ledger that settles them."""
