"""`cosim envelopes`: who is granted which room at one moment, what limits it, and a test of the promise.

The talk of a run is followed up to the grant of one interval: a run of the scenario that begins there, so that the gate
closes just before. Batteries and cars stand as they do when a run begins.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from cosim.agents.dso.certificate import MOST_ENUMERATED, Certificate, Extreme, certify
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.operator import Operator
from cosim.experiments.run import Request
from cosim.messages import EnvelopeGrant, RoomRequest
from cosim.models.envelope import Envelopes
from cosim.models.errors import BadInputError, Fault
from cosim.models.grid.state import GridState
from cosim.models.step import PassiveLoad
from cosim.protocol import tick
from cosim.talk import Ask, Gate, Send
from cosim.world import World

COMMAND = "command line"


@dataclass(frozen=True, slots=True)
class Granted:
    """What was said of the interval: what everybody asked for and got, and the passive load the operator expects."""

    request: RoomRequest
    bands: Envelopes
    passive: PassiveLoad


def envelopes_at(request: Request, at: str, policy: str | None = None) -> dict[str, Any]:
    """Return who gets what at a moment, what binds, and the certificate, as plain data.

    Args:
        request: the scenario and what differs from its file; its own start and length do not matter.
        at: the moment an interval of the scenario begins, in ISO 8601 with its offset from UTC.
        policy: name of the envelope policy; the scenario's if None.

    Raises:
        BadInputError: for a moment that is none, lies between intervals or beyond the profiles, an unknown policy, and
            whatever else is wrong with the scenario.
    """
    scenario = request.build().scenario
    moment = _moment(at, scenario.time.start, scenario.time.interval_s)
    overrides = {**request.overrides, "time.start": moment.isoformat(), "time.days": 1}
    if policy is not None:
        overrides["operator.envelopes"] = policy
    try:
        build = replace(request, overrides=overrides, days=None).build()
        world = build.world()
    except BadInputError as error:
        raise BadInputError(_in_words_of_the_command(fault, at, policy) for fault in error.faults) from None
    granted = followed(world)
    office = operator_of(world).office
    certificate = certify(
        office,
        world.setting.truth,
        granted.bands,
        granted.request.reactive_kvar,
        granted.passive,
        seed=scenario.seed,
        all_corners=len(granted.bands) <= MOST_ENUMERATED,
    )
    return {
        "scenario": scenario.name,
        "at": moment.isoformat(),
        "policy": build.scenario.operator.envelopes,
        "negotiation": _negotiation(world),
        "prosumers": _prosumers(world, granted),
        "binding": _binding(office, certificate, granted),
        "certificate": certificate.to_dict(),
    }


def followed(world: World) -> Granted:
    """Follow the talk of a run that begins up to the grant of its first interval."""
    talk, answer = tick(world.setting, world.state, world.state.tick), None
    request: RoomRequest
    passive: PassiveLoad
    while True:
        said = talk.send(answer)
        match said:
            case Ask():
                answer = world.answer(said)
                if (said.role, said.what) == ("forecaster", "outlook"):
                    passive = answer.passive
            case Send():
                answer = world.carry(said.letter)
                if isinstance(answer, RoomRequest):
                    request = answer
                if isinstance(answer, EnvelopeGrant):
                    talk.close()
                    return Granted(request, answer.envelopes, passive)
            case Gate():
                answer = None


def operator_of(world: World) -> Operator:
    """Return the operator of a world."""
    operator = world.cast.operator
    assert isinstance(operator, Operator)
    return operator


def _moment(at: str, start: datetime, interval_s: int) -> datetime:
    """Return the moment that a text names."""

    def refused(allowed: str) -> BadInputError:
        return BadInputError.one(COMMAND, "--at", repr(at[:80]), allowed)

    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise refused("allowed is a moment with its offset from UTC, as in 2016-06-21T12:00+01:00")
        beyond = (moment - start) % timedelta(seconds=interval_s)
        begun = moment - beyond
    except (ValueError, OverflowError) as error:
        raise refused("allowed is a moment in ISO 8601, as in 2016-06-21T12:00+01:00") from error
    if beyond:
        raise refused(f"an interval of {interval_s} s begins at {begun.isoformat()}, the next one {interval_s} s later")
    return moment


def _in_words_of_the_command(fault: Fault, at: str, policy: str | None) -> Fault:
    """Return a fault of the scenario as one of the option that brought it about."""
    if fault.key in {"time.start", "time.days"}:
        return Fault(COMMAND, "--at", repr(at), fault.allowed)
    if policy is not None and fault.key == "operator.envelopes":
        return replace(fault, file=COMMAND, key="--policy")
    return fault


def _negotiation(world: World) -> dict[str, Any] | None:
    """Return how the negotiation of the interval went, None where there was none."""
    if world.setting.rooms is None:
        return None
    state = operator_of(world).desk.moderation
    return {"rounds": state.number, "settled": state.settled}


def _prosumers(world: World, granted: Granted) -> list[dict[str, Any]]:
    """Return a row for everybody: place, connection, what was asked for and granted, and its price if it has one."""
    setting, request, bands = world.setting, granted.request, granted.bands
    buses = setting.twin.feeder.bus_ids[setting.community.bus]
    columns: dict[str, np.ndarray] = {
        "connection_kw": setting.community.portfolio.connection_kw,
        "firm_kw": request.firm_kw,
        "asked_lower_kw": request.lower_kw,
        "asked_upper_kw": request.upper_kw,
        "lower_kw": bands.lower_kw,
        "upper_kw": bands.upper_kw,
    }
    if setting.rooms is not None:
        price = operator_of(world).desk.price
        columns["import_eur_per_kwh"] = -price.lower_eur_per_kwh[:, 0]
        columns["export_eur_per_kwh"] = price.upper_eur_per_kwh[:, 0]
    return [
        {"id": name, "bus": bus, **{key: _finite(column[row]) for key, column in columns.items()}}
        for row, (name, bus) in enumerate(zip(setting.ids, buses.tolist(), strict=True))
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _binding(office: GridOffice, certificate: Certificate, granted: Granted) -> list[dict[str, Any]]:
    """Return a row for every limit that binds, and the corner at which it does."""
    states = office.at_corners(granted.bands, granted.request.reactive_kvar, granted.passive)
    return [
        {
            "limit": one.kind,
            "place": f"{'branch' if one.kind == 'loading' else 'bus'} {one.place}",
            "value": one.value,
            "of": one.limit,
            "unit": "percent" if one.kind == "loading" else "pu",
            "corner": _corner(office, one, states),
        }
        for one in certificate.binding
    ]


def _corner(office: GridOffice, extreme: Extreme, states: list[Any]) -> str:
    """Return in words at which worst corner an extreme value comes up."""
    feeder = office.flow.feeder
    if extreme.kind == "loading":
        column, place = "branch_loading_percent", feeder.branch_ids.index(extreme.place)
    else:
        column, place = "vm_pu", [str(bus) for bus in feeder.bus_ids.tolist()].index(extreme.place)
    patterns = office.security.corners.patterns
    for pattern, state in zip(patterns, states, strict=True):
        if isinstance(state, GridState) and getattr(state, column)[place] == extreme.value:
            return _worded(pattern)
    return "elsewhere in the bands"


def _worded(pattern: np.ndarray) -> str:
    if pattern.all():
        return "all at their upper edge"
    if not pattern.any():
        return "all at their lower edge"
    return f"{int(pattern.sum())} of {len(pattern)} at their upper edge, the others at their lower"
