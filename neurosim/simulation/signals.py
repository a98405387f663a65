"""Signals that a run listens to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from neurosim.simulation.simulator import Simulator


@contextmanager
def listening(simulator: Simulator, save: Callable[[], None], stopped: list[str]) -> Iterator[None]:
    """SIGINT and SIGTERM stop a simulator, SIGUSR1 calls ``save``.

    The names of signals that stopped it are added to ``stopped``; a second one
    raises KeyboardInterrupt. Outside the main thread nothing is listened to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        if simulator.stop_requested:
            raise KeyboardInterrupt
        stopped.append(signal.Signals(number).name)
        simulator.stop_requested = True

    handlers: dict[Any, Any] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGUSR1"):
        handlers[signal.SIGUSR1] = lambda number, frame: save()
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
