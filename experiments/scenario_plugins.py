"""The scenario's section on plug-ins: what follows a fault, and how far their code is trusted."""

from typing import Annotated, Literal

from pydantic import Field

from cosim.experiments.scenario_fields import Real, Section, Whole


class PluginsSection(Section):
    """What follows when a plug-in breaks its contract, and within which bounds its code runs."""

    on_fault: Literal["fallback", "quarantine", "fail"] = Field(
        "fallback",
        description="what follows a fault: the fallback acts for that call, or for good, or the run stops",
    )
    patience: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        1, description="faults of a plug-in until quarantine: the fallback acts for good"
    )
    isolate: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether code of your own runs in processes that can be ended, one a plug-in"
    )
    seconds: Annotated[Real, Field(gt=0, le=86_400)] = Field(
        30.0, description="how long a call may take: then it is cut short if isolated, and else the caller is named"
    )
    memory_mib: Annotated[Whole, Field(ge=16, le=1_000_000)] = Field(
        1024, description="memory that the code of an isolated plug-in may take up, in MiB"
    )
