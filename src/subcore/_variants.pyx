# cython: language_level=3
"""What tells streams of one channel and symbol apart by a number (e.g. price grouping): numbers to small indices."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport isfinite
from libc.stdint cimport int32_t, uint16_t

cdef enum:
    UNKNOWN = 0xFFFF
    MOST = 65534


@cython.final
cdef class Variants:
    """The variants of each of `count` channels."""

    def __cinit__(self, Py_ssize_t count):
        self.count = count
        self.tables = <VariantTable*>PyMem_RawCalloc(<size_t>count, sizeof(VariantTable))
        if self.tables == NULL:
            raise MemoryError(f"no memory for the variants of {count} channels")

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.tables != NULL:
            for i in range(self.count):
                PyMem_RawFree(self.tables[i].rows)
        PyMem_RawFree(self.tables)

    cdef int put(self, Py_ssize_t channel, object values) except -1:
        """Replace a channel's variants by those of a mapping, number -> index."""
        cdef list pairs = sorted((float(value), int(index)) for value, index in values.items())
        cdef VariantTable made
        if not 0 <= channel < self.count:
            raise IndexError(f"no channel has index {channel}; there are {self.count}")
        if len({value for value, _ in pairs}) < len(pairs):
            raise ValueError("two variants are the same number: a frame could not tell them apart")
        for value, index in pairs:
            if not isfinite(value) or value == 0 or not 1 <= index <= MOST:
                raise ValueError(f"a variant is a finite number that is not 0, with an index 1 to {MOST}; "
                                 f"not {value!r}: {index}")
        made.count = <int32_t>len(pairs)
        made.rows = <Variant*>PyMem_RawMalloc(max(1, len(pairs)) * sizeof(Variant))
        if made.rows == NULL:
            raise MemoryError(f"no memory for {len(pairs)} variants")
        for i, (value, index) in enumerate(pairs):
            made.rows[<Py_ssize_t>i].value = value
            made.rows[<Py_ssize_t>i].index = index
        PyMem_RawFree(self.tables[channel].rows)
        self.tables[channel] = made
        return 0

    @cython.nonecheck(False)          # the check needs the GIL
    cdef uint16_t find(self, Py_ssize_t channel, double value) noexcept nogil:
        cdef const VariantTable* table = &self.tables[channel]
        cdef int32_t low = 0, high = table.count, middle
        while low < high:
            middle = (low + high) // 2
            if table.rows[middle].value < value:
                low = middle + 1
            else:
                high = middle
        return table.rows[low].index if low < table.count and table.rows[low].value == value else UNKNOWN

    cdef Py_ssize_t size(self) noexcept:
        cdef Py_ssize_t i, size = self.count * <Py_ssize_t>sizeof(VariantTable)
        for i in range(self.count):
            size += max(0, self.tables[i].count) * <Py_ssize_t>sizeof(Variant)
        return size
