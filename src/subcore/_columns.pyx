# cython: language_level=3
"""Many rows of the core's tables read at once, as columns: what the control plane asks for.

Every function is O(ids given), checks every id first (IndexError names the bad one) and returns copies.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids
from subcore._encode import Names
from subcore._intern cimport Interner
from subcore._ledger cimport Ledger
from subcore._streams cimport NOBODY, STREAM_LIVE, StreamRow, class_wanted
from subcore._topics cimport TopicTable, width_wanted

cnp.import_array()


cdef inline int32_t* ids_of(cnp.ndarray array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(array)


def stream_columns(TopicTable table not None, streams):
    """(channels, symbols, variants) of streams, as int32 arrays in the order given."""
    cdef cnp.ndarray given = int32_vector(streams, "streams")
    cdef Py_ssize_t count = cnp.PyArray_DIM(given, 0)
    cdef cnp.ndarray channels = new_ids(count), symbols = new_ids(count), variants = new_ids(count)
    cdef Py_ssize_t i
    cdef uint64_t key
    for i in range(count):
        table.check_stream(ids_of(given)[i])
        key = table.keys[ids_of(given)[i]]
        ids_of(channels)[i] = <int32_t>(key >> 48)
        ids_of(variants)[i] = <int32_t>((key >> 32) & <uint64_t>0xFFFF)
        ids_of(symbols)[i] = <int32_t>(key & <uint64_t>0xFFFFFFFF)
    return channels, symbols, variants


def wanted_columns(Ledger ledger not None, streams):
    """(channels, symbols, variants, classes, widths) of streams, as int32 arrays in the order given.

    A class is -1 where nobody unpaused holds the stream.
    """
    cdef cnp.ndarray given = int32_vector(streams, "streams")
    cdef Py_ssize_t count = cnp.PyArray_DIM(given, 0)
    cdef cnp.ndarray channels = new_ids(count), symbols = new_ids(count), variants = new_ids(count)
    cdef cnp.ndarray classes = new_ids(count), widths = new_ids(count)
    cdef const StreamRow* row
    cdef Py_ssize_t i
    cdef uint64_t key
    cdef int cls
    cdef int32_t stream
    for i in range(count):
        stream = ids_of(given)[i]
        ledger.check_stream(stream)
        key = ledger.keys[stream]
        ids_of(channels)[i] = <int32_t>(key >> 48)
        ids_of(variants)[i] = <int32_t>((key >> 32) & <uint64_t>0xFFFF)
        ids_of(symbols)[i] = <int32_t>(key & <uint64_t>0xFFFFFFFF)
        row = &ledger.streams[stream]
        cls = class_wanted(row)
        ids_of(classes)[i] = -1 if cls == NOBODY else cls
        ids_of(widths)[i] = width_wanted(row, ledger.topic_rows, ledger.topic_extras)
    return channels, symbols, variants, classes, widths


cdef cnp.ndarray no_steps_kept = np.zeros(0)


cdef object no_steps(Py_ssize_t count):
    """`count` zeros as float64, read only: a part of what is kept, since fresh ones cost more than reading them."""
    global no_steps_kept
    if cnp.PyArray_SIZE(no_steps_kept) < count:
        kept = np.zeros(2 * count)
        kept.flags.writeable = False
        no_steps_kept = kept
    return no_steps_kept[:count]


@cython.final
cdef class WantedColumns:
    """What `types.StreamColumns` holds, read from ledger and interner when it is first asked for.

    For use at once: of most streams that a plan is about one or two columns are looked at. IndexError for an id that
    has been given back by then. `steps`: price steps by variant, as float64. O(len(streams)) for each column.
    """
    cdef Ledger ledger
    cdef Interner interner
    cdef readonly cnp.ndarray streams
    cdef cnp.ndarray steps
    cdef object found_channels, found_symbols, found_groupings, found_widths, found_priorities

    def __cinit__(self, Ledger ledger not None, Interner interner not None, cnp.ndarray steps not None, streams):
        self.ledger, self.interner, self.steps = ledger, interner, steps
        self.streams = int32_vector(streams, "streams")

    @property
    def channels(self):
        if self.found_channels is None:
            self.read_names()
        return self.found_channels

    @property
    def symbols(self):
        if self.found_symbols is None:
            self.read_names()
        return self.found_symbols

    @property
    def priorities(self):
        if self.found_priorities is None:
            self.read_names()
        return self.found_priorities

    @property
    def groupings(self):
        if self.found_groupings is None:
            if cnp.PyArray_SIZE(self.steps) == 1:
                self.found_groupings = no_steps(cnp.PyArray_SIZE(self.streams))
            else:
                self.found_groupings = self.steps[stream_columns(self.ledger, self.streams)[2]]
        return self.found_groupings

    @property
    def widths(self):
        if self.found_widths is None:
            self.read_widths()
        return self.found_widths

    cdef int read_names(self) except -1:
        """Channels, symbols and classes: all that a request says of most streams, in one pass over their rows."""
        cdef Py_ssize_t count = cnp.PyArray_SIZE(self.streams), i
        cdef cnp.ndarray channels = new_ids(count), symbols = new_ids(count), classes = new_ids(count)
        cdef const int32_t* stream = ids_of(self.streams)
        cdef const uint64_t* keys = self.ledger.keys
        cdef const StreamRow* rows = self.ledger.streams
        cdef int32_t* channel = ids_of(channels)
        cdef int32_t* symbol = ids_of(symbols)
        cdef int32_t* found = ids_of(classes)
        cdef uint64_t key
        cdef int cls
        for i in range(count):
            if not is_live(self.ledger, stream[i]):
                self.ledger.check_stream(stream[i])     # raises
            key = keys[stream[i]]
            channel[i] = <int32_t>(key >> 48)
            symbol[i] = <int32_t>(key & <uint64_t>0xFFFFFFFF)
            cls = class_wanted(&rows[stream[i]])
            found[i] = -1 if cls == NOBODY else cls
        self.found_channels, self.found_priorities = channels, classes
        self.found_symbols = Names(self.interner, symbols)
        return 0

    cdef int read_widths(self) except -1:
        cdef Py_ssize_t count = cnp.PyArray_SIZE(self.streams), i
        cdef cnp.ndarray widths = new_ids(count)
        cdef const int32_t* stream = ids_of(self.streams)
        cdef const StreamRow* rows = self.ledger.streams
        for i in range(count):
            if not is_live(self.ledger, stream[i]):
                self.ledger.check_stream(stream[i])     # raises
            ids_of(widths)[i] = width_wanted(&rows[stream[i]], self.ledger.topic_rows, self.ledger.topic_extras)
        self.found_widths = widths
        return 0


cdef inline bint is_live(Ledger ledger, int32_t stream) noexcept:
    return 0 <= stream < ledger.stream_used and ledger.streams[stream].flags & STREAM_LIVE != 0


def columns_to_write(Ledger ledger, Interner interner, steps, streams):
    """These streams as WantedColumns."""
    return WantedColumns(ledger, interner, steps, streams)


def channels_of(TopicTable table not None, streams) -> list:
    """The channels that these streams are of, each once."""
    cdef cnp.ndarray given = int32_vector(streams, "streams")
    cdef Py_ssize_t i
    cdef int32_t channel, last = -1
    cdef list found = []
    for i in range(cnp.PyArray_DIM(given, 0)):
        table.check_stream(ids_of(given)[i])
        channel = <int32_t>(table.keys[ids_of(given)[i]] >> 48)
        if channel != last and channel not in found:
            found.append(channel)
        last = channel
    return found


def topic_columns(TopicTable table not None, topics):
    """(streams, channels, symbols, variants, cuts) of topics, as int32 arrays in the order given."""
    cdef cnp.ndarray given = int32_vector(topics, "topics")
    cdef Py_ssize_t count = cnp.PyArray_DIM(given, 0)
    cdef cnp.ndarray streams = new_ids(count), cuts = new_ids(count)
    cdef Py_ssize_t i
    for i in range(count):
        table.check_topic(ids_of(given)[i])
        ids_of(streams)[i] = table.topic_rows[ids_of(given)[i]].stream
        ids_of(cuts)[i] = table.topic_extras[ids_of(given)[i]].cut
    channels, symbols, variants = stream_columns(table, streams)
    return streams, channels, symbols, variants, cuts


def get_topic(TopicTable table not None, stream, int cut=0):
    """Id of the topic (stream, cut), or -1. Never grows."""
    table.check_stream(stream)
    return table.find_topic(stream, cut)


def live_streams(TopicTable table not None):
    """Sorted ids of all streams. O(streams ever used)."""
    cdef cnp.ndarray found = new_ids(table.live_streams)
    cdef Py_ssize_t used = 0
    cdef int32_t stream
    for stream in range(table.stream_used):
        if table.streams[stream].flags & STREAM_LIVE:
            ids_of(found)[used] = stream
            used += 1
    return found


def held_topics(TopicTable table not None):
    """Sorted ids of the topics that components hold, paused ones too, and how many hold each. O(topics ever used)."""
    cdef Py_ssize_t room = table.topic_used
    cdef cnp.ndarray found = new_ids(room)
    cdef cnp.ndarray holders = new_ids(room)
    cdef Py_ssize_t used = 0
    cdef uint32_t count
    cdef int32_t topic
    for topic in range(<int32_t>min(room, <Py_ssize_t>table.topic_used)):
        count = table.topic_rows[topic].wanted + table.topic_extras[topic].paused
        if table.topic_rows[topic].stream >= 0 and count:
            ids_of(found)[used] = topic
            ids_of(holders)[used] = <int32_t>count
            used += 1
    return found[:used], holders[:used]


def interest_counts(Ledger ledger not None, components):
    """How many topics each of these components holds, as an int32 array. IndexError for one that is not open."""
    cdef cnp.ndarray given = int32_vector(components, "components")
    cdef cnp.ndarray counts = new_ids(cnp.PyArray_DIM(given, 0))
    cdef Py_ssize_t i
    for i in range(cnp.PyArray_DIM(given, 0)):
        ledger.check_component(ids_of(given)[i])
        ids_of(counts)[i] = <int32_t>ledger.components[ids_of(given)[i]].count
    return counts


def holds_many(Ledger ledger not None, component, topics):
    """Which of the topics the component holds, as a bool array."""
    cdef cnp.ndarray given = int32_vector(topics, "topics")
    cdef Py_ssize_t count = cnp.PyArray_DIM(given, 0)
    cdef cnp.ndarray held = np.empty(count, np.bool_)
    cdef uint8_t* out = <uint8_t*>cnp.PyArray_DATA(held)
    cdef Py_ssize_t i
    ledger.check_component(component)
    cdef int32_t holder = component
    for i in range(count):
        out[i] = ledger.payload_of(holder, ids_of(given)[i]) != NULL
    return held


def texts(Interner interner not None, ids):
    """The texts of ids, as a list in the order given."""
    cdef cnp.ndarray given = int32_vector(ids, "ids")
    cdef Py_ssize_t i
    cdef PyObject* text
    cdef list found = []
    for i in range(cnp.PyArray_DIM(given, 0)):
        text = interner.text_of(ids_of(given)[i])
        if text == NULL:
            raise IndexError(f"no text has id {ids_of(given)[i]}: it was never interned, or has been released")
        found.append(<object>text)
    return found


def interned_ids(Interner interner not None):
    """Sorted ids of all texts. O(ids ever used)."""
    cdef cnp.ndarray found = new_ids(interner.count)
    cdef Py_ssize_t used = 0
    cdef int32_t id
    for id in range(interner.used):
        if interner.text_of(id) != NULL:
            ids_of(found)[used] = id
            used += 1
    return found
