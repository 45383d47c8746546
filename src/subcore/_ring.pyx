"""The newest events of a channel as rows of numbers: what a strategy that polls reads, with no object an event."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._event_tables cimport (
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_STEP,
    FIELD_TEXT,
    FIELD_TRADE_ID,
    FieldTable,
    field_table,
)
from subcore._events cimport KIND_CANDLE, KIND_ORDERBOOK, KIND_TICKER, KIND_TRADE, Level, Record

from subcore._delivery import Ring

cnp.import_array()

cdef Record LAYOUT                  # never filled: the offsets are taken from it
cdef object KINDS = {"ticker": KIND_TICKER, "trade": KIND_TRADE, "orderbook": KIND_ORDERBOOK, "candle": KIND_CANDLE}

RING_KINDS = tuple(KINDS)


cdef Py_ssize_t place_of(const void* member):
    return <const char*>member - <const char*>&LAYOUT


cdef list head_fields():
    """(name, format, offset) of what rows of every kind have. The topic stands where the record has its stream."""
    return [
        ("receive_time_ns", "i8", place_of(&LAYOUT.head.receive_time_ns)),
        ("exchange_time_ns", "i8", place_of(&LAYOUT.head.exchange_time_ns)),
        ("topic", "i4", place_of(&LAYOUT.head.stream)),
        ("symbol", "i4", place_of(&LAYOUT.head.symbol)),
        ("flags", "u1", place_of(&LAYOUT.head.flags)),
    ]


cdef list book_fields():
    """What a row has of a book's levels: the best of each side, where the record has pointers, and how many came."""
    cdef Py_ssize_t best = place_of(&LAYOUT.orderbook.bids)
    return [
        ("bid_count", "i4", place_of(&LAYOUT.orderbook.bid_count)),
        ("ask_count", "i4", place_of(&LAYOUT.orderbook.ask_count)),
        ("bid_price", "f8", best),
        ("bid_size", "f8", best + 8),
        ("ask_price", "f8", best + 16),
        ("ask_size", "f8", best + 24),
    ]


cdef str format_of(int type):
    if type == FIELD_NUMBER or type == FIELD_STEP:
        return "f8"
    return "i8" if type == FIELD_INTEGER or type == FIELD_TRADE_ID else "u1"


cdef tuple row_dtype(int kind):
    """(dtype of a row, bytes of it that are the record's own)."""
    cdef FieldTable table = field_table(kind)
    cdef list fields = head_fields()
    cdef int i
    for i in range(table.count):
        if table.fields[i].type != FIELD_TEXT:
            fields.append((table.fields[i].name.decode(), format_of(table.fields[i].type), table.fields[i].offset))
    copied = max(offset + int(format[1]) for _, format, offset in fields)
    if kind == KIND_ORDERBOOK:
        fields += book_fields()
        copied = place_of(&LAYOUT.orderbook.bids)
    end = (max(offset + int(format[1]) for _, format, offset in fields) + 7) // 8 * 8
    fields.insert(0, ("sequence", "u8", end))
    names, formats, offsets = (list(column) for column in zip(*fields, strict=True))
    spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": end + 8}
    return np.dtype(spec), copied


@cython.final
cdef class RecordRing:
    """The newest `size` records of one kind ("ticker", "trade", "orderbook", "candle") as rows of `dtype`.

    Rows are numbered from 0 in the order they came. Absent numbers are NaN, absent integers the least int64; `side` is
    0 none, 1 buy, 2 sell; truths are 0 absent, 1 false, 2 true; `flags` has 1 for a snapshot, 2 for an image. Texts
    are left out. A book's row has its totals, the best level of each side and how many levels came. Memory is taken
    when it is made. ValueError for another kind or a size out of range.
    """

    def __cinit__(self, str kind, size):
        if kind not in KINDS:
            raise ValueError(f"a ring holds events of kind {', '.join(RING_KINDS)}, not {kind!r}")
        self.kind = KINDS[kind]
        self.dtype, self.copied = row_dtype(self.kind)
        self.stride = self.dtype.itemsize
        self.size = Ring(size).size
        self.rows = <char*>PyMem_Calloc(self.size, self.stride)
        if self.rows == NULL:
            raise MemoryError(f"no memory for {size} rows of {self.stride} bytes")

    def __dealloc__(self):
        PyMem_Free(self.rows)

    cdef void put(self, const Record* record, int32_t topic) noexcept:
        cdef char* row = self.rows + self.slot * self.stride
        if record.head.kind != self.kind:
            return
        memcpy(row, record, self.copied)
        (<Record*>row).head.stream = topic
        if self.kind == KIND_ORDERBOOK:
            put_best(<Level*>(row + self.copied), record)
        (<uint64_t*>(row + self.stride - sizeof(uint64_t)))[0] = self.sequence
        self.sequence += 1
        self.slot += 1
        if self.slot == self.size:
            self.slot = 0

    cdef uint64_t oldest(self) noexcept:
        """Number of the oldest row kept."""
        return self.sequence - self.size if self.sequence > self.size else 0

    cdef void copy_out(self, char* target, uint64_t sequence, Py_ssize_t count) noexcept:
        """Rows that are kept, `count` of them from that number on."""
        cdef size_t first = <size_t>(sequence % self.size)
        cdef size_t run = min(<size_t>count, self.size - first)
        memcpy(target, self.rows + first * self.stride, run * self.stride)
        memcpy(target + run * self.stride, self.rows, (<size_t>count - run) * self.stride)

    @property
    def nbytes(self):
        """Bytes of all rows."""
        return self.size * self.stride


cdef void put_best(Level* best, const Record* record) noexcept:
    cdef Level nothing
    nothing.price = nothing.size = NAN
    best[0] = record.orderbook.bids[0] if record.orderbook.bid_count > 0 else nothing
    best[1] = record.orderbook.asks[0] if record.orderbook.ask_count > 0 else nothing


@cython.final
cdef class RingReader:
    """One reader's place in a ring. It begins with the oldest row kept; readers do not disturb each other.

    `sequence` is the number of the row read next; `overrun` counts rows that newer ones took the place of before this
    reader came to them.
    """

    cdef readonly RecordRing ring
    cdef readonly uint64_t sequence
    cdef readonly uint64_t overrun
    cdef object text_of

    def __cinit__(self, RecordRing ring not None, text_of=None):
        self.ring = ring
        self.text_of = text_of
        self.sequence = ring.oldest()

    @property
    def closed(self):
        """True once no subscription fills its ring any more, also where another one like it began: then read what is
        left, and ask the component for a new reader."""
        return self.ring.closed

    def __len__(self):
        """Rows that `read` would give now."""
        return self.ring.sequence - max(self.sequence, self.ring.oldest())

    def read(self, max=None):
        """The rows that are new, oldest first, at most `max` of them: a structured array of its own, maybe empty.

        It is a copy, so nothing that comes later changes it. Costs one copy of the rows. ValueError if `max` is
        negative.
        """
        cdef RecordRing ring = self.ring
        cdef uint64_t oldest = ring.oldest()
        cdef Py_ssize_t count
        if self.sequence < oldest:
            self.overrun += oldest - self.sequence
            ring.overrun += oldest - self.sequence
            self.sequence = oldest
        count = <Py_ssize_t>(ring.sequence - self.sequence)
        if max is not None:
            if max < 0:
                raise ValueError(f"max is a number of rows, not {max}")
            count = min(count, max)
        rows = np.empty(count, ring.dtype)
        if self.sequence < ring.oldest():      # the allocation ran a destructor that fed frames
            return self.read(max)
        if count:
            ring.copy_out(<char*>cnp.PyArray_DATA(<cnp.ndarray>rows), self.sequence, count)
        self.sequence += <uint64_t>count
        return rows

    def symbols(self, rows):
        """The market of each row, as the venue writes it, while its topic is wanted. O(rows)."""
        return self.text_of(np.ascontiguousarray(rows["symbol"]))
