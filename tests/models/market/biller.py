"""A second biller that shares nothing with the package: rows of plain dicts in, exact decimals out."""

from decimal import Decimal


def bill_eur(account: str, interval: dict[str, Decimal], meters: list[dict], trades: list[dict]) -> Decimal:
    """Return what an account earns (pays: negative) in an interval, by the rules as a customer reads them."""
    price = {key: value / 1000 for key, value in interval.items() if key.endswith("price")}  # EUR per Wh
    earned = dict.fromkeys(["supplier", "operator", "marketplace", "upstream"], Decimal(0))
    due_from_upstream = Decimal(0)
    for meter in meters:  # the row named "passive" nominates what it meters and trades nothing
        name, nominated, metered = meter["name"], Decimal(meter["nominated_wh"]), Decimal(meter["metered_wh"])
        sales = [t for t in trades if t["seller"] == name]
        purchases = [t for t in trades if t["buyer"] == name]
        own_trades = sum((Decimal(t["energy_wh"]) for t in sales), Decimal(0))
        own_trades -= sum((Decimal(t["energy_wh"]) for t in purchases), Decimal(0))
        contract, deviation = nominated - own_trades, metered - nominated
        money = contract * (price["feed_in_price"] if contract > 0 else price["energy_price"])
        penalty = price["feed_in_price"] if deviation > 0 else price["energy_price"]
        money += deviation * penalty - abs(deviation) * Decimal("0.3") * abs(penalty)
        earned["supplier"] -= money
        network = -min(metered, Decimal(0)) * price["network_price"]
        fee = sum((Decimal(t["energy_wh"]) for t in sales + purchases), Decimal(0)) * price["fee_price"]
        earned["operator"] += network
        earned["marketplace"] += fee
        traded = sum((Decimal(t["energy_wh"]) * t["eur_per_wh"] for t in sales), Decimal(0))
        traded -= sum((Decimal(t["energy_wh"]) * t["eur_per_wh"] for t in purchases), Decimal(0))
        earned[name] = money + traded - network - fee
        due_from_upstream -= metered
    earned["supplier"] -= due_from_upstream * price["day_ahead_price"]
    losses = interval["slack_wh"] - due_from_upstream
    earned["operator"] -= losses * price["day_ahead_price"]
    earned["upstream"] = interval["slack_wh"] * price["day_ahead_price"]
    return earned[account]
