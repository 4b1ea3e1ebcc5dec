"""The tariff of a scenario, of the package or a plug-in: made with what of the scenario it has fields for."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, time
from typing import Any, Final

import numpy as np

from cosim.experiments.begin import begun
from cosim.experiments.guarded_tariff import guarded
from cosim.experiments.scenario import Scenario
from cosim.guard import Guard
from cosim.models.errors import BadInputError
from cosim.models.market.check_tariff import check_tariff
from cosim.models.market.tariff import Band, Dynamic, PriceSeries, Publication, Tariff, TimeOfUse
from cosim.setting import Setting

KEY: Final = "tariff.kind"
OURS: Final = (TimeOfUse, Dynamic)
# What `cosim check` gives a tariff: summer days, a price that changes every hour and is below zero at times.
_SAMPLE_START: Final = datetime(2016, 6, 19, 23, tzinfo=UTC)
_SAMPLE_ZONE: Final = "Europe/Berlin"
_SAMPLE_DAYS: Final = 14


def offered(scenario: Scenario, day_ahead: PriceSeries) -> dict[str, Any]:
    """Return what a scenario offers a tariff, by the name of the field that it is for."""
    section, start, zone = scenario.tariff, scenario.time.start, scenario.time.zone
    return {
        "feed_in_eur_per_kwh": section.feed_in_eur_per_kwh,
        "network_charge_eur_per_kwh": section.network_charge_eur_per_kwh,
        "market_fee_eur_per_kwh": scenario.market.fee_eur_per_kwh,
        "bands": tuple(Band(time.fromisoformat(band.start), band.eur_per_kwh) for band in section.bands),
        "markup_eur_per_kwh": section.markup_eur_per_kwh,
        "run_start": start,
        "zone": zone,
        "day_ahead": day_ahead,
        "publication": Publication(start, zone),
    }


def sample() -> dict[str, Any]:
    """Return what a made-up scenario offers a tariff that is checked."""
    day = 0.08 - 0.1 * np.cos(2 * np.pi * np.arange(24) / 24)
    return {
        "feed_in_eur_per_kwh": 0.06,
        "network_charge_eur_per_kwh": 0.08,
        "market_fee_eur_per_kwh": 0.01,
        "bands": (Band(time(0), 0.16), Band(time(6), 0.28)),
        "markup_eur_per_kwh": 0.12,
        "run_start": _SAMPLE_START,
        "zone": _SAMPLE_ZONE,
        "day_ahead": PriceSeries(np.tile(day, _SAMPLE_DAYS), first_s=-3 * 86_400),
        "publication": Publication(_SAMPLE_START, _SAMPLE_ZONE),
    }


def tariff_of(make: Any, offers: Mapping[str, Any], *, file: str, name: str) -> Tariff:
    """Make a tariff of a class with those offers that it has fields for; BadInputError says why it cannot be made."""
    wanted = {field.name for field in fields(make)} if isinstance(make, type) and issubclass(make, Tariff) else set()
    given = {key: value for key, value in offers.items() if key in wanted}
    tariff: Tariff = begun(make, Tariff, file=file, key=KEY, name=name, **given)
    return tariff


def ask_ahead(setting: Setting, guard: Guard, *, file: str, name: str) -> Tariff:
    """Return the tariff of a setting; BadInputError where the run could not go on with it.

    One of a person's own is asked for every price of the run, and these stand in for those that it gives no more in
    the course of it: a price is money that somebody owes.
    """
    if type(setting.tariff) in OURS:
        return setting.tariff
    ahead = setting.gate_lead + setting.horizon(0).base_intervals
    end_s = (setting.intervals + ahead) * setting.interval_s
    if broken := check_tariff(setting.tariff, 0, end_s):
        raise BadInputError.one(file, KEY, name, "; ".join(broken))
    return guarded(setting.tariff, guard, end_s, setting.interval_s, file=file, name=name)
