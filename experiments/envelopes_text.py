"""What `cosim envelopes` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from cosim.experiments.text_table import text_table


def envelopes_text(found: Mapping[str, Any]) -> str:
    """Return the data of `envelopes_at` as tables and sentences."""
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    talked, agreed = found["negotiation"], ""
    if talked is not None:
        rounds = "1 round" if talked["rounds"] == 1 else f"{talked['rounds']} rounds"
        agreed = f", {'settled' if talked['settled'] else 'ended'} after {rounds}"
    yield f"{found['scenario']} at {found['at']}, policy {found['policy']}{agreed}"
    yield ""
    yield text_table(found["prosumers"])
    yield ""
    yield "limits that bind" if found["binding"] else "no limit binds"
    if found["binding"]:
        yield text_table(found["binding"])
    yield ""
    yield from _certificate(found["certificate"])


def _certificate(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"certificate: every point tried {'is' if told['holds'] else 'is NOT'} carried by AC power flow"
    yield text_table(told["tested"])
    yield text_table(
        [{"worst": one["kind"], **{k: one[k] for k in ("place", "value", "limit")}} for one in told["worst"]]
    )
    if told["differ_pu"] is None:
        yield "engines differ: only one of them finds a solution"
        return
    apart = f"by {told['differ_pu']:.1e} pu and {told['differ_percent']:.1e} percent of loading at most"
    yield f"the two engines {'agree' if told['engines_agree'] else 'do NOT agree'}: they differ {apart}"
