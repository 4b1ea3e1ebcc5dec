"""What `cosim study` prints."""

from cosim.experiments.studies.conduct import Answered
from cosim.experiments.text_table import text_table


def answer_text(answered: Answered) -> str:
    """Return an answered question as a table and sentences."""
    found, part = answered.found, answered.part
    head = f"{part.question}  [{part.key}, {answered.seconds:.1f} s]"
    return "\n".join([head, text_table(found.rows), *(f"  {note}" for note in found.notes), ""])
