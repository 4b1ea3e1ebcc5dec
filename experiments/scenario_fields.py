"""What a field of the scenario file may hold, and the section that fields stand in."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("allowed is a name of the IANA time zone database, such as Europe/Berlin") from error
    return name


def aware(moment: datetime) -> datetime:
    """Return a moment that has an offset; ValueError for one without."""
    if moment.tzinfo is None:
        raise ValueError("the moment needs an offset, such as 2016-06-20T00:00:00+01:00")
    return moment


def moment(value: object) -> object:
    """Return what can be read as a moment; ValueError for a date or a number."""
    if not isinstance(value, datetime | str):
        raise ValueError("allowed is a date and time with an offset, such as 2016-06-20T00:00:00+01:00")  # noqa: TRY004, pydantic turns ValueError into a fault
    return value


def _plain_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("allowed is text on one line, without control characters")
    return text


def one_said(**fields: object) -> None:
    """Refuse fields of which none is said, or more than one: ValueError."""
    said = [name for name, value in fields.items() if value is not None]
    if len(said) != 1:
        found = " and ".join(said) or "neither"
        raise ValueError(f"allowed is one of {' and '.join(fields)}; said {'is' if not said else 'are'} {found}")


Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Text = Annotated[str, Field(max_length=200), AfterValidator(_plain_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_text)]
Share = Annotated[Real, Field(ge=0, le=1)]
Factor = Annotated[Real, Field(ge=0, le=1000)]
Voltage = Annotated[Real, Field(ge=0.5, le=1.5)]
Hours = Annotated[Real, Field(ge=0, le=168)]
Price = Annotated[Real, Field(ge=-10, le=10)]
Charge = Annotated[Real, Field(ge=0, le=10)]
Zone = Annotated[str, AfterValidator(_zone)]


class Section(BaseModel):
    """A table of the scenario file; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)
