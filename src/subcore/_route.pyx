"""Fan-out: one frame to every sink of its stream.

What handlers may do during a fan-out: everything. Changes of routes are made after it; a released sink gets nothing
more from the moment `release_sink` was called.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint16_t, uint32_t

from subcore._delivery cimport Box
from subcore._events cimport KIND_ORDERBOOK, Event, Record, make_event, record_of
from subcore._ring cimport RecordRing
from subcore._routes cimport CUT_MASK, Entry, Route, entries_of, sink_in, topic_in
from subcore._sinks cimport SINK_METHOD, SINK_QUEUE, SINK_STRATEGY, Sink

cdef extern from "_call.h":
    PyObject* subcore_weak_get(PyObject* reference) noexcept
    # -1 leaves an exception set, for handler_failed to take: so no call pays for a try block.
    int subcore_call_one(PyObject* callable, PyObject* argument) noexcept
    int subcore_call_two(PyObject* callable, PyObject* self, PyObject* argument) noexcept
    int subcore_call_strategy(PyObject* strategy, const void* record, unsigned int kind) noexcept
    void subcore_release "Py_DECREF"(PyObject* object) noexcept

cdef enum:
    RAW_SHIFT = 16
    NO_KEY = 0x2_0000          # beyond every cut | raw << 16

# The same function seen as one that leaves its exception set.
ctypedef int (*UseCall)(Frame, uint32_t) noexcept


cdef inline int hand_record(Sink* sink, const Record* record, int32_t topic) noexcept:
    """Give the record to a strategy or a ring."""
    sink.delivered += 1
    if sink.kind == SINK_STRATEGY:
        return subcore_call_strategy(sink.target, record, record.head.kind)
    (<RecordRing>sink.target).put(record, topic)
    return 0


cdef inline int hand(Sink* sink, PyObject* event, int32_t topic) noexcept:
    """Give the event to one sink that takes events. The row may move while a handler runs."""
    cdef PyObject* target
    cdef int status
    if sink.kind == SINK_METHOD:
        target = subcore_weak_get(sink.weak)
        if target == NULL:
            return 0
        sink.delivered += 1
        status = subcore_call_two(sink.target, target, event)
        subcore_release(target)
        return status
    sink.delivered += 1
    if sink.kind == SINK_QUEUE:
        (<Box>sink.target).push(event, topic)
        return 0
    return subcore_call_one(sink.target, event)


cdef int use_key(Frame frame, uint32_t key) except -1:
    return frame.use(key)


@cython.final
cdef class Frame:
    """The frame under fan-out, and the events made of it so far: one for each cut, with raw bytes or without."""

    cdef void start(self, const Record* record, str venue, str channel, str symbol, const Payload* payload) noexcept:
        self.record = record
        self.payload = payload
        self.venue, self.channel, self.symbol = venue, channel, symbol
        self.event_key = NO_KEY
        self.deepest = 0
        if record.head.kind == KIND_ORDERBOOK:
            self.deepest = max(record.orderbook.bid_count, record.orderbook.ask_count)

    cdef void end(self) noexcept:
        self.event = self.others = None

    cdef int use(self, uint32_t key) except -1:
        """Make `event` the one for this key."""
        cdef bytes raw = None
        cdef Event event = None
        if self.event is not None:
            if self.others is None:
                self.others = {}
            self.others[self.event_key] = self.event
            event = self.others.get(key)
        if event is None:
            if key >> RAW_SHIFT and self.payload != NULL:
                raw = self.payload.data[:self.payload.size]
            event = make_event(self.record, self.venue, self.channel, self.symbol, raw, <uint16_t>(key & CUT_MASK))
        self.event = event
        self.event_key = key
        return 0

    cdef const Record* cut_to(self, uint32_t cut) noexcept:
        """The record as a strategy or ring sees it: a book has at most `cut` levels a side, 0 = all."""
        if cut == 0:
            return self.record
        self.book = self.record.orderbook
        self.book.bid_count = min(self.book.bid_count, <int32_t>cut)
        self.book.ask_count = min(self.book.ask_count, <int32_t>cut)
        return <const Record*>&self.book


@cython.final
@cython.no_gc_clear
cdef class Router(RouteChanges):
    """Streams' routes, the sinks they lead to, and the fan-out. Belongs to the loop's thread.

    `gone` is a deque that gets the id of each sink whose bound method's object went. `on_error(component, sink_id,
    exception)` is called for each exception of a handler, inside the fan-out; it must not keep the exception, whose
    traceback holds the handler's frames.
    """

    def __cinit__(self, ledger, *, gone, on_error=None):
        self.frame = Frame()

    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1:
        cdef Route* route
        if self.running:
            raise RuntimeError("a fan-out is under way: a handler must not feed frames")
        if not self.has_route(stream):
            return 0
        route = &self.routes[stream]
        self.running = True
        self.frame.start(record, venue, channel, symbol, payload)
        self.deliver(entries_of(route), route.count, self.frame)
        self.frame.end()
        if self.change_count or self.graveyard:
            self.finish()
        self.running = False
        return 0

    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept:
        """Changes of routes wait, so `entries` stays put; sinks may be added, so each is looked up anew."""
        cdef uint32_t i, cut
        cdef int32_t index
        cdef int status
        cdef Sink* sink
        for i in range(count):
            index = sink_in(entries[i])
            sink = &self.sinks[index]
            if sink.dead or sink.muted:
                continue
            cut = <uint32_t>(entries[i] & CUT_MASK)
            if <int32_t>cut >= frame.deepest:
                cut = 0
            if sink.kind >= SINK_STRATEGY:
                status = hand_record(sink, frame.cut_to(cut) if cut else frame.record, topic_in(entries[i]))
            else:
                cut |= <uint32_t>sink.raw << RAW_SHIFT
                status = 0 if cut == frame.event_key else (<UseCall>use_key)(frame, cut)
                if status == 0:
                    status = hand(sink, <PyObject*>frame.event, topic_in(entries[i]))
            if status < 0:
                self.handler_failed(index)

    cdef void finish(self) noexcept:
        """Make the changes asked for during the fan-out, then let go of what was released."""
        self.make_changes()
        self.running = False
        graveyard, self.graveyard = self.graveyard, []
        graveyard.clear()         # destructors of users' objects run here, when all is in order

    def send(self, int32_t stream, Event event not None):
        """Deliver a record that no frame brought just now (an arbiter's choice, a test); `raw` holders get no bytes.

        Raises KeyboardInterrupt or SystemExit if a handler did, after everyone was served.
        """
        self.fan_out(stream, record_of(event), event.venue, event.channel, event.symbol, NULL)
        fatal = self.take_fatal()
        if fatal is not None:
            raise fatal
