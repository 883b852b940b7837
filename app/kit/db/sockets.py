"""Waiting for the server: a socket that the event loop watches for as long as it is used.

Psycopg has it watched anew for each statement, which takes more time than to send one: with uvloop,
nine system calls.
"""

import asyncio
from time import monotonic

from psycopg.errors import _WaitTimeout
from psycopg.waiting import READY_R, READY_W, WAIT_W, Ready, Wait


class WatchedSocket:
    """The socket of a connection.

    Args:
        number: its file descriptor. `unwatch` is to be called before another one can get it.
    """

    def __init__(self, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._is_watched = False
        self._waiter: asyncio.Future[Ready] | None = None

    async def ready(self, wanted: Wait, deadline: float | None) -> Ready:
        """Wait until the socket can be read, or written to if that is wanted, and return which.

        Raises:
            _WaitTimeout: that is not so by the deadline, in the time of `time.monotonic`.
        """
        self._waiter = self._loop.create_future()
        if not self._is_watched:
            self._is_watched = True
            self._loop.add_reader(self._number, self._wake, READY_R)
        if wanted & WAIT_W:
            self._loop.add_writer(self._number, self._wake, READY_W)
        timer = None
        if deadline is not None:
            timer = self._loop.call_later(deadline - monotonic(), self._expire)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if timer:
                timer.cancel()
            if wanted & WAIT_W:
                self._loop.remove_writer(self._number)

    def unwatch(self) -> None:
        """Watch it no more."""
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._number)

    def _wake(self, ready: Ready) -> None:
        if self._waiter is None:
            self.unwatch()  # nobody reads what has come: the loop would call again and again
        elif not self._waiter.done():
            self._waiter.set_result(ready)

    def _expire(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(_WaitTimeout("the server has not answered in time"))
