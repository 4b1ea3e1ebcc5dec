"""Simulated time: a SimPy process that opens gates, drives the protocol and commits every tick."""

from collections.abc import Callable, Generator
from typing import Any

import simpy

from cosim.journal import Journal
from cosim.protocol import tick
from cosim.recorder import Recorder
from cosim.talk import Ask, Gate, Send, Talk
from cosim.watchdog import watching
from cosim.world import World


class Clock:
    """Runs a world from where its state stands to the end; `after_tick(now)` stops it by returning False.

    Second 0 of the SimPy environment is the start of interval 0; gates of the first intervals close before
    it.
    """

    def __init__(
        self, world: World, journal: Journal | None, after_tick: Callable[[int], bool] = lambda _: True
    ) -> None:
        self._world = world
        self._journal = journal
        self._after_tick = after_tick
        self._recorder = Recorder(journal, world.setting.intervals_per_day) if journal else None
        if journal is not None:
            world.guard.keep_cuts(journal.folder)

    def run(self) -> bool:
        """Run to the end; False when stopped before it."""
        world = self._world
        begin = world.state.tick * world.setting.interval_s
        if self._recorder is not None:
            over = world.state.tick > world.setting.intervals
            self._recorder.seal_through(world.state.tick - 2, final=over)
        environment = simpy.Environment(initial_time=begin)
        done = environment.process(self._ticks(environment))
        with watching(world.guard):
            return bool(environment.run(until=done))

    def _ticks(self, environment: simpy.Environment) -> Generator[simpy.Event, Any, bool]:
        setting = self._world.setting
        for now in range(self._world.state.tick, setting.intervals + 1):
            yield environment.timeout(now * setting.interval_s - environment.now)
            yield from self._drive(environment, tick(setting, self._world.state, now))
            self._commit(now)
            if not self._after_tick(now) and now < setting.intervals:
                return False
        return True

    def _drive(self, environment: simpy.Environment, talk: Talk) -> Generator[simpy.Event, Any, None]:
        """Answer a generator of the protocol until it has nothing more to say."""
        answer: Any = None
        while True:
            try:
                said = talk.send(answer)
            except StopIteration:
                return
            match said:
                case Ask():
                    answer = self._world.answer(said)
                case Send():
                    answer = self._world.carry(said.letter)
                case Gate():
                    answer = yield environment.timeout(said.seconds)

    def _commit(self, now: int) -> None:
        """Close the tick: count the step, take the tables, write one transaction, seal a finished day."""
        interval, tables = now - 1, {}
        if now > 0:
            tables = self._world.settled()
            self._world.step()
        if self._journal is None or self._recorder is None:
            return
        self._journal.commit(now, self._world.to_plain(), tables, interval)
        if now > 0:
            self._recorder.seal_through(interval, final=now == self._world.setting.intervals)
