"""Every error subcore raises on purpose.

SubcoreError
├── UsageError                the caller's fault: the call changed nothing; also a ValueError
│   ├── NameTakenError        a live component has that name
│   ├── WrongThread           called outside the loop's thread
│   ├── WrongType             an argument is not of a kind the call takes; also a TypeError
│   ├── ManagerClosed         the manager is closed
│   ├── ComponentClosed       the component was closed by its owner
│   ├── ComponentReaped       the component broke its obligations and was removed
│   ├── UnsupportedError      the venue cannot do this
│   ├── ConflictError         it cannot do this together with what others have
│   └── UnknownSymbolError    not how the venue writes a market
├── CapacityError             a bounded table is full; nothing was changed
├── QueueOverflow             a queue that ends on overflow was full: reading is over
├── SubscribeError            some of what was wanted is not proven
│   └── SubscribeTimeout      ... within the time given; also a TimeoutError
├── VenueError                the venue answered, and the answer is no, or makes no sense
│   └── DecodeError           a frame that could not be read; also a ValueError
├── NetworkError              no usable answer from the venue; also a ConnectionError
│   └── LinkError             a link could not be opened or was lost
├── FileError                 a file is torn, foreign, too new, or in use
│   ├── SnapshotError         ... a snapshot of intent
│   └── RecordingError        ... a recording
└── InternalError             our fault: please report it with the text

Each text says what happened and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subcore.types import Topic

__all__ = [
    "CapacityError",
    "ComponentClosed",
    "ComponentReaped",
    "ConflictError",
    "DecodeError",
    "FileError",
    "InternalError",
    "LinkError",
    "ManagerClosed",
    "NameTakenError",
    "NetworkError",
    "QueueOverflow",
    "RecordingError",
    "SnapshotError",
    "SubcoreError",
    "SubscribeError",
    "SubscribeTimeout",
    "UnknownSymbolError",
    "UnsupportedError",
    "UsageError",
    "VenueError",
    "WrongThread",
    "WrongType",
]


class SubcoreError(Exception):
    """Root of the tree: `except SubcoreError` catches everything subcore raises on purpose."""


class UsageError(SubcoreError, ValueError):
    """The call cannot be carried out as written. It changed nothing; the text says what to write instead."""


class NameTakenError(UsageError):
    """A live component already has this name. Close it first, or choose another name."""


class WrongThread(UsageError):
    """Called outside the event loop's thread. Use `manager.call_threadsafe(function, *arguments)`."""


class WrongType(UsageError, TypeError):
    """An argument is not of a kind the call takes. The text says what is."""


class ManagerClosed(UsageError):
    """The manager is closed for good. Make a new one."""


class ComponentClosed(UsageError):
    """The component is closed. Ask the manager for a new one."""


class ComponentReaped(UsageError):
    """The component was removed because it broke its obligations; the text says when and why."""


class UnsupportedError(UsageError):
    """The venue has no such channel or parameter value. The text lists what it has."""


class ConflictError(UsageError):
    """The venue cannot serve this together with what is held. Nothing was changed; the text says who is in the way.

    `component` asked for `topic`; `remedy` says what to do about it.
    """

    def __init__(
        self, message: str, *, component: str = "", topic: Topic | None = None, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.component = component
        self.topic = topic
        self.remedy = remedy


class UnknownSymbolError(UsageError):
    """The text is not how this venue writes a market. The text shows how it does."""


class CapacityError(SubcoreError):
    """A bounded table is full. The call changed nothing; the text names the table and its limit."""


class QueueOverflow(SubcoreError):
    """A queue with `overflow="close"` was full, and what it held is read. The text says what to do next."""


class SubscribeError(SubcoreError):
    """Some of what was wanted is not proven.

    `reasons` maps each topic that is missing to one sentence about why.
    """

    def __init__(self, message: str, reasons: Mapping[Topic, str] | None = None) -> None:
        super().__init__(message)
        self.reasons: dict[Topic, str] = dict(reasons or {})


class SubscribeTimeout(SubscribeError, TimeoutError):
    """The time given to `live` ran out before everything was proven. What was asked for stays asked for."""


class VenueError(SubcoreError):
    """The venue answered, but not with what was asked for."""


class DecodeError(VenueError, ValueError):
    """A frame could not be read.

    `reason` is the decoder's named state, `offset` the byte at which it stopped.
    """

    def __init__(self, message: str, *, reason: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.offset = offset


class NetworkError(SubcoreError, ConnectionError):
    """No usable answer from the venue. subcore keeps trying by itself; the text says when next."""


class LinkError(NetworkError):
    """A link could not be opened, or was lost. `code` is the close code, if one came."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class FileError(SubcoreError):
    """A file cannot be used. The text names the file and what to do with it."""


class SnapshotError(FileError):
    """A snapshot of intent is torn, foreign, too new, or in use by another process."""


class RecordingError(FileError):
    """A recording cannot be read or written."""


class InternalError(SubcoreError):
    """A promise of subcore itself did not hold. Please report it with this text."""
