"""What must hold in every settled interval; a breach stops the run and says what broke."""

import numpy as np

from cosim.models.devices.balance import energy_residual_kwh
from cosim.models.devices.columns import DeviceState, Exogenous
from cosim.models.errors import SimulationError
from cosim.models.grid.state import Diverged, GridState
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.settlement import MONEY_PER_EUR_WH, Accounts, Ledger, energy_gap_wh
from cosim.models.step import PassiveLoad, StepResult, passive_wh, slack_wh, whole_wh
from cosim.models.stopwatch import section
from cosim.models.time import Interval
from cosim.setting import Setting

ENERGY_TOLERANCE_WH = 0.25
DEVICE_TOLERANCE_KWH = 1e-6
ENGINE_TOLERANCE_PU = 1e-6
# Money is rounded to its unit once a row; floats add a little to the half.
ROUNDING_MONEY = 0.501


@section("invariants")
def check_delivery(
    setting: Setting,
    before: DeviceState,
    exogenous: Exogenous,
    passive: PassiveLoad,
    result: StepResult,
    interval: Interval,
    closed: np.ndarray | None = None,
) -> None:
    """Raise SimulationError unless devices, grid and engines agree on what passed.

    `closed` is the switch state of the interval (L,), None for that of the network's file.
    """
    where, grid = f"interval {interval.index}", result.grid
    if isinstance(grid, Diverged):
        raise SimulationError(f"{where}: not settled")
    _check_devices(setting, before, exogenous, result, interval, where)
    _check_energy(passive, result, grid, interval, where)
    _check_engines(setting, closed, passive, result, grid, where)


@section("invariants")
def check_books(
    setting: Setting,
    passive: PassiveLoad,
    result: StepResult,
    interval: Interval,
    metered_wh: np.ndarray | None = None,
) -> None:
    """Raise SimulationError unless the ledger is closed and agrees with what was metered (n,).

    That is what passed if absent; meters may be wrong, and then the ledger goes by them.
    """
    where, grid, ledger = f"interval {interval.index}", result.grid, result.ledger
    if isinstance(grid, Diverged) or ledger is None:
        raise SimulationError(f"{where}: not settled")
    _check_ledger(ledger, Accounts(len(setting.ids)), where)
    books_wh = energy_gap_wh(
        ledger,
        whole_wh(result.delivery.net_kw, interval) if metered_wh is None else metered_wh,
        passive_wh(passive, interval),
        slack_wh(grid, interval),
    )
    if books_wh != 0:
        raise SimulationError(f"{where}: ledger and meters differ by {books_wh} Wh")


def _check_devices(
    setting: Setting,
    before: DeviceState,
    exogenous: Exogenous,
    result: StepResult,
    interval: Interval,
    where: str,
) -> None:
    portfolio, after = setting.community.portfolio, result.state
    gap = energy_residual_kwh(portfolio, before, after, result.delivery, exogenous, interval)
    if not float(np.max(gap, initial=0.0)) < DEVICE_TOLERANCE_KWH:
        who = setting.ids[int(np.argmax(gap))]
        raise SimulationError(f"{where}: energy of the devices of {who} is out by {float(np.max(gap)):.3g} kWh")
    battery = portfolio.battery
    outside = (after.soc_kwh < battery.soc_min_kwh - DEVICE_TOLERANCE_KWH) | (
        after.soc_kwh > battery.soc_max_kwh + DEVICE_TOLERANCE_KWH
    )
    if outside.any():
        raise SimulationError(f"{where}: state of charge of {setting.ids[int(outside.argmax())]} is outside its bounds")


def energy_residual_wh(passive: PassiveLoad, result: StepResult, grid: GridState, interval: Interval) -> float:
    """Return what is missing between device energies, passive load, losses and the slack's reading (Wh).

    Nobody is metered where there is no voltage: what is billed there without being supplied is missing.
    """
    delivery = result.delivery
    devices = (
        delivery.demand_kw,
        delivery.shiftable_kw,
        delivery.ev_kw,
        delivery.heat_pump_kw,
        delivery.battery_kw,
        delivery.generation_kw,
    )
    injected_kw = float(sum(column.sum() for column in devices)) + float(passive.p_kw.sum())
    return abs(interval.energy_kwh(injected_kw + grid.slack_kw - grid.loss_kw)) * WH_PER_KWH


def _check_energy(passive: PassiveLoad, result: StepResult, grid: GridState, interval: Interval, where: str) -> None:
    gap = energy_residual_wh(passive, result, grid, interval)
    if not gap < ENERGY_TOLERANCE_WH:
        raise SimulationError(f"{where}: meters, losses and slack do not add up, {gap:.3f} Wh are missing")
    dark = interval.energy_kwh(grid.unsupplied_kw) * WH_PER_KWH
    if not dark < ENERGY_TOLERANCE_WH:
        raise SimulationError(f"{where}: meters, losses and slack do not add up, {dark:.3f} Wh have no voltage")


def _check_engines(
    setting: Setting, closed: np.ndarray | None, passive: PassiveLoad, result: StepResult, grid: GridState, where: str
) -> None:
    community, delivery = setting.community, result.delivery
    p_kw = community.at_buses(delivery.net_kw) + passive.p_kw
    q_kvar = community.at_buses(delivery.q_kvar) + passive.q_kvar
    other = setting.twin_in(closed).solve(p_kw[None, :], q_kvar[None, :])
    if not other.converged[0]:
        raise SimulationError(f"{where}: the searching power flow diverges where the other one solves")
    gap = float(np.abs(other.vm_pu[0] - grid.vm_pu).max())
    if not gap < ENGINE_TOLERANCE_PU:
        raise SimulationError(f"{where}: the two power flows differ by {gap:.3g} pu")


def _check_ledger(ledger: Ledger, accounts: Accounts, where: str) -> None:
    if int(ledger.balances(accounts).sum()) != 0:
        raise SimulationError(f"{where}: the ledger's money does not add up to zero")
    if int(ledger.energy_balances(accounts).sum()) != 0:
        raise SimulationError(f"{where}: the ledger's energy does not add up to zero")
    owed = ledger.energy_wh * ledger.price_eur_per_kwh * MONEY_PER_EUR_WH
    wrong = np.abs(ledger.money - owed) > ROUNDING_MONEY
    if wrong.any():
        raise SimulationError(f"{where}: row {int(wrong.argmax())} of the ledger is not its energy times its price")
