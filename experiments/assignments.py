"""What a person writes behind `--set`, `--vary` and `--strategy`: keys, and values as TOML where they can be."""

import tomllib
from typing import Any

from cosim.models.errors import BadInputError
from cosim.models.table_file import shown


def assignment(text: str, option: str) -> tuple[str, Any]:
    """Read KEY=VALUE; BadInputError where it is none.

    >>> assignment("people.pv_scale=2.0", "--set"), assignment("operator.envelopes=fair", "--set")
    (('people.pv_scale', 2.0), ('operator.envelopes', 'fair'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadInputError.one("command line", option, repr(shown(text, 200)), "allowed is KEY=VALUE")
    return key.strip(), value_of(value)


def value_of(text: str) -> Any:
    """Read a value: TOML where it can be, else text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def strategy_of(text: str) -> tuple[str, str]:
    """Read [ID=]NAME as id and name; the id is empty where everybody is meant."""
    who, equals, name = text.partition("=")
    return (who, name) if equals else ("", text)
