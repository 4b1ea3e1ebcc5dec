"""The radial state of a network in which its own loads lose least: what `cosim reconfigure` prints."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosim.experiments.snapshot import MOST_SCALE
from cosim.models.errors import BadInputError, Fault
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.reconfiguration.cones import certify_by_cones
from cosim.models.grid.reconfiguration.question import Band, Effort, Reconfiguration
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.grid.topology import is_radial, islands

MOST_KICKS = 1_000_000
CERTIFY_S = 60.0
VM_PU = (0.0, 2.0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line was told."""

    network: str
    load_scale: float = 1.0
    vm_min_pu: float | None = None
    vm_max_pu: float | None = None
    kicks: int = 100
    seconds: float | None = None
    seed: int = 0
    certify: bool = False
    cones: bool = False


def reconfigured(wish: Wish) -> dict[str, Any]:
    """Search and return figures; BadInputError lists everything that is wrong with the wish."""
    if faults := _faults(wish):
        raise BadInputError(faults)
    feeder = load_feeder(wish.network, Path(wish.network).name if wish.network.endswith(".json") else None)
    if not is_radial(feeder):
        raise BadInputError.one(feeder.name, "switch state", "meshed", "reconfiguration begins with a radial one")
    asked, began = Reconfigurer(feeder), time.perf_counter()
    answer = asked(
        wish.load_scale * feeder.load_kw,
        wish.load_scale * feeder.load_kvar,
        band=Band(
            -np.inf if wish.vm_min_pu is None else wish.vm_min_pu,
            np.inf if wish.vm_max_pu is None else wish.vm_max_pu,
        ),
        effort=Effort(wish.kicks, wish.seed, wish.seconds),
        certify_seconds=(wish.seconds or CERTIFY_S) if wish.certify else None,
    )
    if wish.cones:
        answer = replace(answer, bound_kw=_bound_by_cones(asked, wish))
    return _figures(feeder, answer, time.perf_counter() - began)


def _bound_by_cones(asked: Reconfigurer, wish: Wish) -> np.ndarray | None:
    """Return the bound that a mixed-integer conic program proves; BadInputError without its solver."""
    feeder = asked.feeder
    situation = asked.situation(wish.load_scale * feeder.load_kw, wish.load_scale * feeder.load_kvar)
    try:
        shown = certify_by_cones(situation, feeder.closed[situation.meshes.branch], wish.seconds or CERTIFY_S)
    except ImportError as error:
        raise BadInputError.one("command line", "--cones", "", str(error)) from None
    return None if shown.bound_kw is None else np.array(shown.bound_kw)


def _faults(wish: Wish) -> list[Fault]:
    """List numbers that make no sense."""
    low, high = wish.vm_min_pu, wish.vm_max_pu
    checks = [
        ("--load-scale", wish.load_scale, abs(wish.load_scale) <= MOST_SCALE, "a finite factor"),
        ("--kicks", wish.kicks, 0 <= wish.kicks <= MOST_KICKS, f"0 to {MOST_KICKS:,}"),
        ("--seed", wish.seed, wish.seed >= 0, "0 and above"),
        ("--seconds", wish.seconds, wish.seconds is None or 0.0 < wish.seconds < np.inf, "above 0"),
        *(
            (name, value, value is None or VM_PU[0] < value < VM_PU[1], "above 0 and below 2 pu")
            for name, value in (("--vm-min", low), ("--vm-max", high))
        ),
        ("--vm-min", low, low is None or high is None or not low >= high, "below --vm-max"),
    ]
    return [
        Fault("command line", name, str(value), f"allowed is {allowed}")
        for name, value, good, allowed in checks
        if not good
    ]


def _figures(feeder: Feeder, answer: Reconfiguration, wall_s: float) -> dict[str, Any]:
    """Put an answer in the terms of the file; None for what has no solution."""
    loss_kw, base_kw = float(answer.loss_kw), float(answer.base_loss_kw)
    figures = {
        "network": feeder.name,
        "base_loss_kw": _finite(base_kw),
        "loss_kw": _finite(loss_kw),
        "saved_percent": _finite(100.0 * (1.0 - loss_kw / base_kw)) if base_kw > 0.0 else 0.0,
        "bound_kw": None if answer.bound_kw is None else float(answer.bound_kw),
        "vm_min_pu": float(answer.vm_min_pu),
        "within_limits": bool(np.isfinite(loss_kw)) and answer.excess == 0.0,
        "open_branches": _open(feeder, answer.closed),
        "base_open_branches": _open(feeder, feeder.closed),
        "operations": answer.switched,
        "evaluations": answer.evaluations,
        "kicks": answer.kicks,
        "stopped_by": answer.stopped_by,
        "wall_s": wall_s,
    }
    if unsupplied := int((~islands(feeder)).sum()):
        figures["buses_without_voltage"] = unsupplied
    if not np.isfinite(loss_kw):
        figures["note"] = "no radial state was found that carries these loads"
    elif feeder.closed.all():
        figures["note"] = "no branch is open: the network has no ties, and its own state is the only radial one"
    return figures


def _open(feeder: Feeder, closed: np.ndarray) -> list[str]:
    return [feeder.branch_ids[branch] for branch in np.flatnonzero(~closed)]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
