"""The newest frame only: a reader that runs on while the device is busy, so that frames are dropped and not queued."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Condition, Thread

from edge.device.sources import Frame, Source


class Newest:
    """Reads a source on a thread of its own and gives, each time it is asked, the newest frame not yet given."""

    def __init__(self, source: Source) -> None:
        self.dropped = 0
        self._source = source
        self._news = Condition()
        self._frame: Frame | None = None
        self._ended = False
        self._error: BaseException | None = None
        Thread(target=self._read, daemon=True, name="camera").start()

    def _read(self) -> None:
        try:
            for frame in self._source:
                with self._news:
                    self.dropped += self._frame is not None
                    self._frame = frame
                    self._news.notify()
        except BaseException as error:  # raised again where the frames are asked for
            self._error = error
        finally:
            with self._news:
                self._ended = True
                self._news.notify()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._frame is not None or self._ended)
                frame, self._frame = self._frame, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame
