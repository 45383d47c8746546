# cython: language_level=3
"""One frame's bytes to an event or a control object, without a manager: `decode` and `decode_all`."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from subcore._events cimport Event, make_event
from subcore._intern cimport Interner
from subcore._scan cimport SCAN_CONTROL, SCAN_END, SCAN_OK, Scanner

from subcore import _intern, _scan
from subcore._schema import Schema
from subcore.errors import CapacityError, DecodeError, UsageError

cdef enum:
    DECODERS_KEPT = 16
    SAMPLE_BYTES = 80

cdef dict DECODERS = {}             # name -> decoder of a built-in venue; (id, ...) -> of a Venue, which it holds
cdef object LAST_VENUE = None
cdef Decoder LAST_DECODER = None


@cython.final
cdef class Decoder:
    """A scanner for one venue and the texts it has met, at most 65,536 symbols."""

    cdef object venue
    cdef str name
    cdef tuple channels
    cdef Scanner scanner
    cdef Interner symbols
    cdef bint busy

    def __cinit__(self, venue):
        self.venue = venue
        self.name = venue.name
        schema = Schema(
            venue.load_fields(),
            [channel.wire_name for channel in venue.channels],
            [channel.name for channel in venue.channels],
        )
        self.channels = schema.channels
        self.symbols = Interner()
        self.scanner = Scanner(schema, self.symbols)

    cdef Event event(self, int64_t receive_time_ns):
        """The event of the record just scanned."""
        cdef Scanner scanner = self.scanner
        cdef str symbol = None
        if scanner.record.head.symbol >= 0:
            symbol = <str>self.symbols.text_of(scanner.record.head.symbol)
        elif scanner.symbol_text != NULL:
            symbol = self.meet(scanner.symbol_text[:scanner.symbol_size])
        scanner.record.head.symbol = -1             # ids of this decoder mean nothing to others
        scanner.record.head.receive_time_ns = receive_time_ns
        return make_event(&scanner.record, self.name, <str>self.channels[scanner.record.head.channel], symbol, None, 0)

    cdef str meet(self, bytes utf8):
        """A text not met before; kept for the next time while there is room."""
        cdef str symbol = utf8.decode("utf-8", "surrogatepass")
        if len(utf8) <= _intern.MAX_TEXT_SIZE:
            try:
                self.symbols.intern(symbol)
            except (CapacityError, UnicodeEncodeError):
                pass                                # full, or a lone surrogate: made anew each time
        return symbol

    cdef object one(self, bytes frame, int64_t receive_time_ns):
        """The event of a frame that holds one and nothing else; None for `several` to look at any other frame."""
        cdef Event event
        if self.busy or self.scanner.begin(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame)) != SCAN_OK:
            return None
        if self.scanner.next() != SCAN_OK:
            return None
        self.busy = True
        try:
            event = self.event(receive_time_ns)
        finally:
            self.busy = False
        return event if self.scanner.next() == SCAN_END else None

    cdef list several(self, bytes frame, int64_t receive_time_ns):
        """Everything a frame holds, in order; DecodeError if any of it cannot be read."""
        if self.busy:
            # A finalizer that decodes while this decoder is at work must not touch its scanner.
            return (<Decoder>Decoder(self.venue)).several(frame, receive_time_ns)
        cdef list found = []
        self.busy = True
        try:
            state = self.scan_all(frame, receive_time_ns, found)
            position = self.scanner.error_position
        finally:
            self.busy = False
        if state > SCAN_END:
            raise refusal(self.name, frame, _scan.STATES[state], position)
        return with_controls(found, self.venue.decode_control, frame) if None in found else found

    cdef int scan_all(self, bytes frame, int64_t receive_time_ns, list found) except -1:
        """Events into `found`, None for each control object. SCAN_END, or the state of a refusal."""
        cdef int state = self.scanner.begin(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        if state != SCAN_OK:
            return state
        while True:
            state = self.scanner.next()
            if state != SCAN_OK and state != SCAN_CONTROL:
                return state
            found.append(self.event(receive_time_ns) if state == SCAN_OK else None)


cdef object refusal(str venue, bytes frame, str reason, Py_ssize_t position):
    begin = max(0, position - SAMPLE_BYTES // 2)
    sample = frame[begin:begin + SAMPLE_BYTES]
    return DecodeError(
        f"{venue}: {reason} at byte {position} of {len(frame)}, near {sample!r}; keep the frame and check that it is "
        f"one of this venue's",
        reason=reason, offset=position,
    )


cdef list with_controls(list found, decode_control, bytes frame):
    """`found` with its Nones replaced by what the venue's own decoder says."""
    controls = decode_control(frame)
    if len(controls) == len(found):                 # one for each object of a LIST frame
        return [control if event is None else event for event, control in zip(found, controls, strict=True)]
    at = found.index(None)
    return found[:at] + controls + [event for event in found[at:] if event is not None]


cdef Decoder decoder_of(venue):
    """The decoder of a venue; made on first use, the oldest is dropped where there are more than 16."""
    global LAST_VENUE, LAST_DECODER
    if venue is LAST_VENUE and LAST_DECODER is not None:
        return LAST_DECODER
    key = venue if isinstance(venue, str) else id(venue)
    cdef Decoder decoder = DECODERS.get(key)
    if decoder is None:
        from subcore.venues import get_venue

        decoder = Decoder(get_venue(venue))
        if len(DECODERS) >= DECODERS_KEPT:
            del DECODERS[next(iter(DECODERS))]
        DECODERS[key] = decoder
    LAST_VENUE, LAST_DECODER = venue, decoder
    return decoder


cdef bytes as_bytes(frame):
    if type(frame) is bytes:
        return <bytes>frame
    if isinstance(frame, str):
        raise TypeError("a frame must be bytes, as it came from the wire, not str: encode it")
    return bytes(memoryview(frame))


def decode(venue, frame, *, int64_t receive_time_ns=0):
    """The event, or the control object, that a frame holds.

    `venue`: a name (`"upbit"`) or a Venue. `frame`: bytes, bytearray or memoryview of one message. `receive_time_ns`:
    given to the event as it is.

    DecodeError where the frame cannot be read or holds nothing (its `reason` and `offset` say why and where);
    UsageError where it holds several things (see `decode_all`), or for a venue that does not exist; TypeError for a
    frame that is no bytes. Any thread, under the GIL. Cost: the scan, and about 50 ns.
    """
    cdef Decoder decoder = decoder_of(venue)
    cdef bytes data = as_bytes(frame)
    event = decoder.one(data, receive_time_ns)
    if event is not None:
        return event
    found = decoder.several(data, receive_time_ns)
    if len(found) == 1:
        return found[0]
    if not found:
        raise DecodeError(f"{decoder.name}: the frame holds nothing: {data[:SAMPLE_BYTES]!r}", reason="empty")
    raise UsageError(f"the frame holds {len(found)} events or control objects: use decode_all")


def decode_all(venue, frame, *, int64_t receive_time_ns=0) -> list:
    """Everything a frame holds, in order: events and control objects. An empty array gives an empty list.

    All or nothing: DecodeError where any part cannot be read. Else as `decode`.
    """
    return decoder_of(venue).several(as_bytes(frame), receive_time_ns)
