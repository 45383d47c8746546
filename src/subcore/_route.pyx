"""Fan-out: one frame to every sink of its stream.

What handlers may do during a fan-out: everything. Changes of routes are made after it; a released sink gets nothing
more from the moment `release_sink` was called.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from _call cimport call, keep, subcore_call_strategy
from subcore._arrays cimport int32_vector
from subcore._events cimport FLAG_IMAGE, Event, Record, record_of
from subcore._frame cimport RAW_SHIFT, Frame, Payload
from subcore._limits cimport Limit
from subcore._ring cimport RecordRing
from subcore._routes cimport CUT_MASK, Entry, Route, entries_of, interest_key, sink_in, topic_in
from subcore._sinks cimport (
    GATE_BLOCKED,
    GATE_DEAD,
    GATE_LIMITED,
    GATE_MUTED,
    GATE_ONCE,
    SINK_QUEUE,
    SINK_RING,
    SINK_STRATEGY,
    Sink,
)

cdef enum:
    STRATEGIES_TOGETHER = 64   # between two looks at the coarse clock, which costs more than a call of one

# The same function seen as one that leaves its exception set.
ctypedef int (*UseCall)(Frame, uint32_t) noexcept


cdef int use_key(Frame frame, uint32_t key) except -1:
    return frame.use(key)


@cython.final
@cython.no_gc_clear
cdef class Router(RouteCalls):
    """Streams' routes, the sinks they lead to, and the fan-out. Belongs to the loop's thread.

    `gone` is a deque that gets the id of each sink whose bound method's object went. `on_error(component, sink_id,
    exception)` is called for each exception of a handler, inside the fan-out; it must not keep the exception, whose
    traceback holds the handler's frames. `clock`: a CallClock, for virtual time (the machine's).
    """

    def __cinit__(self, ledger, *, gone, on_error=None, clock=None):
        self.frame = Frame(self.images)

    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1:
        cdef Route* route
        cdef int64_t began
        if self.running:
            raise RuntimeError("a fan-out is under way: a handler must not feed frames")
        if not self.has_route(stream):
            if self.images.has(stream):       # nobody holds it just now, and whoever is next joins it as it is then
                self.images.copy(stream, record, venue, channel, symbol)
            return 0
        route = &self.routes[stream]
        self.running = True
        began = self.now_ns = self.clock.precise()
        self.received_ns = record.head.receive_time_ns
        self.frame.start(stream, record, venue, channel, symbol, payload)
        self.deliver(entries_of(route), route.count, self.frame)
        self.called = -1
        self.time_frame(self.clock.precise() - began)
        self.keep_image(stream, self.frame)
        self.frame.end()
        if self.change_count or self.graveyard:
            self.finish()
        self.running = False
        return 0

    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept:
        """Changes of routes wait, so `entries` stays put. Sinks may be added, by a handler or by a destructor that runs
        wherever something is allocated: so their rows may move, and each is looked up anew after that."""
        cdef uint32_t i = 0
        cdef uint32_t cut
        cdef int32_t index
        cdef int status
        cdef Sink* sink
        cdef int64_t began, now
        cdef int64_t ticked = self.now_ns            # the coarse clock is behind it: nothing looks longer than it was
        while i < count:
            index = sink_in(entries[i])
            sink = &self.sinks[index]
            if sink.gate:
                if not self.admits(index, entries[i], frame):
                    i += 1
                    continue
                sink = &self.sinks[index]
            if sink.kind == SINK_STRATEGY:
                i += self.call_strategies(entries + i, count - i, frame, &ticked)
                continue
            cut = <uint32_t>(entries[i] & CUT_MASK)
            if <int32_t>cut >= frame.deepest:
                cut = 0
            i += 1
            if sink.kind == SINK_RING:
                sink.delivered += 1
                (<RecordRing>sink.target).put(frame.cut_to(cut), topic_in(entries[i - 1]))
                continue
            cut |= <uint32_t>sink.raw << RAW_SHIFT
            if cut != frame.event_key:
                if (<UseCall>use_key)(frame, cut) < 0:
                    self.handler_failed(index)
                    continue
                sink = &self.sinks[index]
                if sink.gate & GATE_DEAD:             # by a destructor just now
                    continue
            if sink.kind == SINK_QUEUE:
                keep(sink, <PyObject*>frame.event, topic_in(entries[i - 1]))
                continue
            began = self.begin_call(index)
            if began:                                 # another's clock was read, which may be Python code
                sink = &self.sinks[index]
                if sink.gate & GATE_DEAD:
                    continue
            status = call(sink, <PyObject*>frame.event)
            self.settle_call(index, status)
            now = self.clock.coarse()
            if now > ticked or began:
                self.judge(index, began, now - ticked, 1)
                ticked = max(now, ticked)

    cdef uint32_t call_strategies(self, const Entry* entries, uint32_t count, Frame frame, int64_t* ticked) noexcept:
        """Calls the first, which was admitted, and those that stand right behind it and need not be; how many."""
        cdef uint32_t done = 0
        cdef uint32_t cut, together = 0              # calls since the coarse clock was read
        cdef unsigned int kind = frame.record.head.kind
        cdef int32_t index
        cdef int status
        cdef Sink* sink
        cdef int64_t began = 0
        cdef int64_t now
        while done < count:
            index = sink_in(entries[done])
            sink = &self.sinks[index]
            if done and (sink.kind != SINK_STRATEGY or sink.gate):
                break
            cut = <uint32_t>(entries[done] & CUT_MASK)
            done += 1
            began = self.begin_strategy(index)
            if began:                                 # another's clock was read, which may be Python code
                sink = &self.sinks[index]
                if sink.gate & GATE_DEAD:
                    continue
            sink.delivered += 1
            status = subcore_call_strategy(sink.target, frame.cut_to(cut) if cut else frame.record, kind)
            together += 1
            if status < 0 or self.sinks[index].in_row:
                self.settle_call(index, status)
            if began or together == STRATEGIES_TOGETHER or done == count:
                now = self.clock.coarse()
                self.judge(index, began, now - ticked[0], together)
                ticked[0], together = max(now, ticked[0]), 0
        if together:
            now = self.clock.coarse()
            self.judge(index, 0, now - ticked[0], together)
            ticked[0] = max(now, ticked[0])
        return done

    cdef inline void settle_call(self, int32_t sink, int status) noexcept:
        if status < 0:
            self.handler_failed(sink)
        elif self.sinks[sink].in_row:
            self.recovered(sink)

    cdef bint admits(self, int32_t sink, Entry entry, Frame frame) noexcept:
        cdef uint8_t gate = self.sinks[sink].gate
        if (self.held_off or self.joining) and self.is_off(sink):
            self.note_missed(sink, topic_in(entry))
        if gate & (GATE_DEAD | GATE_MUTED):
            return False
        if gate & GATE_LIMITED and gate & (GATE_BLOCKED | GATE_ONCE) != GATE_BLOCKED:
            if self.holds_back(sink, entry, frame):
                return False
        return self.passes(sink)

    cdef bint holds_back(self, int32_t sink, Entry entry, Frame frame) noexcept:
        cdef int32_t component = self.sinks[sink].component
        cdef uint32_t key = <uint32_t>(entry & CUT_MASK)
        cdef Limit limit = self.limits.find(component, topic_in(entry))
        if limit is None:
            self.set_gate(sink, GATE_LIMITED, self.limits.has(component))
            return False
        if self.limits.admit(limit, self.now_ns):
            return False
        if <int32_t>key >= frame.deepest:
            key = 0
        if self.sinks[sink].kind < SINK_STRATEGY:
            key |= <uint32_t>self.sinks[sink].raw << RAW_SHIFT
        try:
            if key != frame.event_key:
                frame.use(key)
            self.limits.hold(limit, frame.event)
        except BaseException as error:
            self.report(sink, error)
        return True

    cdef inline int64_t begin_call(self, int32_t sink) noexcept:
        """When it began, never 0; 0 where it is not timed, and then no clock was read."""
        self.called = sink
        self.calls += 1
        return max(1, self.clock.precise()) if self.calls >= self.timed_at else 0

    cdef inline int64_t begin_strategy(self, int32_t sink) noexcept:
        """As begin_call, and timed an eighth as often: the clock costs as much as ten calls of a strategy."""
        self.called = sink
        self.calls += 1
        return self.begin_timed() if self.calls >= self.timed_at else 0

    cdef void keep_image(self, int32_t stream, Frame frame) noexcept:
        cdef Event whole = frame.event if frame.event_key == 0 else frame.whole()
        if whole is None:                         # a later joiner may want more than any of those who are there
            self.images.copy(stream, frame.record, frame.venue, frame.channel, frame.symbol)
        else:
            self.images.keep(stream, whole)
        if self.joining:
            self.pass_joiners(stream)

    cdef void note_missed(self, int32_t sink, int32_t topic) noexcept:
        cdef int32_t component = self.sinks[sink].component
        cdef uint64_t key = interest_key(component, topic)
        cdef dict held = self.held_off.get(component)
        cdef dict joiners = self.joining.get(self.ledger.stream_of(topic))
        try:
            if held is not None and topic in held:
                held[topic] = self.fan_outs
            if joiners is not None and key in joiners:
                joiners[key] = self.fan_outs
        except MemoryError:
            pass                  # then it gets no image

    cdef void pass_joiners(self, int32_t stream) noexcept:
        """They got the frame, but for those who were kept from it, however they stand by now."""
        cdef dict joiners = self.joining.pop(stream, None)
        cdef uint64_t key
        cdef int32_t sink
        if joiners is not None:
            for key, missed in joiners.items():
                sink = self.sink_of(<int32_t>(key >> 32), <int32_t>(key & 0xFFFF_FFFF))
                if sink >= 0 and missed is not None and <uint64_t>missed == self.fan_outs - 1:   # of the one just made
                    self.join(sink, stream, <int32_t>(key & 0xFFFF_FFFF), missed)

    def limit(self, int32_t component, topics, int64_t interval_ns, sinks):
        """At most one event each `interval_ns` for these interests of the component, which has these sinks; 0 = all,
        the greatest int64 = none: the newest goes when there is another interval.

        `topics`: int32 ids. The newest event that was held back goes when it is due, see `flush_limits`. Another
        handler leaves the limit; what is disconnected has none. KeyError for a sink released. Cost: O(topics).
        """
        cdef const int32_t[::1] ids = int32_vector(topics, "topics")
        cdef Py_ssize_t i
        if interval_ns < 0:
            raise ValueError(f"interval_ns must be 0 or more, not {interval_ns}")
        for sink_id in sinks:
            if interval_ns:
                self.set_gate(self.sink_at(sink_id), GATE_LIMITED, True)
        for i in range(ids.shape[0]):
            self.limits.put(component, ids[i], interval_ns)

    def on_limit_due(self, callback):
        """`callback(due_ns)` when an event is held back that is due earlier than all before, inside the fan-out."""
        self.limits.on_due = callback

    def flush_limits(self, int64_t now_ns):
        """Deliver what limits held back and is due by now, on the router's clock; when the next is due, 0 = nothing is.

        RuntimeError inside a fan-out. Exceptions of handlers as for a frame.
        """
        cdef Limit limit
        cdef Event event
        self.begin_alone()
        while (limit := self.limits.take_due(now_ns)) is not None:
            event, limit.pending = limit.pending, None
            if limit.interval_ns == 0:
                self.limits.forget(limit.component, limit.topic)
            if event.head.flags & FLAG_IMAGE:     # by now there may be a newer one, and it may be muted
                self.give_image(self.ledger.stream_of(limit.topic), limit.component, limit.topic, False)
            else:
                self.give(limit.component, limit.topic, event)
        self.end_alone()
        return self.limits.next_due()

    def give_images(self):
        """Deliver the last event, marked as image, to those who joined a stream and have had no frame of it since.

        Who is muted or blocked is due it when he is let on; `images_due` then says so.
        RuntimeError inside a fan-out. Exceptions of handlers as for a frame.
        """
        cdef uint64_t key
        self.begin_alone()
        self.now_ns = self.clock.precise()
        while self.joining:
            stream = next(iter(self.joining))
            for key in self.joining.pop(stream):
                self.give_image(stream, <int32_t>(key >> 32), <int32_t>(key & 0xFFFF_FFFF), True)
        self.end_alone()

    @property
    def images_due(self):
        """Whether anybody waits for `give_images`."""
        return len(self.joining) > 0

    cdef int begin_alone(self) except -1:
        if self.running:
            raise RuntimeError("a fan-out is under way: a handler must not deliver events")
        self.running = True
        return 0

    cdef void end_alone(self) noexcept:
        self.called = -1
        if self.change_count or self.graveyard:
            self.finish()
        self.running = False

    cdef void give_image(self, int32_t stream, int32_t component, int32_t topic, bint limited) noexcept:
        cdef int32_t sink = self.sink_of(component, topic)
        cdef Limit limit = self.limits.find(component, topic)
        if sink < 0 or self.sinks[sink].gate & GATE_DEAD:
            return
        if self.is_off(sink):
            self.join(sink, stream, topic, None)
            return
        try:
            image = self.images.image_of(stream, <uint32_t>self.ledger.cut_of(topic), self.sinks[sink].raw)
            if image is None:
                return
            if limited and limit is not None and not self.limits.admit(limit, self.now_ns):
                if limit.pending is None:
                    self.limits.hold(limit, image)
                return
        except BaseException as error:            # whoever is told what is due runs in `hold`
            self.report(sink, error)
            return
        self.give(component, topic, image)

    cdef void give(self, int32_t component, int32_t topic, Event event) noexcept:
        cdef int32_t index = self.sink_of(component, topic)
        cdef Sink* sink
        cdef int64_t began, ticked = self.clock.coarse()
        cdef int status
        if index < 0 or (self.sinks[index].gate and not self.passes(index)):
            return
        sink = &self.sinks[index]
        if sink.kind == SINK_RING:
            sink.delivered += 1
            (<RecordRing>sink.target).put(record_of(event), topic)
            return
        if sink.kind == SINK_QUEUE:
            keep(sink, <PyObject*>event, topic)
            return
        self.received_ns = 0 if event.head.flags & FLAG_IMAGE else event.head.receive_time_ns
        began = self.begin_call(index)
        if began:                                     # another's clock was read, which may be Python code
            sink = &self.sinks[index]
            if sink.gate & GATE_DEAD:
                return
        if sink.kind == SINK_STRATEGY:
            sink.delivered += 1
            status = subcore_call_strategy(sink.target, record_of(event), event.head.kind)
        else:
            status = call(sink, <PyObject*>event)
        self.settle_call(index, status)
        self.judge(index, began, self.clock.coarse() - ticked, 1)

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
