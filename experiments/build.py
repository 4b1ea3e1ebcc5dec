"""From a scenario to a world that is ready to run: everything a person can get wrong is found here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from cosim.agents.dso.curtailment import CurtailmentRule
from cosim.agents.dso.envelopes.policy import EnvelopePolicy
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.operator import Operator
from cosim.agents.marketplace.marketplace import Marketplace
from cosim.agents.prosumer.agent import add_handles
from cosim.agents.prosumer.negotiating.cohort import negotiating_cohort
from cosim.agents.prosumer.negotiating.table import Negotiators
from cosim.agents.prosumer.population import Population
from cosim.almanac import Almanac, PassiveSeries
from cosim.experiments.begin import begun
from cosim.experiments.faults import lines, name_faults, run_faults, with_gaps
from cosim.experiments.following import Following
from cosim.experiments.homes import portfolio
from cosim.experiments.inputs import Inputs, bus_rows, read_inputs
from cosim.experiments.inverters import inverters
from cosim.experiments.negotiation import room_gates, told_of_uncertainty
from cosim.experiments.partners import partners_of, told_of_partners
from cosim.experiments.plugins import registries
from cosim.experiments.reach import check_reach
from cosim.experiments.rewiring import rewiring, switch_desk
from cosim.experiments.scenario import Scenario
from cosim.experiments.tariffs import ask_ahead, offered, tariff_of
from cosim.guard import Guard
from cosim.models.devices.columns import DeviceState
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvSessions
from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import Gathered, first_faults
from cosim.models.forecast.forecaster import Forecaster
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.market.mechanism import Mechanism
from cosim.models.market.tariff import PriceSeries
from cosim.models.profiles import Profiles
from cosim.models.prosumer_table import ProsumerTable
from cosim.models.series import SeriesSum
from cosim.models.step import Community
from cosim.models.table_file import shown
from cosim.models.village import village
from cosim.post import Post
from cosim.randomness import Chance
from cosim.registry import Registry
from cosim.savings import Savings
from cosim.setting import Setting
from cosim.state import RunState
from cosim.world import Cast, Recording, World

INITIAL_SOC_SHARE = (0.3, 0.7)


@dataclass(frozen=True)
class Switches:
    """Which steps of the protocol a run takes."""

    market: bool = True
    envelopes: bool = True
    rescue: bool = True


@dataclass(frozen=True)
class Build:
    """What a run is built from: a checked scenario, the folder of its files, a seed, switches, allowed plug-ins."""

    scenario: Scenario
    folder: Path
    switches: Switches = Switches()
    allowed: dict[str, Path | None] = field(default_factory=dict)
    keep_letters: bool = False
    source: str = ""

    @property
    def file(self) -> str:
        """The scenario's file in messages."""
        return self.source or f"{self.scenario.name}.toml"

    def world(self) -> World:
        """Return the world at its first tick; BadInputError for what does not fit together."""
        scenario, chance, wary = self.scenario, Chance(self.scenario.seed), self.scenario.plugins
        guard = Guard(wary.on_fault, wary.patience, wary.seconds)
        plugins = registries(self.allowed, self._isolation())
        inputs, prosumers, passive = self._checked(plugins)
        feeder, customers, profiles = inputs.feeder, inputs.customers, inputs.profiles
        bus = bus_rows(feeder, customers)
        homes = portfolio(prosumers, scenario.people, scenario.time.interval_s)
        homes = replace(homes, inverter=inverters(prosumers, scenario.people, scenario.inverter))
        community = Community(homes, bus[prosumers.bus], len(feeder.bus_ids))
        sessions = self._sessions(homes, prosumers.ids, chance)
        nature = self._almanac(prosumers, passive, bus, feeder, profiles, homes, sessions, chance, guard, plugins)
        setting = self._setting(feeder, community, nature, prosumers, profiles, guard, plugins)
        office = GridOffice(community, setting.twin, setting.limits)
        operator = scenario.operator
        policy = self._begun(plugins["envelopes"], EnvelopePolicy, "operator.envelopes", operator.envelopes)
        rule = self._begun(plugins["curtailment"], CurtailmentRule, "operator.curtailment", operator.curtailment)
        mechanism = self._mechanism(plugins["mechanism"], prosumers, setting)
        if policy.negotiates and self.switches.envelopes:
            setting = replace(setting, rooms=room_gates(scenario, setting.tariff, homes))
        following = Following(scenario.people, prosumers, plugins["strategy"], guard, chance, self.file)
        cast = Cast(
            prosumers=Population(
                following.form(following.first()),
                len(prosumers),
                self._negotiators(plugins["negotiation"], prosumers.ids, guard, chance),
                following.imitators(),
            ),
            operator=Operator(policy, rule, office, guard, switch_desk(scenario, office, self.file)),
            marketplace=Marketplace(mechanism, prosumers.ids, guard),
            forecaster=nature,
            recorder=Recording(guard),
        )
        devices = _initial_state(homes, sessions, prosumers.ids, chance)
        savings = Savings.begun(devices) if scenario.people.imitation else None
        state = RunState(tick=-setting.gate_lead, devices=devices, savings=savings)
        post = Post(keep=self.keep_letters, lines=lines(scenario.faults, setting, chance))
        world = World(setting, state, cast, post, guard, scenario.seed % 2**32)
        add_handles(world)
        return world

    def _checked(self, plugins: dict[str, Registry]) -> tuple[Inputs, ProsumerTable, ProsumerTable]:
        """Return the inputs, who takes part and who does not; BadInputError for what is wrong with files and names."""
        people, found = self.scenario.people, Gathered()
        inputs = found.attempt(lambda: read_inputs(self.scenario, self.folder, self.file))
        for kind, key, name in self._plugin_names():
            found.attempt(partial(plugins[kind].load, name, file=self.file, key=key))
        parts = found.attempt(lambda: split(inputs.customers, people.only, self.file)) if inputs else None
        if parts:
            ids = parts[0].ids
            for key, named in (("strategies", people.strategies), ("negotiations", people.negotiations)):
                strangers = [shown(name) for name in named if name not in ids]
                found.add(
                    (Fault(self.file, f"people.{key}.{name}", "", did_you_mean(name, ids)) for name in strangers),
                    self.file,
                )
            branches = inputs.feeder.branch_ids if inputs else ()
            found.add(name_faults(self.scenario.faults, ids, branches, self.file), self.file)
        found.stop()
        assert inputs is not None
        assert parts is not None
        return inputs, *parts

    def _plugin_names(self) -> Iterator[tuple[str, str, str]]:
        """Yield kind, key and name of every plug-in that the scenario names."""
        scenario, people = self.scenario, self.scenario.people
        yield "envelopes", "operator.envelopes", scenario.operator.envelopes
        yield "curtailment", "operator.curtailment", scenario.operator.curtailment
        yield "mechanism", "market.mechanism", scenario.market.mechanism
        yield "tariff", "tariff.kind", scenario.tariff.kind
        yield "forecaster", "forecast.kind", scenario.forecast.kind
        yield "strategy", "people.strategy", people.strategy
        for who, name in people.strategies.items():
            yield "strategy", f"people.strategies.{shown(who)}", name
        for name in people.imitation.strategies if people.imitation else ():
            yield "strategy", "people.imitation.strategies", name
        yield "negotiation", "people.negotiation", people.negotiation
        for who, name in people.negotiations.items():
            yield "negotiation", f"people.negotiations.{shown(who)}", name

    def _mechanism(self, known: Registry, prosumers: ProsumerTable, setting: Setting) -> Mechanism:
        """Return the market's mechanism, told of partners where the scenario declares them."""
        market, bus, file = self.scenario.market, setting.community.bus, self.file
        partners = partners_of(market, prosumers.ids, setting.truth.admittance(), bus, self.folder, file)
        make = known.load(market.mechanism, file=file, key="market.mechanism")
        given = told_of_partners(make, partners, file=file, key="market.partners", name=market.mechanism)
        found: Mechanism = self._begun(known, Mechanism, "market.mechanism", market.mechanism, **given)
        return found

    def _isolation(self) -> Callable[[Registry, str], Any] | None:
        """Return what loads plug-ins into processes of their own, if the scenario wants that."""
        wary = self.scenario.plugins
        if not wary.isolate:
            return None
        # Most runs isolate nothing, and need not wait for what it takes.
        from cosim.experiments.isolated import Isolation
        from cosim.isolation import Limits

        return Isolation(Limits(wary.seconds, wary.memory_mib)).load

    def _begun(self, known: Registry, contract: type, key: str, name: str, **given: Any) -> Any:
        """Return the plug-in of a name, begun."""
        make = known.load(name, file=self.file, key=key)
        return begun(make, contract, file=self.file, key=key, name=name, **given)

    def _sessions(self, homes: Portfolio, ids: tuple[str, ...], chance: Chance) -> EvSessions:
        time_ = self.scenario.time

        def normals(purpose: str, day: int, shape: tuple[int, ...]) -> np.ndarray:
            return chance.normals(ids, purpose, day, shape[1]).reshape(shape)

        return EvSessions(homes.ev, normals, time_.start, ZoneInfo(time_.zone), time_.interval_s)

    def _almanac(
        self,
        prosumers: ProsumerTable,
        passive: ProsumerTable,
        bus: np.ndarray,
        feeder: Feeder,
        profiles: Profiles,
        homes: Portfolio,
        sessions: EvSessions,
        chance: Chance,
        guard: Guard,
        plugins: dict[str, Registry],
    ) -> Almanac:
        scenario, people = self.scenario, self.scenario.people
        scales = {
            "load_scale": people.load_scale,
            "pv_scale": people.pv_scale,
            "wind_scale": people.wind_scale,
            "heat_pump_scale": people.heat_pump_scale,
        }
        own = village(prosumers, profiles, **scales)
        others = village(passive, profiles, load_scale=people.load_scale)
        kind = scenario.forecast.kind
        given = {"share": scenario.forecast.share} if kind == "noisy" else {}
        return Almanac(
            ids=prosumers.ids,
            demand=SeriesSum((own.demand,)),
            reactive_per_kw=prosumers.kvar_per_kw(),
            generation=SeriesSum((own.sun, own.wind)),
            heat_pump=SeriesSum((own.heat_pump,)),
            passive=PassiveSeries(
                passive.ids,
                SeriesSum((others.demand,)),
                passive.kvar_per_kw(),
                bus[passive.bus],
                len(feeder.bus_ids),
            ),
            sessions=sessions,
            shiftable=homes.demand,
            forecaster=self._begun(plugins["forecaster"], Forecaster, "forecast.kind", kind, **given),
            chance=chance,
            guard=guard,
            intervals_per_day=86_400 // scenario.time.interval_s,
        )

    def _setting(
        self,
        feeder: Feeder,
        community: Community,
        nature: Almanac,
        prosumers: ProsumerTable,
        profiles: Profiles,
        guard: Guard,
        plugins: dict[str, Registry],
    ) -> Setting:
        scenario, time_, imitation = self.scenario, self.scenario.time, self.scenario.people.imitation
        grid, interval_s = scenario.grid, scenario.time.interval_s
        prices = profiles.price().window(-profiles.first, profiles.values.shape[1])[0]
        day_ahead = PriceSeries(prices, -profiles.first * interval_s, interval_s)
        day_ahead = with_gaps(day_ahead, scenario.faults, interval_s)
        kind = scenario.tariff.kind
        make = plugins["tariff"].load(kind, file=self.file, key="tariff.kind")
        setting = Setting(
            ids=prosumers.ids,
            community=community,
            limits=Limits(grid.vm_min_pu, grid.vm_max_pu, grid.loading_percent),
            truth=PowerFlow(feeder, slack_vm_pu=grid.slack_vm_pu, engine="referee"),
            twin=BatchFlow(feeder, grid.slack_vm_pu),
            nature=nature,
            tariff=tariff_of(make, offered(scenario, day_ahead), file=self.file, name=kind),
            day_ahead=day_ahead,
            intervals=time_.days * 86_400 // interval_s,
            interval_s=interval_s,
            gate_lead=scenario.market.gate_lead_intervals,
            tighten_rounds=scenario.operator.tighten_rounds,
            trade_window_s=interval_s // 3,
            nomination_window_s=interval_s // 15,
            market=self.switches.market,
            envelopes=self.switches.envelopes,
            rescue=self.switches.envelopes and self.switches.rescue,
            rewiring=rewiring(scenario),
            record_orders=scenario.market.record_orders,
            price_losses=scenario.market.losses == "marginal",
            faults=run_faults(scenario.faults, prosumers.ids, feeder.branch_ids),
            review_intervals=None if imitation is None else imitation.every_days * 86_400 // interval_s,
        )
        check_reach(setting, profiles, time_, self.file)
        setting = replace(setting, tariff=ask_ahead(setting, guard, file=self.file, name=kind))
        # Converting the network imports pandapower, which belongs to the start and not to the first interval.
        setting.truth.admittance()
        setting.twin.case()
        return setting

    def _negotiators(self, known: Registry, ids: tuple[str, ...], guard: Guard, chance: Chance) -> Negotiators:
        people = self.scenario.people
        chosen = [people.negotiations.get(name, people.negotiation) for name in ids]
        cohorts = []
        for name in sorted(set(chosen)):
            rows = np.array([row for row, own in enumerate(chosen) if own == name], np.int64)
            make = told_of_uncertainty(
                known.load(name, file=self.file, key="people.negotiation"), self.scenario.negotiation
            )
            own = tuple(ids[row] for row in rows)
            cohorts.append(negotiating_cohort(make, name, rows, own, guard, chance, self.file))
        return Negotiators(cohorts, len(ids))


def split(customers: ProsumerTable, only: Iterable[str], file: str) -> tuple[ProsumerTable, ProsumerTable]:
    """Return those who take part and those who are plain demand."""
    chosen = set(only)
    able = [name for name, takes in zip(customers.ids, customers.takes_part, strict=True) if takes]
    unknown = (
        Fault(file, "people.only", repr(shown(name)), did_you_mean(shown(name), able))
        for name in sorted(chosen - set(able))
    )
    if faults := first_faults(unknown, file):
        raise BadInputError(faults)
    part = customers.takes_part & np.array([not chosen or name in chosen for name in customers.ids], dtype=bool)
    if not part.any():
        raise BadInputError.one(file, "people.table", None, "nobody takes part: at least one prosumer is needed")
    return customers.take(np.flatnonzero(part)), customers.take(np.flatnonzero(~part))


def _initial_state(homes: Portfolio, sessions: EvSessions, ids: tuple[str, ...], chance: Chance) -> DeviceState:
    low, high = INITIAL_SOC_SHARE
    drawn = low + (high - low) * chance.uniforms(ids, "initial-soc", 0, 1)[:, 0]
    battery = homes.battery
    soc = battery.soc_min_kwh + drawn * (battery.soc_max_kwh - battery.soc_min_kwh)
    cars = sessions.initial_remaining_kwh(0)
    return homes.new(replace(homes.initial_state(), soc_kwh=soc, ev_remaining_kwh=cars))
