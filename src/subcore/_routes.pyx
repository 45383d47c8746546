"""Which sinks each stream has: the routes, and where in them each interest stands.

A route is an array of 8-byte entries, one for each interest, inline in the stream's row where there is one. The ledger
remembers where each interest stands, so that taking one out costs the same in a route of ten thousand as in one of two.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport UINT64_MAX, int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from _slots cimport subcore_prefetch
from subcore._arrays cimport int32_vector, new_block
from subcore._images cimport ImageTable
from subcore._ledger cimport FRESH_PAYLOAD, Ledger
from subcore._sinks cimport GATE_BLOCKED, GATE_MUTED, GATE_ONCE, Sink
from subcore._streams cimport STREAM_HAS_CUTS
from subcore._topics cimport TopicRow

cdef Entry NO_ENTRY = UINT64_MAX           # replaces nothing
cdef Entry NEW_ENTRY = UINT64_MAX - 1      # ... of an interest that was added to the ledger for it
cdef Entry KEPT = UINT64_MAX - 2           # was not touched

cdef enum:
    AHEAD = 24                             # topics between a prefetch and its use
    BATCH = 64                             # interests to take out whose memory is on its way at once


cdef inline void fetch_end(const Route* route) noexcept nogil:
    """Where the next interest goes."""
    if route.room:
        subcore_prefetch(&route.place.many[route.count])


@cython.no_gc_clear
cdef class RouteTable(SinkTable):
    def __cinit__(self, Ledger ledger not None, *, gone, on_error=None, clock=None):
        if ledger.topic_limit > TOPIC_LIMIT:
            raise ValueError(f"routes hold topic ids below {TOPIC_LIMIT}: give the ledger max_topics of at most that")
        self.ledger = ledger
        self.images = ImageTable()
        self.joining = {}
        self.held_off = {}

    def __dealloc__(self):
        cdef int32_t stream
        for stream in range(self.route_room):
            if self.routes[stream].room:
                PyMem_Free(self.routes[stream].place.many)
        PyMem_Free(self.routes)

    cdef bint has_route(self, int32_t stream) noexcept nogil:
        return 0 <= stream < self.route_room and self.routes[stream].count > 0

    cdef int connect_now(self, int32_t sink, const int32_t* topics, Py_ssize_t count, int32_t** places,
                         bint keep, bint image) except -1:
        cdef const TopicRow* rows = self.ledger.topic_rows
        cdef Py_ssize_t i, done = 0
        cdef int32_t stream
        cdef bint is_new
        self.reserve_routes(topics, count)
        cdef Entry* replaced = <Entry*>new_block(<size_t>count * sizeof(Entry), "the routes to change")
        try:
            for i in range(min(count, <Py_ssize_t>AHEAD)):
                fetch_end(&self.routes[rows[topics[i]].stream])
            for done in range(count):
                if done + AHEAD < count:
                    fetch_end(&self.routes[rows[topics[done + AHEAD]].stream])
                stream = rows[topics[done]].stream
                if places[done][0] >= 0 and keep:
                    replaced[done] = KEPT
                    continue
                is_new = places[done][0] == FRESH_PAYLOAD
                if places[done][0] < 0 and self.append(sink, stream, topics[done], places[done]):
                    replaced[done] = NO_ENTRY
                else:
                    replaced[done] = self.connect_one(sink, stream, topics[done], places[done])
                if is_new:
                    replaced[done] = NEW_ENTRY
            for i in range(count):
                if replaced[i] < KEPT:
                    self.settle_replaced(replaced[i])
                elif replaced[i] > KEPT and image and (self.images.count or self.sinks[sink].gate):
                    self.join(sink, self.ledger.stream_of(topics[i]), topics[i], None)   # its rows may have moved
        except MemoryError:
            for i in range(done - 1, -1, -1):
                self.undo_connect(sink, topics[i], replaced[i])
            raise
        finally:
            PyMem_Free(replaced)
        return 0

    cdef void join(self, int32_t sink, int32_t stream, int32_t topic, object missed) noexcept:
        cdef int32_t component = self.sinks[sink].component
        try:
            if self.is_off(sink):
                self.held_off.setdefault(component, {})[topic] = missed
            elif missed is not None or self.images.has(stream):   # the first frame of all may be under way
                self.joining.setdefault(stream, {})[interest_key(component, topic)] = missed
        except MemoryError:
            pass                  # then it gets no image

    cdef bint is_off(self, int32_t sink) noexcept:
        cdef uint8_t gate = self.sinks[sink].gate
        return gate & GATE_MUTED != 0 or gate & (GATE_BLOCKED | GATE_ONCE) == GATE_BLOCKED

    def let_on(self, int32_t component):
        """Sinks of a component were unmuted or let off: what joined a stream meanwhile is due its image now.

        `images_due` then says so. Cost: nothing where nobody joined, else O(topics that did).
        """
        cdef dict topics = self.held_off.pop(component, None)
        cdef int32_t sink, topic
        if topics is not None:
            for topic, missed in topics.items():
                sink = self.sink_of(component, topic)
                if sink >= 0:
                    self.join(sink, self.ledger.stream_of(topic), topic, missed)

    cdef void forget_waiting(self, int32_t component, int32_t topic) noexcept:
        cdef dict joiners
        self.limits.forget(component, topic)
        if self.held_off:
            joiners = self.held_off.get(component)
            if joiners is not None:
                joiners.pop(topic, None)
                if not joiners:
                    del self.held_off[component]
        if self.joining:
            joiners = self.joining.get(self.ledger.stream_of(topic))
            if joiners is not None:
                joiners.pop(interest_key(component, topic), None)

    cdef int32_t sink_of(self, int32_t component, int32_t topic) noexcept:
        cdef const int32_t* noted = self.ledger.payload_of(component, topic)
        cdef int32_t place, stream
        if noted == NULL or noted[0] < 0:
            return -1
        stream = self.ledger.stream_of(topic)
        if not self.has_route(stream):
            return -1
        place = self.place_of(&self.routes[stream], component, topic, noted[0], -1)
        return -1 if place < 0 else sink_in(entries_of(&self.routes[stream])[place])

    def forget_images(self, streams):
        """Let go of these streams' last events: their ids will be others'. int32 ids; unknown ones are nothing."""
        cdef const int32_t[::1] ids = int32_vector(streams, "streams")
        cdef Py_ssize_t i
        for i in range(ids.shape[0]):
            self.images.forget(ids[i])
            self.joining.pop(ids[i], None)

    cdef int reserve_routes(self, const int32_t* topics, Py_ssize_t count) except -1:
        """Room for the streams of these topics, whose rows are brought into the cache."""
        cdef const TopicRow* rows = self.ledger.topic_rows
        cdef int32_t largest = -1
        cdef Py_ssize_t i
        for i in range(count):
            largest = max(largest, rows[topics[i]].stream)
            subcore_prefetch(&self.routes[rows[topics[i]].stream])
        return self.reserve_streams(largest)

    cdef void settle_replaced(self, Entry replaced) noexcept:
        if replaced < KEPT:
            self.drop_use(sink_in(replaced), 1)

    cdef void undo_connect(self, int32_t sink, int32_t topic, Entry replaced) noexcept:
        """In reverse order, so an interest that was added stands last in its route."""
        if replaced == KEPT:
            return
        cdef Route* route = &self.routes[self.ledger.stream_of(topic)]
        cdef int32_t place = self.ledger.payload_of(self.sinks[sink].component, topic)[0]
        if replaced == NO_ENTRY or replaced == NEW_ENTRY:
            self.remove_at(route, route.count - 1)
            self.note_position(entry_for(sink, topic, 0), FRESH_PAYLOAD if replaced == NEW_ENTRY else -1)
            self.drop_use(sink, 1)
            return
        entries_of(route)[place] = replaced
        self.drop_use(sink, 1)

    cdef inline bint append(self, int32_t sink, int32_t stream, int32_t topic, int32_t* place) noexcept:
        """The common case of `connect_one`: a new interest, room for it, no cut to look up. False: nothing was done."""
        cdef Route* route = &self.routes[stream]
        if route.count >= max(route.room, <uint32_t>1) or self.ledger.streams[stream].flags & STREAM_HAS_CUTS:
            return False
        entries_of(route)[route.count] = entry_for(sink, topic, 0)
        place[0] = <int32_t>route.count
        route.count += 1
        self.interest_count += 1
        self.sinks[sink].uses += 1
        return True

    cdef Entry connect_one(self, int32_t sink, int32_t stream, int32_t topic, int32_t* place) except? 0:
        """Returns the entry of the same interest that this one replaces; the use of its sink is not dropped yet.

        `place`: where the ledger keeps the position of the interest. There is a row for the stream.
        """
        cdef Route* route = &self.routes[stream]
        cdef Entry entry = entry_for(sink, topic, 0)
        cdef Entry replaced = NO_ENTRY
        if self.ledger.streams[stream].flags & STREAM_HAS_CUTS:
            entry |= <Entry>self.ledger.cut_of(topic)
        if place[0] >= 0 and stands_at(route, self.sinks, place[0], self.sinks[sink].component, topic):
            replaced = entries_of(route)[place[0]]
        else:
            if route.count >= 1 and route.count == max(route.room, <uint32_t>1):
                self.grow(route)
            place[0] = <int32_t>route.count
            route.count += 1
            self.interest_count += 1
        entries_of(route)[place[0]] = entry
        self.sinks[sink].uses += 1
        return replaced

    cdef void disconnect_many(self, int32_t component, const int32_t* topics, Py_ssize_t count) noexcept:
        """Topics the ledger has. The memory of a batch is fetched in a few waits."""
        cdef const TopicRow* rows = self.ledger.topic_rows
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t i
        while start < count:
            self.fetch_leaving(component, topics + start, min(count - start, <Py_ssize_t>BATCH))
            for i in range(start, min(count, start + BATCH)):
                self.disconnect_one(rows[topics[i]].stream, component, topics[i], -1)
            start += BATCH

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void fetch_leaving(self, int32_t component, const int32_t* topics, Py_ssize_t size) noexcept nogil:
        """What taking up to BATCH interests out will touch: places in routes, and what moves into them."""
        cdef const TopicRow* rows = self.ledger.topic_rows
        cdef int32_t owners[BATCH]
        cdef int32_t moving[BATCH]
        cdef Route* route
        cdef const int32_t* place
        cdef Py_ssize_t i, found = 0
        for i in range(size):
            if self.has_route(rows[topics[i]].stream):
                subcore_prefetch(&self.routes[rows[topics[i]].stream])
        for i in range(size):
            if self.has_route(rows[topics[i]].stream):
                route = &self.routes[rows[topics[i]].stream]
                subcore_prefetch(&entries_of(route)[route.count - 1])
                place = self.ledger.payload_of(component, topics[i])
                if place != NULL and place[0] >= 0:
                    subcore_prefetch(&entries_of(route)[place[0]])
        for i in range(size):
            if self.has_route(rows[topics[i]].stream):
                route = &self.routes[rows[topics[i]].stream]
                moving[found] = topic_in(entries_of(route)[route.count - 1])
                owners[found] = sink_in(entries_of(route)[route.count - 1])
                subcore_prefetch(&self.sinks[owners[found]])
                found += 1
        for i in range(found):
            owners[i] = self.sinks[owners[i]].component
            self.ledger.fetch_component(owners[i])
        for i in range(found):
            self.ledger.fetch_interest(owners[i], moving[i])

    cdef void disconnect_one(self, int32_t stream, int32_t component, int32_t topic, int32_t hint) noexcept:
        cdef Route* route
        cdef int32_t* noted
        cdef int32_t place
        cdef Entry entry
        if not self.has_route(stream):
            return
        route = &self.routes[stream]
        noted = self.ledger.payload_of(component, topic)
        place = self.place_of(route, component, topic, hint if noted == NULL else noted[0], hint)
        if place < 0:
            return
        if noted != NULL:
            noted[0] = -1
        entry = entries_of(route)[place]
        self.remove_at(route, <uint32_t>place)
        self.drop_use(sink_in(entry), 1)

    @cython.nonecheck(False)       # the check needs the GIL
    cdef int32_t place_of(self, const Route* route, int32_t component, int32_t topic, int32_t noted,
                          int32_t hint) noexcept nogil:
        """Where an interest stands, -1 = nowhere. The ledger has it noted, or had when the change was asked for (the
        hint); else search from the end, where what was connected in the same fan-out stands."""
        cdef int32_t place
        if stands_at(route, self.sinks, noted, component, topic):
            return noted
        if stands_at(route, self.sinks, hint, component, topic):
            return hint
        self.searches = self.searches + 1  # not +=: the debug build checks for None, which in place needs the GIL
        for place in range(<int32_t>route.count - 1, -1, -1):
            if stands_at(route, self.sinks, place, component, topic):
                return place
        return -1

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void note_position(self, Entry entry, int32_t position) noexcept nogil:
        cdef int32_t* place = self.ledger.payload_of(self.sinks[sink_in(entry)].component, topic_in(entry))
        if place != NULL:
            place[0] = position

    cdef void remove_at(self, Route* route, uint32_t position) noexcept:
        """The last entry takes the free place."""
        cdef Entry* entries = entries_of(route)
        route.count -= 1
        self.interest_count -= 1
        if position != route.count:
            entries[position] = entries[route.count]
            self.note_position(entries[position], <int32_t>position)
        if route.room and route.count * 2 <= route.room:
            self.shrink(route)

    # --- memory

    cdef int reserve_streams(self, int32_t stream) except -1:
        cdef int32_t room = self.route_room
        cdef Route* routes
        if stream < room:
            return 0
        room = max(stream + 1, room + room // 2)
        routes = <Route*>PyMem_Realloc(self.routes, <size_t>room * sizeof(Route))
        if routes == NULL:
            raise MemoryError(f"no memory for the routes of {room} streams")
        memset(routes + self.route_room, 0, <size_t>(room - self.route_room) * sizeof(Route))
        self.routes = routes
        self.route_room = room
        return 0

    cdef int grow(self, Route* route) except -1:
        """By a quarter: an interest costs 8 to 10 bytes."""
        cdef uint32_t room = route.count + route.count // 4 + 1
        cdef Entry* many = <Entry*>PyMem_Malloc(room * sizeof(Entry))
        if many == NULL:
            raise MemoryError(f"no memory for {room} interests of a stream")
        self.move(route, many, room)
        return 0

    cdef void shrink(self, Route* route) noexcept:
        """To what is in use and a quarter; inline for one. Without memory the larger block stays."""
        cdef Entry* old = route.place.many
        cdef uint32_t room = route.count + route.count // 4
        cdef Entry* many
        if route.count > 1:
            many = <Entry*>PyMem_Malloc(room * sizeof(Entry))
            if many != NULL:
                self.move(route, many, room)
            return
        self.block_bytes -= route.room * sizeof(Entry)
        route.place.one = old[0] if route.count else 0
        route.room = 0
        PyMem_Free(old)

    cdef void move(self, Route* route, Entry* many, uint32_t room) noexcept:
        memcpy(many, entries_of(route), route.count * sizeof(Entry))
        if route.room:
            self.block_bytes -= route.room * sizeof(Entry)
            PyMem_Free(route.place.many)
        self.block_bytes += room * sizeof(Entry)
        route.place.many = many
        route.room = room

    cdef size_t table_bytes(self) noexcept:
        return <size_t>self.route_room * sizeof(Route) + self.block_bytes + <size_t>self.sink_room * sizeof(Sink)

    def topics_of_sink(self, sink_id):
        """int32 array, ascending: the topics delivered to this sink now. O(interests of its component)."""
        cdef int32_t sink = self.sink_at(sink_id)
        cdef const int32_t[::1] held = self.ledger.interests(self.sinks[sink].component)
        cdef list topics = []
        cdef int32_t component = self.sinks[sink].component
        cdef const int32_t* payload
        cdef int32_t place, stream
        cdef Py_ssize_t i
        for i in range(held.shape[0]):
            stream = self.ledger.stream_of(held[i])
            payload = self.ledger.payload_of(component, held[i])
            if payload != NULL and self.has_route(stream):     # else a destructor let go of it since `held` was listed
                place = payload[0]
                place = self.place_of(&self.routes[stream], component, held[i], place, -1)
                if place >= 0 and sink_in(entries_of(&self.routes[stream])[place]) == sink:
                    topics.append(held[i])
        return int32_vector(sorted(topics), "topics")

    def route(self, int32_t stream):
        """[(component, topic, cut, sink_id)] of a stream in delivery order; for display and tests."""
        cdef list rows = []
        cdef uint32_t i = 0
        cdef Entry entry
        while self.has_route(stream) and i < self.routes[stream].count:     # a destructor may end it as a tuple is made
            entry = entries_of(&self.routes[stream])[i]
            rows.append((self.sinks[sink_in(entry)].component, topic_in(entry), entry & CUT_MASK,
                         self.sink_id_of(sink_in(entry))))
            i += 1
        return rows
