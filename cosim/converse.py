"""A talk without a clock: roles answer at once, letters go through a post, gates open as soon as they are reached.

For studies and tests of one talk; a run is driven by `cosim.clock`.
"""

from collections.abc import Generator, Mapping
from typing import Any

from cosim.post import Post
from cosim.talk import Ask, Gate, Send


def converse(talk: Generator[Ask | Send | Gate, Any, Any], roles: Mapping[str, Any], post: Post) -> Any:
    """Drive a talk to its end and return what it returns; what an `Ask` asks is a method of its role."""
    answer: Any = None
    while True:
        try:
            said = talk.send(answer)
        except StopIteration as end:
            return end.value
        match said:
            case Ask(role, what, view):
                answer = getattr(roles[role], what)(*view)
            case Send(letter):
                answer = post.carry(letter)
            case Gate():
                answer = None
