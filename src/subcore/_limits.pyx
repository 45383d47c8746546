"""Rate caps: an interest with a limit gets at most one event an interval, and always the newest in the end.

An event that comes when the interval is over goes at once. One that comes earlier is held back, and a newer one takes
its place; what is held back goes when the interval is over. So events are evenly spaced, never closer than the
interval, and after a burst the last one of it arrives. What is replaced is counted as conflated, it is no loss.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t

from heapq import heappop, heappush

from subcore._delivery cimport rename_counted
from subcore._events cimport FLAG_IMAGE, Event


cdef class Limit:
    pass


cdef class LimitTable:
    def __cinit__(self):
        self.limits = {}
        self.past = {}
        self.heap = []

    cdef bint has(self, int32_t component) noexcept:
        return len(self.limits) > 0 and component in self.limits

    cdef Limit find(self, int32_t component, int32_t topic):
        cdef dict row = self.limits.get(component)
        return None if row is None else row.get(topic)

    cdef bint admit(self, Limit limit, int64_t now_ns) noexcept:
        if now_ns < limit.due_ns:
            return False
        if limit.pending is not None:       # the timer is late
            self.replace(limit, None)
        limit.last_ns, limit.due_ns = now_ns, now_ns + limit.interval_ns
        if limit.interval_ns == 0:
            self.forget(limit.component, limit.topic)
        return True

    cdef int hold(self, Limit limit, Event event) except -1:
        cdef bint is_first = limit.pending is None
        self.replace(limit, event)
        if is_first and limit.interval_ns != INT64_MAX:
            self.queue(limit)
        return 0

    cdef void replace(self, Limit limit, Event newer) noexcept:
        """A newer event takes the place of what is held back; an image is no event that came."""
        if limit.pending is not None and not limit.pending.head.flags & FLAG_IMAGE:
            limit.conflated += 1
        limit.pending = newer

    cdef int queue(self, Limit limit) except -1:
        self.number += 1
        entry = (limit.due_ns, self.number, limit)
        heappush(self.heap, entry)
        if self.on_due is not None and self.heap[0] is entry:
            self.on_due(limit.due_ns)
        return 0

    cdef int put(self, int32_t component, int32_t topic, int64_t interval_ns) except -1:
        """A new limit, another interval for the one there is, or with 0 none. What is held back stays until it is due,
        which is at once where there is no limit any more. With INT64_MAX nothing is."""
        cdef Limit limit = self.find(component, topic)
        if limit is None:
            if interval_ns:
                limit = Limit()
                limit.component, limit.topic, limit.last_ns = component, topic, INT64_MIN
                self.set_interval(limit, interval_ns)
                self.limits.setdefault(component, {})[topic] = limit
            return 0
        if interval_ns == 0 and limit.pending is None:
            return self.forget(component, topic)
        return self.set_interval(limit, interval_ns)

    cdef int set_interval(self, Limit limit, int64_t interval_ns) except -1:
        cdef int64_t due_ns = 0
        if interval_ns == INT64_MAX:
            due_ns = INT64_MAX
        elif interval_ns and limit.last_ns != INT64_MIN:
            due_ns = limit.last_ns + interval_ns
        limit.interval_ns = interval_ns
        if due_ns != limit.due_ns:
            limit.due_ns = due_ns
            if limit.pending is not None and interval_ns != INT64_MAX:
                self.queue(limit)
        return 0

    cdef int forget(self, int32_t component, int32_t topic) except -1:
        """What it held back goes nowhere; what it conflated stays counted until the component is gone."""
        cdef dict past, row = self.limits.get(component)
        cdef Limit limit
        if row is None or topic not in row:
            return 0
        limit = row.pop(topic)
        limit.pending = None
        if not row:
            del self.limits[component]
        if not self.limits:
            self.heap.clear()
        if limit.conflated:
            past = self.past.setdefault(component, {})
            past[topic] = past.get(topic, 0) + limit.conflated
        return 0

    cdef void forget_all(self, int32_t component) noexcept:
        cdef dict row = self.limits.pop(component, None)
        cdef Limit limit
        if row is not None:
            for limit in row.values():
                limit.pending = None
        if not self.limits:
            self.heap.clear()
        self.past.pop(component, None)

    cdef Limit take_due(self, int64_t now_ns):
        cdef Limit limit
        while self.heap:
            if not self.is_stale(self.heap[0]):
                if <int64_t>self.heap[0][0] > now_ns:
                    return None
                limit = heappop(self.heap)[2]
                limit.last_ns, limit.due_ns = now_ns, now_ns + limit.interval_ns
                return limit
            heappop(self.heap)
        return None

    cdef int64_t next_due(self) noexcept:
        while self.heap and self.is_stale(self.heap[0]):
            heappop(self.heap)
        return <int64_t>self.heap[0][0] if self.heap else 0

    cdef bint is_stale(self, tuple entry) noexcept:
        """Its event went, or it is due at another time by now."""
        cdef Limit limit = entry[2]
        return limit.pending is None or limit.due_ns != <int64_t>entry[0]

    def conflated(self, int32_t component):
        """{topic: events in whose place a newer one came}, of a component. A copy."""
        if component not in self.past and component not in self.limits:
            return {}
        cdef dict counts = dict(self.past.get(component, ()))
        cdef Limit limit
        for topic, limit in list(self.limits.get(component, {}).items()):
            if limit.conflated:
                counts[topic] = counts.get(topic, 0) + limit.conflated
        return counts

    def rename(self, int32_t component, dict ids not None):
        """{topic: id}: what was conflated of these topics, which have no limit any more, goes by those ids."""
        cdef dict past = self.past.get(component)
        if past is not None:
            rename_counted(past, ids)

    def __len__(self):
        """Interests that have a limit. O(components that have any)."""
        return sum(map(len, self.limits.values()))
