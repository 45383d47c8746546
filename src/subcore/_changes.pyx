"""How interests enter and leave routes: at once, or after the fan-out under way."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport UINT64_MAX, int32_t, uint32_t

cimport numpy as cnp

from subcore._arrays cimport int32_vector, new_block, new_ids
from subcore._ledger cimport FRESH_PAYLOAD
from subcore._routes cimport Entry
from subcore._sinks cimport GATE_DEAD

cnp.import_array()


@cython.no_gc_clear
cdef class RouteChanges(RouteTable):
    """Routes that may be changed at any time, from inside a handler too."""

    def __dealloc__(self):
        PyMem_Free(self.changes)

    def add(self, sink_id, topics, int cls=1, *, bint keep=False, bint image=True):
        """Add interests of the sink's component to the ledger and deliver them to the sink; number newly added.

        `topics`: int32 ids. Topics it holds already take the class, and with `keep` stay with the sink they go to.
        With `image` those that it did not get before are due the last event of their stream, see `give_images`.
        During a fan-out deliveries change after it. IndexError for ids not in use, KeyError for a sink released; then
        nothing has changed. (A MemoryError may leave held topics with their new class.) Cost: one look-up a topic.
        """
        cdef cnp.ndarray ids = int32_vector(topics, "topics")
        cdef const int32_t* topic = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef int32_t sink = self.sink_at(sink_id)
        cdef int32_t component = self.sinks[sink].component
        cdef Py_ssize_t fresh, count = cnp.PyArray_DIM(ids, 0)
        cdef int32_t** places
        if count == 0:
            return 0
        if self.running:
            return self.add_later(sink, topic, count, cls, keep, image)
        places = <int32_t**>new_block(count * sizeof(int32_t*), "the interests to add")
        try:
            fresh = self.ledger.add_ids(component, topic, count, cls, NULL, places)
            try:
                self.connect_now(sink, topic, count, places, keep, image)
            except MemoryError:
                self.forget_unrouted(component, topic, count)
                raise
        finally:
            PyMem_Free(places)
        return fresh

    cdef Py_ssize_t add_later(self, int32_t sink, const int32_t* topics, Py_ssize_t count, int cls,
                              bint keep, bint image) except -1:
        """During a fan-out: the ledger now, the route after it."""
        cdef int32_t component = self.sinks[sink].component
        cdef Py_ssize_t i, fresh, aimed = 0
        cdef int32_t* moved
        self.reserve_changes(count)
        moved = <int32_t*>new_block(count * sizeof(int32_t), "the interests to add")
        try:
            for i in range(count):
                if not keep or not self.is_aimed(component, topics[i]):
                    moved[aimed] = topics[i]
                    aimed += 1
            fresh = self.ledger.add_ids(component, topics, count, cls, NULL, NULL)
            for i in range(aimed):
                self.queue_change(sink, component, moved[i], image)
            self.sinks[sink].uses += <uint32_t>aimed
        finally:
            PyMem_Free(moved)
        return fresh

    cdef bint is_aimed(self, int32_t component, int32_t topic) noexcept:
        """During a fan-out: whether an interest has a route, or gets one after it. What came back from a snapshot is
        held without one, until it is confirmed."""
        cdef const int32_t* place = self.ledger.payload_of(component, topic)
        cdef Py_ssize_t i
        if place == NULL or place[0] >= 0:
            return place != NULL
        for i in range(self.change_count - 1, -1, -1):
            if self.changes[i].topic == topic and self.changes[i].component == component:
                return self.changes[i].sink >= 0
        return False

    cdef int forget_unrouted(self, int32_t component, const int32_t* topics, Py_ssize_t count) except -1:
        """Take out of the ledger what was added to it just now and got no route."""
        cdef Py_ssize_t i
        cdef int32_t* place
        for i in range(count):
            place = self.ledger.payload_of(component, topics[i])
            if place != NULL and place[0] == FRESH_PAYLOAD:
                self.ledger.remove_ids(component, &topics[i], 1)
        return 0

    def connect(self, sink_id, topics):
        """Deliver these topics, whose interests the sink's component must hold in the ledger, to the sink.

        `topics`: int32 ids. A topic that the component has elsewhere moves to this sink. All or nothing: KeyError for a
        sink released or an interest not held. During a fan-out it takes effect after it. Cost: one look-up in the
        ledger a topic.
        """
        cdef const int32_t[::1] ids = int32_vector(topics, "topics")
        cdef int32_t sink = self.sink_at(sink_id)
        cdef int32_t component = self.sinks[sink].component
        cdef Py_ssize_t i, count = ids.shape[0]
        cdef int32_t** places
        if count == 0:
            return
        places = <int32_t**>new_block(count * sizeof(int32_t*), "the interests to connect")
        try:
            for i in range(count):
                places[i] = self.ledger.payload_of(component, ids[i])
                if places[i] == NULL:
                    raise KeyError(f"component {component} holds no interest in topic {ids[i]}: add it to the ledger")
            if not self.running:
                self.connect_now(sink, &ids[0], count, places, False, True)
                return
            self.reserve_changes(count)
            for i in range(count):
                self.queue_change(sink, component, ids[i], True)
            self.sinks[sink].uses += <uint32_t>count
        finally:
            PyMem_Free(places)

    def disconnect(self, int32_t component, topics):
        """Stop delivering these topics to the component; those it has no route for are passed over.

        Call it before the ledger forgets the interests: it knows where they stand. During a fan-out it takes effect
        after it. All or nothing: KeyError for a topic that is not in the ledger.
        """
        cdef cnp.ndarray ids = int32_vector(topics, "topics")
        cdef const int32_t* topic = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t i, count = cnp.PyArray_DIM(ids, 0)
        for i in range(count):
            if self.ledger.stream_of(topic[i]) < 0:
                raise KeyError(f"no topic has id {topic[i]}: disconnect before the ledger forgets it")
        self.leave_routes(component, topic, count)

    cdef int leave_routes(self, int32_t component, const int32_t* topics, Py_ssize_t count) except -1:
        cdef Py_ssize_t i
        if self.joining or self.held_off or self.limits.has(component):
            for i in range(count):
                self.forget_waiting(component, topics[i])
        if not self.running:
            self.disconnect_many(component, topics, count)
            return 0
        self.reserve_changes(count)
        for i in range(count):
            self.queue_change(-1, component, topics[i], False)
        return 0

    def remove(self, int32_t component, topics):
        """Take interests of a component out of routes and ledger; their streams in order, as an int32 array.

        `topics`: int32 ids; one not held is nothing. During a fan-out routes change after it. All or nothing:
        IndexError for ids not in use. Cost: one look-up a topic.
        """
        cdef cnp.ndarray ids = int32_vector(topics, "topics")
        cdef const int32_t* topic = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t count = cnp.PyArray_DIM(ids, 0)
        streams = self.leave(component, topic, count)
        self.ledger.remove_ids(component, topic, count)
        return streams

    def close_component(self, int32_t component):
        """Take a component with all its interests out of routes and ledger; the streams of these as an int32 array.

        Its sinks stay until they are released. During a fan-out routes change after it. IndexError for an id not in
        use. Cost: one look-up an interest.
        """
        cdef cnp.ndarray held = self.ledger.interests(component)
        streams = self.leave(component, <const int32_t*>cnp.PyArray_DATA(held), cnp.PyArray_DIM(held, 0))
        self.ledger.close_component(component)
        self.times.forget(component)
        self.limits.forget_all(component)
        return streams

    cdef object leave(self, int32_t component, const int32_t* topics, Py_ssize_t count):
        """Check everything, then take the interests out of routes; what is left is the ledger's."""
        cdef object streams = new_ids(count)
        cdef int32_t* stream = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>streams)
        cdef Py_ssize_t i
        self.ledger.check_component(component)
        self.ledger.check_topics(topics, count)
        for i in range(count):
            stream[i] = self.ledger.topic_rows[topics[i]].stream
        self.leave_routes(component, topics, count)
        return streams

    cdef int make_changes(self) except -1:
        """What was asked for during the fan-out, in order."""
        cdef Py_ssize_t i = 0
        cdef Change change
        cdef int32_t stream
        cdef int32_t* place
        cdef Entry replaced
        while i < self.change_count:       # whoever is told of an error may ask for more
            change = self.changes[i]
            i += 1
            if change.sink < 0:
                self.disconnect_one(change.stream, change.component, change.topic, change.position)
                continue
            # Not where the sink or the interest was given up again in the same fan-out.
            place = self.ledger.payload_of(change.component, change.topic)
            if place != NULL and not self.sinks[change.sink].gate & GATE_DEAD:
                stream = self.ledger.stream_of(change.topic)
                try:
                    self.reserve_streams(stream)
                    if place[0] < 0 <= change.position:
                        # Held and routed when this was asked for, given up and held anew since: the entry of then
                        # stands until that turn comes, and another beside it would be told everything twice.
                        place[0] = self.place_of(&self.routes[stream], change.component, change.topic, -1,
                                                 change.position)
                    replaced = self.connect_one(change.sink, stream, change.topic, place)
                    self.settle_replaced(replaced)
                    if replaced == UINT64_MAX and change.image:
                        self.join(change.sink, stream, change.topic, None)
                except MemoryError as error:
                    self.report(change.sink, error)
            self.drop_use(change.sink, 1)
        self.change_count = 0
        return 0

    cdef int queue_change(self, int32_t sink, int32_t component, int32_t topic, bint image) except -1:
        """The room for it is reserved."""
        cdef Change* change = &self.changes[self.change_count]
        cdef int32_t* place = self.ledger.payload_of(component, topic)
        change.sink = sink
        change.component = component
        change.topic = topic
        change.image = image
        change.stream = self.ledger.stream_of(topic)
        change.position = -1 if place == NULL else place[0]
        self.change_count += 1
        return 0

    cdef int reserve_changes(self, Py_ssize_t extra) except -1:
        cdef Py_ssize_t room
        cdef Change* changes
        if extra <= self.change_room - self.change_count:
            return 0
        room = self.change_count + extra + self.change_room // 2
        changes = <Change*>PyMem_Realloc(self.changes, <size_t>room * sizeof(Change))
        if changes == NULL:
            raise MemoryError(f"no memory for {extra} changes of routes")
        self.changes = changes
        self.change_room = room
        return 0

    @property
    def nbytes(self):
        """Bytes of the tables of routes, sinks, times, images and queued changes; exact. O(streams)."""
        return (self.table_bytes() + self.times.table_bytes() + <size_t>self.images.nbytes
                + <size_t>self.change_room * sizeof(Change))
