"""The one way to begin a plug-in that is an object of its own: what it is made of, made, or a sentence why not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cosim.guard import words
from cosim.models.errors import BadInputError


def begun(make: Callable[..., Any], contract: type, *, file: str, key: str, name: str, **given: Any) -> Any:
    """Make a plug-in and return it; BadInputError when that fails, or when it is nothing that keeps the contract.

    Args:
        make: a class, or anything else that makes a plug-in.
        contract: the class that it must be a subclass of.
        file: that names it, for messages.
        key: under which it stands there.
        name: of the plug-in.
        given: what it is made with.
    """
    try:
        one = make(**given)
    except BadInputError as error:
        section = key.rpartition(".")[0]
        faults = [replace(fault, file=file, key=f"{section}.{fault.key}") for fault in error.faults]
        raise BadInputError(faults) from None
    except Exception as error:
        sentence = f"it cannot be begun: {words(error)}"
        raise BadInputError.one(file, key, name, sentence) from error
    if not isinstance(one, contract):
        raise BadInputError.one(file, key, name, f"allowed is a subclass of {contract.__name__}")
    return one
