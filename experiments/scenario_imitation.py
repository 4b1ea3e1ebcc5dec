"""The scenario's section on imitation: how strategies spread from prosumer to prosumer while a run goes on."""

from typing import Annotated, Literal

from pydantic import Field

from cosim.experiments.scenario_fields import Name, Real, Section, Share, Whole


class ImitationSection(Section):
    """How prosumers imitate those who saved more; see docs/strategies.md."""

    every_days: Annotated[Whole, Field(ge=1, le=366)] = Field(1, description="days from one review to the next")
    reviewing: Share = Field(
        0.2, description="share of prosumers who reconsider at a review; 0 counts savings and changes nothing"
    )
    intensity: Annotated[Real, Field(ge=0, le=1e6)] = Field(
        200.0, description="how much a difference in savings counts, in kWh/EUR; with 0 all are copied by halves"
    )
    mutation: Share = Field(0.01, description="probability that who reconsiders tries a strategy at random")
    among: Literal["all", "alike"] = Field(
        "all", description="whom prosumers compare themselves with: all, or those alike in generation and battery"
    )
    strategies: tuple[Name, ...] = Field(
        (), description="strategies that are tried at random; those that somebody begins with if empty"
    )
