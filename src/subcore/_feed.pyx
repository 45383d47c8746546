# cython: language_level=3
"""The hot path in one place: a link's payload is scanned, counted and delivered. Nothing here asks the engine."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t

from collections import deque
from typing import NamedTuple

from subcore._events cimport Record
from subcore._frame cimport Payload
from subcore._ledger cimport Ledger
from subcore._meter cimport Meter
from subcore._receiver cimport Receiver
from subcore._route cimport Router
from subcore._scan cimport SCAN_CONTROL, SCAN_END, SCAN_OK, Scanner
from subcore._stream_lookout cimport StreamLookout
from subcore._streams cimport key_of

from subcore._scan import STATES

cdef enum:
    SECOND_STREAM = -1  # in place of a frame's size: it was counted for another stream
    BAD_FRAMES_KEPT = 32
    BAD_BYTES_KEPT = 4096
    DEFERRED_KEPT = 65536


class BadFrame(NamedTuple):
    """A frame that could not be read. `reason`: the scanner's state; `position`: byte at which it gave up; `head`: the
    first 4,096 of the frame's `size` bytes."""

    reason: str
    position: int
    receive_time_ns: int
    link: int
    size: int
    head: bytes


@cython.final
cdef class Feed(Receiver):
    """Takes the messages of all links of one venue. Belongs to the loop's thread.

    Attributes that may be set, each a callable or None: `recorder(receive_time_ns, payload)` gets every payload before
    it is scanned; `on_control(link, payload)` a frame that holds no data, in order, after the data before it;
    `on_evidence()` when the meter has proofs to take; `on_gap(stream)` when a snapshot showed that trades were missed;
    `on_fatal(exception)` KeyboardInterrupt or SystemExit out of a handler (else the listener hands it on). An
    exception out of one of them is unraisable: it stops neither the frame nor the link.
    """

    def __cinit__(self, str venue not None, Scanner scanner not None, Ledger ledger not None, Meter meter not None,
                  Router router not None):
        if scanner.interner is None:
            raise ValueError("the scanner of a feed needs an interner, else no frame belongs to a stream")
        self.venue = venue
        self.scanner = scanner
        self.interner = scanner.interner
        self.ledger = ledger
        self.meter = meter
        self.router = router
        self.lookout = scanner.lookout = StreamLookout(self.interner, ledger, meter, router)
        self.channels = scanner.schema.channels
        self.expected_format = -1
        self.whole_channels = 0
        self.sample = deque(maxlen=BAD_FRAMES_KEPT)
        self.waiting = deque()

    def feed(self, int32_t link, bytes payload not None, int64_t receive_time_ns):
        """Take one message, as from a link. For replay and tests; raises KeyboardInterrupt or SystemExit of a handler.

        From inside a handler the frame is taken after the one being delivered.
        """
        self.on_payload(link, payload, len(payload), receive_time_ns, receive_time_ns)
        if self.fatal is not None and not self.busy:
            raise self.take_fatal()

    def flush_limits(self, int64_t now_ns):
        """`Router.flush_limits`, with frames that come meanwhile taken after it. None from inside a handler, where
        nothing is done: ask again later."""
        if self.busy:
            return None
        self.busy = True
        try:
            return self.router.flush_limits(now_ns)
        finally:
            self.end_alone()

    def give_images(self):
        """`Router.give_images`, in the same way. False from inside a handler: ask again later."""
        if self.busy:
            return False
        self.busy = True
        try:
            self.router.give_images()
        finally:
            self.end_alone()
        return True

    cdef void end_alone(self) noexcept:
        if self.router.fatal is not None:
            self.fatal = self.router.take_fatal()
        self.finish()

    def bad_frames(self):
        """The last 32 frames that could not be read, oldest first."""
        return list(self.sample)

    def counters(self):
        """{name: count}: the feed's own counters and the scanner's, which are counted per element of a frame."""
        own = ("frames", "bytes", "events", "controls", "repeats", "duplicates", "unknown_symbols", "unknown_streams",
               "format_mismatches", "bad", "deferred", "foreseen")
        return {**self.scanner.counters(), **{name: getattr(self, name) for name in own}}

    cdef void on_payload(self, int32_t link, const char* data, Py_ssize_t size, int64_t receive_time_ns,
                         int64_t now_ns) noexcept:
        cdef Payload payload
        if self.busy:
            self.defer(link, data, size, receive_time_ns)
            return
        payload.data, payload.size = data, size
        self.busy = True
        self.take(link, &payload, receive_time_ns)
        self.finish()

    cdef void finish(self) noexcept:
        """What came or turned up meanwhile."""
        if self.has_deferred:
            self.take_deferred()
        self.busy = False
        if self.proved:
            self.proved = False
            self.tell(self.on_evidence, ())
        if self.fatal is not None and self.on_fatal is not None:
            self.tell(self.on_fatal, (self.take_fatal(),))

    cdef void take_deferred(self) noexcept:
        cdef Payload payload
        cdef bytes later
        while self.waiting:
            link, later, receive_time_ns = self.waiting.popleft()
            payload.data, payload.size = later, len(later)
            self.take(link, &payload, receive_time_ns)
        self.has_deferred = False

    cdef void defer(self, int32_t link, const char* data, Py_ssize_t size, int64_t receive_time_ns) noexcept:
        """A handler runs the loop itself: its frames wait until the one being delivered is through."""
        self.deferred += 1
        if len(self.waiting) >= DEFERRED_KEPT:
            self.bad += 1
            return
        self.waiting.append((link, data[:size], receive_time_ns))
        self.has_deferred = True

    cdef void take(self, int32_t link, const Payload* payload, int64_t receive_time_ns) noexcept:
        cdef Py_ssize_t size = payload.size
        cdef bint is_control = False
        cdef int state
        self.frames += 1
        self.bytes += <size_t>size
        if self.recorder is not None:
            self.tell(self.recorder, (receive_time_ns, payload.data[:payload.size]))
        state = self.scanner.begin(payload.data, payload.size)
        while state == SCAN_OK:
            self.lookout.stream = -1
            state = self.scanner.next()
            if state == SCAN_OK:
                self.scanner.record.head.receive_time_ns = receive_time_ns
                self.take_record(link, payload, size)
                if (self.whole_channels >> (self.scanner.record.head.channel & 63)) & 1:
                    self.take_for_whole(link, payload)
                size = 0              # a list's bytes count once
            elif state == SCAN_CONTROL:
                if not is_control:    # the callable sees the whole frame, once
                    self.take_control(link, payload)
                is_control, state = True, SCAN_OK
        if state != SCAN_END:
            self.keep_bad(link, payload, receive_time_ns, state)
        if self.router.fatal is not None:
            self.fatal = self.router.take_fatal()

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int32_t stream_of_record(self) noexcept nogil:
        """-1 where nobody wants the record. A stream without a symbol takes those of all symbols (private channels)."""
        cdef Record* record = &self.scanner.record
        cdef int32_t stream = self.lookout.stream
        if stream >= 0 and self.ledger.keys[stream] == key_of(record.head.channel, record.head.symbol,
                                                              record.head.variant):
            self.foreseen += 1
            self.lookout.expect_event()
            return stream
        stream = self.ledger.find_stream(record.head.channel, record.head.symbol, record.head.variant)
        if stream < 0:
            stream = self.ledger.find_stream(record.head.channel, self.interner.find("", 0), record.head.variant)
        return stream

    cdef void take_record(self, int32_t link, const Payload* payload, Py_ssize_t size) noexcept:
        cdef Record* record = &self.scanner.record
        cdef int32_t stream
        cdef str symbol = None
        cdef PyObject* text = NULL
        if size != SECOND_STREAM:
            stream = self.stream_of_record()
            self.events += 1
            record.head.stream = stream
            if self.expected_format >= 0 and self.scanner.format != self.expected_format:
                self.format_mismatches += 1
        else:
            stream = record.head.stream
        if self.meter.on_event(link, record, size):
            self.proved = True
        if stream < 0:
            if record.head.symbol < 0 and self.scanner.symbol_text != NULL:
                self.unknown_symbols += 1
            else:
                self.unknown_streams += 1
            return
        if self.meter.is_repeat(record):
            if self.meter.copy:
                self.duplicates += 1
            else:
                self.repeats += 1
            return
        if self.meter.gap:
            self.tell(self.on_gap, (stream,))
        if not self.router.has_route(stream) and not self.router.images.has(stream):
            return
        if record.head.symbol >= 0:
            text = self.interner.text_of(record.head.symbol)
        if text != NULL:            # else a handler of the frame's first stream had its symbol released
            symbol = <str>text
        elif self.scanner.symbol_text != NULL:
            symbol = self.scanner.symbol_text[:self.scanner.symbol_size].decode("utf-8", "replace")
        self.router.fan_out(stream, record, self.venue, <str>self.channels[record.head.channel], symbol, payload)

    cdef void take_for_whole(self, int32_t link, const Payload* payload) noexcept:
        """A record of one symbol is due to those as well who asked for all: a stream of its own, without a symbol."""
        cdef Record* record = &self.scanner.record
        cdef int32_t whole = self.ledger.find_stream(record.head.channel, self.interner.find("", 0),
                                                     record.head.variant)
        if whole >= 0 and whole != record.head.stream:
            record.head.stream = whole
            self.take_record(link, payload, SECOND_STREAM)

    cdef void take_control(self, int32_t link, const Payload* payload) noexcept:
        self.controls += 1
        if self.on_control is not None:
            self.tell(self.on_control, (link, payload.data[:payload.size]))

    cdef void keep_bad(self, int32_t link, const Payload* payload, int64_t receive_time_ns, int state) noexcept:
        cdef Py_ssize_t kept = min(payload.size, <Py_ssize_t>BAD_BYTES_KEPT)
        self.bad += 1
        self.sample.append(BadFrame(STATES[state], self.scanner.error_position, receive_time_ns, link, payload.size,
                                    payload.data[:kept]))

    cdef void tell(self, object callback, tuple arguments) noexcept:
        if callback is None:
            return
        try:
            callback(*arguments)
        except (KeyboardInterrupt, SystemExit) as error:
            self.fatal = error
