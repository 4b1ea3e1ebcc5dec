"""What actors go by where a letter has not reached them: the static band, which everybody knows beforehand.

A connection whose request or grant was lost has the static band, and its marketplace the volume of it. Where nothing
was nominated the operator reckons with the firm power for which room was asked, and with nothing where none was asked.
"""

from dataclasses import replace

import numpy as np

from cosim.messages import EnvelopeGrant, Nomination, RoomRequest, VolumeLimit
from cosim.models.envelope import Envelopes
from cosim.models.market.order import WH_PER_KWH
from cosim.models.static_bands import static_bands
from cosim.models.time import Interval
from cosim.views import ProsumersView


def nobody(letter: RoomRequest | Nomination) -> bool:
    """Say whether no row of a letter has arrived: its recipient has heard nothing."""
    return letter.arrived is not None and not letter.arrived.any()


def where_heard(arrived: np.ndarray | None, said: np.ndarray, otherwise: np.ndarray | float) -> np.ndarray:
    """Return what was said in the rows that arrived (n,), something else in the others; None: all arrived."""
    return said if arrived is None else np.where(arrived, said, otherwise)


def assumed(request: RoomRequest, connection_kw: np.ndarray) -> RoomRequest:
    """Return a request in which those who were not heard ask for the static band, without firm power."""
    if request.arrived is None:
        return request
    there, standing = request.arrived, static_bands(connection_kw)
    return replace(
        request,
        lower_kw=where_heard(there, request.lower_kw, standing.lower_kw),
        upper_kw=where_heard(there, request.upper_kw, standing.upper_kw),
        firm_kw=where_heard(there, request.firm_kw, 0.0),
        reactive_kvar=where_heard(there, request.reactive_kvar, 0.0),
    )


def granted(letter: EnvelopeGrant, otherwise: Envelopes) -> Envelopes:
    """Return the bands that prosumers go by: those that have reached them, others elsewhere."""
    if letter.arrived is None:
        return letter.envelopes
    return choice(letter.arrived, letter.envelopes, otherwise)


def choice(rows: np.ndarray, some: Envelopes, others: Envelopes) -> Envelopes:
    """Return some bands in the rows marked (n,), others in the rest."""
    return Envelopes(
        np.where(rows, some.lower_kw, others.lower_kw),
        np.where(rows, some.upper_kw, others.upper_kw),
    )


def standing_grant(view: ProsumersView) -> EnvelopeGrant:
    """Return what holds where the operator has granted nothing: the static bands, without a letter that arrives."""
    bands = static_bands(view.connection_kw)
    return EnvelopeGrant(view.interval.index, 0, bands, np.zeros(len(view), dtype=bool))


def countersigned(limit: VolumeLimit, view: ProsumersView) -> VolumeLimit:
    """Return the volumes that a marketplace admits: those of the static bands where none has reached it."""
    if limit.arrived is None:
        return limit
    standing = volumes_inside(view.interval, static_bands(view.connection_kw))
    return replace(
        limit,
        sell_wh=where_heard(limit.arrived, limit.sell_wh, standing.sell_wh),
        buy_wh=where_heard(limit.arrived, limit.buy_wh, standing.buy_wh),
    )


def volumes_inside(interval: Interval, bands: Envelopes) -> VolumeLimit:
    """Return what bands (n,) let each connection point sell and buy in an interval."""
    sell, buy = np.maximum(bands.upper_kw, 0.0), np.maximum(-bands.lower_kw, 0.0)
    return VolumeLimit(interval.index, sell_wh=_floor_wh(sell, interval), buy_wh=_floor_wh(buy, interval))


def _floor_wh(power_kw: np.ndarray, interval: Interval) -> np.ndarray:
    finite = np.minimum(power_kw, 1e6)
    return np.floor(interval.energy_kwh(finite) * WH_PER_KWH + 1e-6).astype(np.int64)


def reckoned(letter: Nomination, request: RoomRequest | None) -> Nomination:
    """Return the nominations that an operator reckons with."""
    firm_kw = 0.0 if request is None else request.firm_kw
    firm_kvar = 0.0 if request is None else request.reactive_kvar
    return replace(
        letter,
        net_kw=where_heard(letter.arrived, letter.net_kw, firm_kw),
        reactive_kvar=where_heard(letter.arrived, letter.reactive_kvar, firm_kvar),
    )
