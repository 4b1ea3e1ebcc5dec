"""Reading pandapower's JSON of unknown origin: looked through as plain data before pandapower sees a byte of it.

pandapower's decoder imports modules that a file names, opens files that it points to, and hands unknown keys to
pandas. So a file is parsed here as plain JSON, text inside text included; whatever names a class outside the list
below is refused; and pandapower gets a file written anew from the tables that a feeder is made of.
"""

import json
import re
import warnings
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from cosim.models.errors import BadInputError, Fault
from cosim.models.faults import first_faults
from cosim.models.table_file import shown

NET: Final = ("pandapower.auxiliary", "pandapowerNet")
FRAMES: Final = frozenset({("pandas.core.frame", "DataFrame"), ("pandas", "DataFrame")})
PLAIN: Final = frozenset(
    {
        NET,
        *FRAMES,
        *(("pandas.core.series", "Series"), ("pandas", "Series")),
        *(("builtins", name) for name in ("tuple", "set", "frozenset", "complex")),
        *(("numpy", name) for name in ("array", "bool", "bool_", "int32", "int64", "uint32", "float32", "float64")),
    }
)
TABLES: Final = frozenset(
    {
        *("bus", "load", "sgen", "storage", "line", "trafo", "trafo3w", "impedance", "switch", "shunt", "ext_grid"),
        *("gen", "dcline", "ward", "xward", "motor", "asymmetric_load", "asymmetric_sgen"),
        *("tcsc", "svc", "ssc", "vsc", "bus_dc", "line_dc"),
    }
)
SCALARS: Final = frozenset({"f_hz", "sn_mva", "version", "format_version", "name"})
FRAME_KEYS: Final = frozenset({"_module", "_class", "_object", "orient", "dtype", "is_multiindex", "is_multicolumn"})
PLAIN_KINDS: Final = {**dict.fromkeys(("int", "uint", "float"), "number"), "bool": "flag"}
DEEPEST: Final = 40


def is_pandapower(data: dict[str, Any]) -> bool:
    """Say whether the object of a JSON file is a pandapower network."""
    return data.get("_class") == NET[1] or ("_module" in data and "_class" in data)


def read_pandapower(data: dict[str, Any], file: str) -> Any:
    """Return the pandapower network of a parsed JSON file; BadInputError before anything that it names is imported."""
    try:
        faults = first_faults(_foreign(data, file), file)
    except RecursionError:
        raise BadInputError.one(file, "JSON", None, f"allowed are {DEEPEST} levels of nesting") from None
    if faults:
        raise BadInputError(dict.fromkeys(faults))
    content = data.get("_object")
    if _signature(data) != NET or not isinstance(content, dict):
        raise BadInputError.one(file, "_class", repr(data.get("_class")), "allowed is a pandapowerNet with its tables")
    tables = {name: _frame(name, table, file) for name, table in content.items() if name in TABLES}
    if "bus" not in tables:
        raise BadInputError.one(file, "bus", None, "is missing")
    scalars = {name: value for name, value in content.items() if name in SCALARS and _is_scalar(value)}
    return _load({"_module": NET[0], "_class": NET[1], "_object": {**scalars, **tables}}, file)


def _load(clean: dict[str, Any], file: str) -> Any:
    """Hand a network written anew to pandapower."""
    import pandapower

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandapower warns of old formats, which it converts
            return pandapower.from_json_string(json.dumps(clean), convert=True)
    except Exception as error:  # whatever a foreign library raises on a foreign file is that file's fault
        reason = shown(f"{type(error).__name__}: {error}", 200)
        raise BadInputError.one(file, "network", None, f"pandapower cannot load it: {reason}") from error


def _foreign(value: Any, file: str, where: str = "file", depth: int = 0) -> Iterator[Fault]:
    """Yield every class outside the list, in objects and in texts that hold objects."""
    if depth > DEEPEST:
        yield Fault(file, where, "", f"allowed are {DEEPEST} levels of nesting")
    elif isinstance(value, dict):
        signature = _signature(value)
        if signature is not None and not _is_plain(signature):
            named = ":".join(shown(str(part)) for part in signature)
            yield Fault(
                file,
                f"pandapower JSON at {where}",
                repr(named),
                "is code and not data; allowed are networks of plain tables only",
            )
        for key, inner in value.items():
            yield from _foreign(inner, file, f"{where}.{shown(key)}" if where != "file" else shown(key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict | list | str):
                yield from _foreign(inner, file, where, depth + 1)
    elif isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        yield from _foreign(_parsed_or_none(value), file, where, depth + 1)


def _signature(value: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return module and class that an object claims; None for plain objects."""
    claims = "_module" in value or "_class" in value
    return (value.get("_module"), value.get("_class")) if claims else None


def _is_plain(signature: Any, allowed: frozenset[tuple[str, str]] = PLAIN) -> bool:
    """Say whether a module and class are texts on a list."""
    return signature is not None and all(isinstance(part, str) for part in signature) and signature in allowed


def _parsed_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _frame(name: str, table: Any, file: str) -> dict[str, Any]:
    """Return a table written anew: columns, index and data of one width, nothing else; BadInputError otherwise."""
    if not isinstance(table, dict) or not _is_plain(_signature(table), FRAMES):
        _refuse(file, name, "must be a DataFrame")
    if table.get("orient") != "split" or table.get("is_multiindex") or table.get("is_multicolumn"):
        _refuse(file, name, 'must have orient "split" and plain indices')
    for key in sorted(set(table) - FRAME_KEYS - {"index_name", "column_name"}):
        _refuse(file, f"{name}.{shown(key)}", "unknown key of a DataFrame")
    body = _body(table.get("_object"), name, file)
    dtypes = table.get("dtype", {})
    if not isinstance(dtypes, dict) or not all(
        isinstance(kind, str) and re.fullmatch(r"[a-z]+\d*(\[\w+\])?", kind, re.IGNORECASE) for kind in dtypes.values()
    ):
        _refuse(file, f"{name}.dtype", "must name a plain type for each column")
    _check_cells(body, dtypes, name, file)
    clean = {key: table[key] for key in ("_module", "_class", "orient")}
    return {**clean, "_object": json.dumps(body), "dtype": dtypes, "is_multiindex": False, "is_multicolumn": False}


def _body(text: Any, name: str, file: str) -> dict[str, Any]:
    """Return columns, index and data of a table; texts in cells stay texts, whatever they look like."""
    try:
        body = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        body = None
    if not isinstance(body, dict) or set(body) != {"columns", "index", "data"}:
        _refuse(file, name, "must hold columns, index and data")
    columns, index, data = body["columns"], body["index"], body["data"]
    square = (
        all(isinstance(part, list) for part in (columns, index, data))
        and len(index) == len(data)
        and all(isinstance(row, list) and len(row) == len(columns) for row in data)
    )
    if not square or not all(isinstance(column, str) for column in columns) or len(set(columns)) < len(columns):
        _refuse(file, name, "must hold rows as wide as its columns, each named once")
    if not all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31 for number in index):
        _refuse(file, f"{name} index", "must hold whole numbers of 0 or more")
    return {"columns": columns, "index": index, "data": [[_cell(cell) for cell in row] for row in data]}


def _check_cells(body: dict[str, Any], dtypes: dict[str, str], name: str, file: str) -> None:
    """Refuse texts in columns of numbers and flags: pandas would make True of any of them."""
    found = (
        Fault(file, f"{name} {body['index'][row]} {column}", repr(shown(str(cells[place]))), f"must be a {kind}")
        for place, column in enumerate(body["columns"])
        if (kind := PLAIN_KINDS.get(re.split(r"[\d\[]", dtypes.get(column, ""))[0].lower()))
        for row, cells in enumerate(body["data"])
        if isinstance(cells[place], str) or (kind == "flag" and cells[place] not in (0, 1))
    )
    if faults := first_faults(found, file):
        raise BadInputError(faults)


def _cell(cell: Any) -> Any:
    """Keep plain values; objects in cells (drawings, curves) are nothing a feeder needs."""
    return cell if _is_scalar(cell) else None


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _refuse(file: str, key: str, allowed: str) -> NoReturn:
    raise BadInputError.one(file, key, None, allowed)
