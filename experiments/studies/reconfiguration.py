"""A grid that rewires itself beside a market: what switches, prices of the network and both together bring.

Own design after Mu et al. 2025, IEEE Trans. Power Systems 40(4):3029, of which only the abstract was at hand. One file
answers one question.
"""

from cosim.experiments.studies import (
    rewired_binaries,
    rewired_cases,
    rewired_price,
    rewired_rounds,
    rewired_village,
)
from cosim.experiments.studies.study import Part, Study

STUDY = Study(
    "Reconfiguration",
    (
        Part("cases", "What do market, prices of losses and switches bring?", rewired_cases.answer),
        Part("rounds", "How do market and network come to terms?", rewired_rounds.answer),
        Part("binaries", "Does it do to decide on fewer switches?", rewired_binaries.answer),
        Part("switching-price", "How often is it worth switching?", rewired_price.answer),
        Part("village", "What do switches do to a village?", rewired_village.answer),
    ),
)
