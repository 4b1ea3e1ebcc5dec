"""What can be named in a scenario without a plug-in of one's own."""

from cosim.experiments.plugins import registries
from cosim.models.errors import BadInputError, did_you_mean

FIRST = ("strategy", "negotiation")
ALL = "all"


def parts(kind: str | None = None) -> dict[str, dict[str, str]]:
    """Return names and first sentences of the parts of one kind, of all, or of how to bid and negotiate (None)."""
    known = registries()
    if kind not in {None, ALL, *known}:
        raise BadInputError.one("command line", "KIND", repr(kind), did_you_mean(str(kind), [*known, ALL]))
    kinds = FIRST if kind is None else tuple(known) if kind == ALL else (kind,)
    return {one: {name: _sentence(known[one].load(name)) for name in known[one].names()} for one in kinds}


def _sentence(part: type) -> str:
    lines = (part.__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""
