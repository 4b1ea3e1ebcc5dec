"""The scenario's section on faults: what is lost on the way, who is silent, what fails; nothing by default."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from cosim.experiments.scenario_fields import Name, Real, Section, Share, Whole


class ChannelSection(Section):
    """What befalls the letters of a channel, each by its own chance."""

    lost: Share = Field(0.0, description="share of the letters that never arrive")
    delay_s: Annotated[Real, Field(ge=0, le=86_400)] = Field(
        0.0, description="longest delay of a letter in seconds; the delays are spread evenly, and who is late is lost"
    )
    duplicated: Share = Field(0.0, description="share of the letters that arrive twice")
    reordered: Share = Field(0.0, description="share of the letters that are overtaken by all sent with them")


class SpanSection(Section):
    """Intervals of the run, counted from 0."""

    begin: Annotated[Whole, Field(ge=0, le=10_000_000)] = Field(description="first interval")
    end: Annotated[Whole, Field(ge=1, le=10_000_000)] = Field(description="first interval that is no longer meant")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("end must be after begin")
        return self


class SilenceSection(SpanSection):
    """Somebody says and hears nothing about some intervals."""

    who: Name = Field(description="operator, marketplace, or the id of a prosumer")


class WrongMeterSection(SpanSection):
    """A meter that does not count what passes."""

    who: Name = Field(description="id of the prosumer whose meter it is")
    factor: Annotated[Real, Field(ge=-10, le=10)] = Field(description="what it counts of a kWh, in kWh")


class WithheldSection(SpanSection):
    """A prosumer that sells and does not deliver."""

    who: Name = Field(description="id of the prosumer")


class ForcedBranchSection(SpanSection):
    """A branch that does not obey its operator: out of service, or held by hand."""

    branch: Name = Field(description="name of the branch in the network")
    closed: Annotated[bool, Field(strict=True)] = Field(False, description="whether it is held closed instead of open")


class PriceGapSection(SpanSection):
    """A day-ahead price that is missing; the last one before it stands in."""


class FaultsSection(Section):
    """What goes wrong in the run; nothing if absent."""

    operator: ChannelSection = Field(
        ChannelSection(), description="channel of requests, grants, nominations and countersigned volumes"
    )
    market: ChannelSection = Field(ChannelSection(), description="channel of orders, fills and cancellations")
    negotiation: ChannelSection = Field(ChannelSection(), description="channel of bids and offers of room")
    meter: ChannelSection = Field(ChannelSection(), description="channel of meter readings")
    silences: tuple[SilenceSection, ...] = Field((), description="who is silent when")
    wrong_meters: tuple[WrongMeterSection, ...] = Field((), description="meters that count wrongly")
    withheld: tuple[WithheldSection, ...] = Field((), description="who does not deliver when")
    branches: tuple[ForcedBranchSection, ...] = Field((), description="branches that are forced open or closed")
    price_gaps: tuple[PriceGapSection, ...] = Field((), description="intervals without a day-ahead price")
