"""The scenario's sections on the grid: the feeder, what its operator does, and what inverters do by themselves."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cosim.experiments.scenario_fields import Name, Real, Section, Share, Voltage, Whole, one_said

MOST_BUSES = 200_000


class DrawnFeeders(Section):
    """Feeders that a seed draws: 20 kV cables from one busbar, stations along them, streets of 400 V below."""

    feeders: Annotated[Whole, Field(ge=1, le=1000)] = Field(1, description="number of feeders")
    buses: Annotated[Whole, Field(ge=10, le=20_000)] = Field(description="buses of each feeder")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(1, description="seed of their draw")

    @model_validator(mode="after")
    def _buses_in_all(self) -> Self:
        if self.feeders * self.buses > MOST_BUSES:
            raise ValueError(f"feeders times buses is {self.feeders * self.buses:,}; allowed is up to {MOST_BUSES:,}")
        return self


class Grid(Section):
    """The feeder and what the operator accepts on it."""

    network: Name | None = Field(
        None,
        description="bundled network, pandapower:NAME, simbench:CODE, or a JSON file beside the scenario; "
        "or say `drawn` instead",
    )
    drawn: DrawnFeeders | None = Field(None, description="feeders drawn by a seed in place of a network")
    slack_vm_pu: Annotated[Real, Field(ge=0.8, le=1.2)] | None = Field(
        None, description="slack voltage in pu; the network's own if absent"
    )
    vm_min_pu: Annotated[Real, Field(ge=0.5, le=1.0)] = Field(0.95, description="lowest accepted voltage in pu")
    vm_max_pu: Annotated[Real, Field(ge=1.0, le=1.5)] = Field(1.05, description="highest accepted voltage in pu")
    loading_percent: Annotated[Real, Field(ge=5, le=1000)] = Field(
        100.0, description="highest accepted branch loading in percent of its rating"
    )

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        one_said(network=self.network, drawn=self.drawn)
        return self


class OperatorSection(Section):
    """What the operator does."""

    envelopes: Name = Field("fair", description="envelope policy")
    curtailment: Name = Field("pro_rata", description="rule for plans that the grid does not carry")
    tighten_rounds: Annotated[Whole, Field(ge=0, le=3)] = Field(
        2, description="rounds of tightening before the rule acts"
    )


class NegotiationSection(Section):
    """How room is negotiated where the envelope policy is `negotiated`."""

    day_gate: Annotated[bool, Field(strict=True)] = Field(
        True, description="whether the room of each local day is negotiated and committed the day before"
    )
    day_gate_hour: Annotated[Whole, Field(ge=0, le=23)] = Field(
        12, description="local hour at which the day gate closes"
    )
    day_rounds: Annotated[Whole, Field(ge=1, le=500)] = Field(40, description="most rounds of the day gate")
    rounds: Annotated[Whole, Field(ge=1, le=100)] = Field(5, description="most rounds of an interval's gate")
    steps: Annotated[Whole, Field(ge=1, le=4)] = Field(
        4, description="intervals that an interval's gate looks at, itself included"
    )
    exchange: Literal["none", "pool"] = Field(
        "none", description="whether trades are negotiated beside the room in a pool, instead of auctioned"
    )
    penalty: Literal["balancing", "atc", "conditional"] = Field(
        "balancing", description="how hard both sides pull: by residuals, ever harder, or harder when progress is slow"
    )
    penalty_share: Annotated[Real, Field(gt=0, le=100)] = Field(
        0.3, description="first penalty in units of the mean retail price over the mean connection rating"
    )
    fair_share: Annotated[Real, Field(ge=0, le=1)] = Field(
        0.005, description="pull of unused room back to the fair share, as a share of the first penalty"
    )
    tolerance: Annotated[Real, Field(gt=0, le=0.1)] = Field(
        1e-3, description="gap at which both sides agree, as a share of the mean connection rating"
    )
    unmoved: Annotated[Real, Field(ge=0, le=1)] = Field(
        0.02, description="gap between offer and bids, as such a share, at which an interval is not negotiated again"
    )
    passive_margin: Literal["none", "box", "moment"] = Field(
        "none", description="room kept for forecast errors of passive load: none, the largest likely, or all but a risk"
    )
    passive_risk: Annotated[Real, Field(gt=0, lt=1)] = Field(
        0.05, description="probability with which such a margin may be used up, whatever the distribution"
    )
    ambiguity: Literal["stochastic", "norm", "wasserstein", "moment", "robust"] = Field(
        "norm",
        description="how probabilities may be wrong: not at all, by a ball of one kind, or in any way at all",
    )
    radius: Literal["literature", "valid"] = Field(
        "valid", description="how the radius of the norm ball follows from the number of samples"
    )
    confidence: Annotated[Real, Field(gt=0, lt=1)] = Field(
        0.95, description="probability with which the norm ball is to hold the true probabilities"
    )
    wasserstein_radius: Annotated[Real, Field(ge=0, le=10)] = Field(
        0.1, description="radius of the Wasserstein ball as a share of the expected energy"
    )


class ReconfigurationSection(Section):
    """When the operator changes which branches are open, and what that costs."""

    kind: Literal["none", "daily", "hourly"] = Field(
        "none", description="switch states: those of the network's file, one a day, or one for every hour of a day"
    )
    kicks: Annotated[Whole, Field(ge=0, le=10_000)] = Field(
        10, description="how often a search starts again from exchanges at random"
    )
    operation_eur: Annotated[Real, Field(ge=0, le=1000)] = Field(
        0.1, description="what operating a switch once costs, weighed against losses, in EUR"
    )
    most_per_day: Annotated[Whole, Field(ge=0, le=10_000)] | None = Field(
        None, description="most operations in a day; any number if absent"
    )
    most_per_switch: Annotated[Whole, Field(ge=0, le=1000)] | None = Field(
        None, description="most operations of one switch in a day; any number if absent"
    )
    within_limits: Annotated[bool, Field(strict=True)] = Field(
        True, description="whether states for a day are to keep limits at what prosumers nominate, before losing little"
    )
    on_violation: Annotated[bool, Field(strict=True)] = Field(
        True, description="whether switches are operated also where a plan breaks limits, before bands are tightened"
    )
    on_error: Annotated[Real, Field(ge=0, le=100)] = Field(
        0.0,
        description="distance to what was nominated for the day, over an hour and as a share of the day's mean, "
        "beyond which the rest of the day is planned again; never if 0",
    )


class InverterSection(Section):
    """What inverters of photovoltaics and wind do by themselves, by feed-in or by voltage."""

    reactive: Literal["none", "cos_phi_p", "q_u"] = Field(
        "none", description="law of reactive power: none, by feed-in (cos phi(P)), or by voltage (Q(U))"
    )
    active: Literal["none", "p_u"] = Field("none", description="law of active power: none, or by voltage (P(U))")
    kva_per_kw: Annotated[Real, Field(ge=1, le=10)] = Field(
        1.12, description="apparent power of an inverter per rated kW of its generator, in kVA/kW"
    )
    cos_phi_min: Annotated[Real, Field(ge=0.5, le=1)] = Field(
        0.9, description="least power factor, at the connection point"
    )
    cos_phi_from: Annotated[Real, Field(ge=0, lt=1)] = Field(
        0.5, description="feed-in as a share of the rating above which cos phi(P) falls from 1 to the least"
    )
    q_u_pu: tuple[Voltage, Voltage, Voltage, Voltage] = Field(
        (0.93, 0.97, 1.03, 1.07),
        description="voltages in pu at which Q(U) gives the most, begins to rest, ends to rest, draws the most",
    )
    p_u_pu: tuple[Voltage, Voltage] = Field(
        (1.06, 1.1), description="voltages in pu at which P(U) begins to fall and is at its least"
    )
    p_u_least: Share = Field(0.2, description="what P(U) leaves at its least, as a share of the rating")
    at_rest: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether inverters give reactive power while their connection point does not feed in"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        most, dead, awake, least = self.q_u_pu
        if not most < dead <= awake < least:
            raise ValueError("q_u_pu must rise, but for the two in the middle, which may be the same")
        if not self.p_u_pu[0] < self.p_u_pu[1]:
            raise ValueError("p_u_pu must rise")
        return self
