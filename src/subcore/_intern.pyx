# cython: language_level=3
"""Texts (market codes) <-> dense int32 ids: bounded, seeded, ids reused with a new generation.

Open addressing over 8-byte slots at a load of at most one half, so that a look-up usually touches one cache line of
slots and the one line that holds the id's row. Removal shifts slots back: there are no tombstones, and churn never
grows the table. `find` reads only and is bounded by the number of slots whatever the hashes are.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

import sys

cimport numpy as cnp
import numpy as np

from _slots cimport (
    subcore_home, subcore_next, subcore_prefetch, subcore_slot_drop, subcore_slot_id,
    subcore_slot_move_all, subcore_slot_put, subcore_slot_tag,
)
from _texts cimport (
    SHORT_SIZE, PyBytes_AS_STRING, long_text, row_bytes, subcore_ascii, subcore_ascii_size, subcore_is_ascii,
    subcore_is_str,
)
from subcore._arrays cimport new_ids
from subcore.errors import CapacityError

cnp.import_array()

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_text(const char* text, size_t size, uint64_t seed) noexcept
    bint subcore_same_text(const char* x, const char* y, size_t size) noexcept

cdef extern from "Python.h":
    str PyUnicode_FromObject(object text)
    PyObject** PySequence_Fast_ITEMS(object items) noexcept
    PyObject* PyTuple_GET_ITEM(object items, Py_ssize_t at) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject* data) noexcept nogil

cdef enum:
    LONGEST = 255
    ROW_ALIGNMENT = 32
    SMALLEST_ROOM = 8
    AHEAD = 16                # texts between a prefetch and its use
    STR_HEAD = 48             # bytes before the first character, or a few more
    BATCH = 64                # look-ups whose memory is on its way at once
    LARGEST_CAPACITY = 16_777_216  # a literal: overflowcheck cannot compile an expression in an enum

MAX_TEXT_SIZE = LONGEST


cdef inline bint row_is(const TextRow* row, const char* text, Py_ssize_t size) noexcept nogil:
    return row.size == size and subcore_same_text(row_bytes(row), text, <size_t>size)


cdef inline bint is_plain(PyObject* text) noexcept:
    """Whether it is an ASCII str that can be interned: its bytes are its UTF-8, and looking at it runs no code."""
    return subcore_is_str(text) and subcore_is_ascii(text) and subcore_ascii_size(text) <= LONGEST


cdef inline void fetch_text(PyObject* text) noexcept:
    """A str mostly lies across two lines of the cache."""
    subcore_prefetch(text)
    subcore_prefetch(<const char*>text + STR_HEAD)


cdef inline uint32_t tag_for(const char* text, Py_ssize_t size, uint64_t seed) noexcept nogil:
    return <uint32_t>(subcore_hash_text(text, <size_t>size, seed) >> 32)


cdef str as_text(object text):
    """An exact str: a subclass may hash and compare as it likes."""
    if type(text) is str:
        return <str>text
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, not {type(text).__name__}")
    return PyUnicode_FromObject(text)


cpdef tuple exact_texts(texts):
    """The texts of an iterable as exact strs, not yet encoded. TypeError for a lone str, and for what is no str."""
    if isinstance(texts, str):
        raise TypeError("texts must be a sequence of str, not one str")
    cdef tuple given = tuple(texts)
    cdef Py_ssize_t i, count = len(given)
    for i in range(count):
        if i + AHEAD < count:
            subcore_prefetch(PyTuple_GET_ITEM(given, i + AHEAD))
        if type(given[i]) is not str:
            return tuple([as_text(text) for text in given])
    return given


cdef bytes encode(str text):
    """UTF-8 of a text; UnicodeEncodeError (a ValueError) or ValueError where it cannot be interned."""
    cdef bytes data = text.encode()
    if len(data) > LONGEST:
        raise ValueError(f"a text may have {LONGEST} bytes of UTF-8, this one has {len(data)}: {text[:32]!r}...")
    return data


@cython.final
cdef class Interner:
    """A bounded two-way map between texts and dense ids 0, 1, 2, ...

    `capacity` is the most texts held at once (at most 16,777,216); memory grows with use, about 52 bytes per text of
    room. `seed` perturbs the hash; ids do not depend on it. `hash_bits` < 32 weakens the hash on purpose, for tests
    of collisions. Not thread safe: use it under the GIL from one thread at a time.
    """

    def __cinit__(self, capacity=65_536, *, seed=0, hash_bits=32):
        if not 1 <= capacity <= LARGEST_CAPACITY:
            raise ValueError(f"capacity must be 1 to {LARGEST_CAPACITY}, not {capacity}")
        if not 0 <= hash_bits <= 32:
            raise ValueError(f"hash_bits must be 0 to 32, not {hash_bits}")
        self.limit = capacity
        self.seed = <uint64_t>(seed & 0xFFFF_FFFF_FFFF_FFFF)
        self.tag_mask = <uint32_t>((0xFFFF_FFFF << (32 - hash_bits)) & 0xFFFF_FFFF)
        self.first_free = -1

    def __dealloc__(self):
        cdef int32_t id
        for id in range(self.used):
            if self.rows[id].text != NULL:
                if self.rows[id].size > SHORT_SIZE:
                    Py_XDECREF(long_text(&self.rows[id]))
                Py_XDECREF(self.rows[id].text)
        PyMem_Free(self.slots)
        PyMem_Free(self.rows_block)
        PyMem_Free(self.generations)

    cdef uint32_t tag_of(self, const char* text, Py_ssize_t size) noexcept nogil:
        return tag_for(text, size, self.seed) & self.tag_mask

    cdef int32_t find(self, const char* text, Py_ssize_t size) noexcept nogil:
        """Id of UTF-8 bytes [text, text + size), or -1. Reads only; at most one pass over the slots."""
        if size < 0 or size > LONGEST:
            return -1
        return self.find_tagged(self.tag_of(text, size), text, size)

    cdef int32_t find_tagged(self, uint32_t tag, const char* text, Py_ssize_t size) noexcept nogil:
        cdef uint32_t slot_count = self.slot_count
        cdef uint32_t at = subcore_home(tag, slot_count)
        cdef uint32_t _step
        cdef int32_t id
        for _step in range(slot_count):
            id = subcore_slot_id(self.slots[at])
            if id < 0:
                return -1
            if subcore_slot_tag(self.slots[at]) == tag and row_is(&self.rows[id], text, size):
                return id
            at = subcore_next(at, slot_count)
        return -1

    cdef PyObject* text_of(self, int32_t id) noexcept nogil:
        """Borrowed str of an id, valid until it is released; NULL where the id is free or never was."""
        if id < 0 or id >= self.used:
            return NULL
        return self.rows[id].text

    cdef int reserve(self, Py_ssize_t extra) except -1:
        """Make room for `extra` more texts, or raise CapacityError or MemoryError with nothing changed."""
        cdef Py_ssize_t room
        cdef uint32_t slot_count
        if extra > self.limit - self.count:
            raise CapacityError(
                f"the interner is full: {extra} new texts, {self.limit - self.count} of {self.limit} places left; "
                "release texts no longer used, or make it with a larger capacity"
            )
        if extra <= self.room - self.count:
            return 0
        room = max(self.count + extra, self.room + self.room // 2, <Py_ssize_t>SMALLEST_ROOM)
        room = min(<Py_ssize_t>self.limit, room)
        slot_count = <uint32_t>(2 * room)
        cdef uint64_t* slots = <uint64_t*>PyMem_Calloc(slot_count, sizeof(uint64_t))
        cdef void* block = PyMem_Calloc(1, room * sizeof(TextRow) + ROW_ALIGNMENT)
        cdef uint32_t* generations = <uint32_t*>PyMem_Calloc(room, sizeof(uint32_t))
        if slots == NULL or block == NULL or generations == NULL:
            PyMem_Free(slots)
            PyMem_Free(block)
            PyMem_Free(generations)
            raise MemoryError(f"no memory for {room} texts in the interner")
        self.move_to(slots, slot_count, block, generations, <int32_t>room)
        return 0

    cdef void move_to(self, uint64_t* slots, uint32_t slot_count, void* block, uint32_t* generations,
                      int32_t room) noexcept:
        cdef TextRow* rows = <TextRow*>((<uintptr_t>block + ROW_ALIGNMENT - 1) // ROW_ALIGNMENT * ROW_ALIGNMENT)
        subcore_slot_move_all(slots, slot_count, self.slots, self.slot_count)
        if self.used:
            memcpy(rows, self.rows, self.used * sizeof(TextRow))
            memcpy(generations, self.generations, self.used * sizeof(uint32_t))
        PyMem_Free(self.slots)
        PyMem_Free(self.rows_block)
        PyMem_Free(self.generations)
        self.slots, self.slot_count = slots, slot_count
        self.rows_block, self.rows = block, rows
        self.generations, self.room = generations, room

    cdef int32_t commit(self, PyObject* text, PyObject* utf8) noexcept:
        """Add an unknown text for which there is room; cannot fail."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(utf8)
        cdef int32_t id = self.first_free
        cdef TextRow* row
        if id >= 0:
            memcpy(&self.first_free, self.rows[id].data, sizeof(int32_t))
        else:
            id = self.used
            self.used += 1
        row = &self.rows[id]
        Py_INCREF(<object>text)
        row.text = text
        row.size = <uint8_t>size
        if size <= SHORT_SIZE:
            memcpy(row.data, PyBytes_AS_STRING(utf8), <size_t>size)
        else:
            Py_INCREF(<object>utf8)
            memcpy(row.data, &utf8, sizeof(utf8))
            self.long_bytes += <size_t>sys.getsizeof(<object>utf8)
        subcore_slot_put(self.slots, self.slot_count, self.tag_of(PyBytes_AS_STRING(utf8), size), id)
        self.count += 1
        return id

    cdef int check(self, Py_ssize_t id) except -1:
        if id < 0 or id >= self.used or self.rows[id].text == NULL:
            raise IndexError(f"no text has id {id}: it was never given, or has been released")
        return 0

    def intern(self, text) -> int:
        """Id of a text, new if unknown. CapacityError if full; ValueError beyond 255 bytes. O(1)."""
        cdef str exact = as_text(text)
        cdef bytes utf8 = encode(exact)
        cdef int32_t id = self.find(PyBytes_AS_STRING(<PyObject*>utf8), PyBytes_GET_SIZE(<PyObject*>utf8))
        if id >= 0:
            return id
        self.reserve(1)
        return self.commit(<PyObject*>exact, <PyObject*>utf8)

    def intern_many(self, texts, check=None) -> np.ndarray:
        """Ids of texts in order, as an int32 array; all or none. Errors as `intern`. O(len(texts)).

        `check(text)` is called for each unknown text before any is interned, and may raise.
        """
        cdef tuple wanted = exact_texts(texts)
        ids = new_ids(len(wanted))
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>ids)
        if self.find_texts(wanted, out) == 0:
            return ids
        if check is not None:
            for text in wanted:
                if self.get_one(<str>text) < 0:
                    check(text)
            self.find_texts(wanted, out)      # the check may have interned some
        self.intern_unknown(wanted, out)
        return ids

    cdef int intern_unknown(self, tuple wanted, int32_t* out) except -1:
        """Fill in the ids that are -1; all or none."""
        cdef Py_ssize_t i
        cdef int32_t id
        cdef PyObject* utf8
        cdef dict fresh = {}
        cdef list unknown = [], encoded = []
        for i in range(len(wanted)):
            if out[i] < 0 and wanted[i] not in fresh:
                fresh[wanted[i]] = None
                unknown.append(wanted[i])
                encoded.append(encode(<str>wanted[i]))
        self.reserve(len(unknown))
        for i in range(len(unknown)):
            utf8 = <PyObject*>encoded[i]
            id = self.find(PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8))    # a destructor may have interned it
            fresh[unknown[i]] = id if id >= 0 else self.commit(<PyObject*>unknown[i], utf8)
        for i in range(len(wanted)):
            if out[i] < 0:
                out[i] = fresh[wanted[i]]
        return 0

    cdef int32_t get_one(self, str text) except -2:
        if subcore_is_ascii(<PyObject*>text):
            return self.find(subcore_ascii(<PyObject*>text), subcore_ascii_size(<PyObject*>text))
        # Encoded beside the str: PyUnicode_AsUTF8AndSize would keep the copy in it for ever.
        cdef bytes utf8 = text.encode(errors="surrogatepass")
        return self.find(PyBytes_AS_STRING(<PyObject*>utf8), PyBytes_GET_SIZE(<PyObject*>utf8))

    cdef Py_ssize_t find_texts(self, tuple texts, int32_t* out) except -1:
        """Ids of exact strs, -1 where unknown; how many are."""
        cdef Py_ssize_t count = len(texts), unknown = 0
        cdef Py_ssize_t i
        if self.find_plain(PySequence_Fast_ITEMS(texts), count, out) == count:
            return 0
        for i in range(count):
            if out[i] < 0:
                out[i] = self.get_one(<str>PyTuple_GET_ITEM(texts, i))
                unknown += out[i] < 0
        return unknown

    cdef Py_ssize_t find_plain(self, PyObject** items, Py_ssize_t count, int32_t* out) noexcept:
        """Ids of objects that are ASCII strs and known, -1 for all others; how many have one. Runs no foreign code.

        The memory of a batch is fetched in one wait.
        """
        cdef Py_ssize_t start = 0, found = 0
        while start < count:
            found += self.find_batch(items + start, count - start, out + start)
            start += BATCH
        return found

    cdef Py_ssize_t find_batch(self, PyObject** items, Py_ssize_t left, int32_t* out) noexcept:
        """`find_plain` for the first of `left` objects; those of the next batch are on their way when it returns."""
        cdef const uint64_t* slots = self.slots
        cdef const TextRow* rows = self.rows
        cdef uint32_t slot_count = self.slot_count, tag_mask = self.tag_mask
        cdef uint64_t seed = self.seed
        cdef Py_ssize_t size = min(left, <Py_ssize_t>BATCH), found = 0
        cdef uint32_t tags[BATCH]
        cdef const char* texts[BATCH]         # NULL where an object is no plain str
        cdef uint8_t sizes[BATCH]
        cdef Py_ssize_t i
        cdef uint64_t slot
        for i in range(size):
            if i + AHEAD < left:
                fetch_text(items[i + AHEAD])
            texts[i], tags[i], out[i] = NULL, 0, -1
            if slot_count and is_plain(items[i]):
                texts[i], sizes[i] = subcore_ascii(items[i]), <uint8_t>subcore_ascii_size(items[i])
                tags[i] = tag_for(texts[i], sizes[i], seed) & tag_mask
                subcore_prefetch(&slots[subcore_home(tags[i], slot_count)])
        for i in range(size):
            if texts[i] != NULL:
                slot = slots[subcore_home(tags[i], slot_count)]
                if subcore_slot_tag(slot) == tags[i]:
                    out[i] = subcore_slot_id(slot)
                    subcore_prefetch(&rows[out[i]])
        for i in range(size):
            if texts[i] == NULL:
                continue
            if out[i] < 0 or not row_is(&rows[out[i]], texts[i], sizes[i]):
                out[i] = self.find_tagged(tags[i], texts[i], sizes[i])
            found += out[i] >= 0
        return found

    def get(self, text) -> int:
        """Id of a text, or -1 if it is unknown (also where it could not be interned). Never grows. O(1)."""
        return self.get_one(as_text(text))

    def get_many(self, texts) -> np.ndarray:
        """Ids of texts in order, -1 where unknown, as an int32 array. Never grows. O(len(texts))."""
        cdef tuple wanted = exact_texts(texts)
        ids = new_ids(len(wanted))
        self.find_texts(wanted, <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>ids))
        return ids

    def release(self, id: int) -> None:
        """Forget a text; its id is free for another, with a new generation. IndexError if it is not in use."""
        self.check(id)
        cdef int32_t freed = id
        cdef TextRow* row = &self.rows[freed]
        cdef PyObject* text = row.text
        cdef PyObject* utf8 = long_text(row) if row.size > SHORT_SIZE else NULL
        subcore_slot_drop(self.slots, self.slot_count, self.tag_of(row_bytes(row), row.size), freed)
        row.text = NULL
        row.size = 0
        memcpy(row.data, &self.first_free, sizeof(int32_t))
        self.first_free = freed
        self.generations[freed] = <uint32_t>((<uint64_t>self.generations[freed] + 1) & 0xFFFF_FFFF)
        self.count -= 1
        if utf8 != NULL:
            self.long_bytes -= <size_t>sys.getsizeof(<object>utf8)
            Py_XDECREF(utf8)
        Py_XDECREF(text)

    def text(self, id: int) -> str:
        """The text of an id; IndexError if it is not in use."""
        self.check(id)
        return <object>self.rows[<int32_t>id].text

    def generation(self, id: int) -> int:
        """How often an id has been released; unlike for a stale id. IndexError if it never was in use."""
        cdef Py_ssize_t at = id
        if at < 0 or at >= self.used:
            raise IndexError(f"no text ever had id {id}")
        return self.generations[at]

    @property
    def capacity(self) -> int:
        """The most texts held at once."""
        return self.limit

    @property
    def nbytes(self) -> int:
        """Bytes held: this object, its tables, copies of texts beyond 22 bytes; not the shared str objects."""
        cdef size_t tables = self.slot_count * sizeof(uint64_t) + self.room * (sizeof(TextRow) + sizeof(uint32_t))
        return sys.getsizeof(self) + tables + (ROW_ALIGNMENT if self.room else 0) + self.long_bytes

    def __len__(self) -> int:
        return self.count

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self.get(text) >= 0
