"""What negotiated operating envelopes are worth, how fast they are agreed on, and what they cost in talk.

Room in the grid is negotiated between prosumers and operator, and trades with a pool beside it (own design after Dong
et al. 2026, Applied Energy 413:127663, of which only the abstract was at hand). One file answers one question.
"""

from cosim.experiments.studies import (
    room_agreement,
    room_instances,
    room_lost_letters,
    room_rules,
    room_scaling,
    room_schemes,
    room_settlement,
    room_uncertainty,
    room_village,
)
from cosim.experiments.studies.study import Part, Study

STUDY = Study(
    "Negotiated operating envelopes",
    (
        Part("schemes", "What is room worth, by how it is handed out?", room_schemes.answer),
        Part("agreement", "How near to the planner does a negotiation come, by rounds?", room_agreement.answer),
        Part("prices", "Are the pool's prices the planner's?", room_agreement.prices),
        Part("rules", "How hard should the sides pull, and should the pool balance first?", room_rules.answer),
        Part("lost-letters", "What if letters are lost?", room_lost_letters.answer),
        Part("uncertainty", "Is it worth reckoning with wrong probabilities?", room_uncertainty.answer),
        Part("scaling", "How does it grow with the number of prosumers?", room_scaling.answer),
        Part("settlement", "Who pays whom, and does anybody lose?", room_settlement.answer),
        Part("instances", "Does it gain in other cases, too?", room_instances.answer),
        Part("village", "What does it do to a day of a run?", room_village.answer),
    ),
)
