# cython: language_level=3
"""Events: small immutable objects around a copied struct; Python values are made when an attribute is read.

Making one costs a copy of the struct: texts shared by all events of a stream are referenced, not copied, and dropped
objects are kept for reuse (at most 64 of a size). The classes take no part in garbage collection: nothing they refer
to can refer back. Any thread may read an event.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from operator import index

from subcore._event_fields cimport add_fields, mix_fields, read_field, same_fields, take_fields
from subcore._event_parts cimport (
    balance_tuples,
    checked_rows,
    level_array,
    level_tuple,
    level_tuples,
    same_levels,
    tuples_size,
    write_balances,
    write_levels,
)
from subcore._event_tables cimport FIELD_NUMBER, Field, FieldTable, field_table

from subcore import _event_text

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept

cdef extern from "Python.h":
    ctypedef struct PyGetSetDef:
        pass
    ctypedef object (*getter)(object, void*)

cdef extern from "_objects.h":
    int subcore_pool_type(object type) except -1
    int subcore_add_property(object type, PyGetSetDef* definition, const char* name, getter get, const char* doc,
                             const void* closure) except -1

cdef enum:
    MOST_FIELDS = 128

cdef PyGetSetDef PROPERTIES[MOST_FIELDS]
cdef int PROPERTY_COUNT = 0
cdef EventHead NOTHING              # what `head` of a bare Event points to
cdef size_t COPIED[KIND_COUNT]      # bytes of a record that make_event copies as they are
cdef dict KINDS = {}                # class -> EventKind


cdef class Event:
    """What the events of all kinds have in common. Immutable; equal if of one class and all values are equal.

    `raw` is the frame's bytes if they were asked for; it takes no part in equality and `to_dict`.
    """

    def __cinit__(self):
        self.head = &NOTHING

    def __init__(self, *, venue, channel, symbol=None, receive_time_ns=0, exchange_time_ns=None, is_snapshot=False,
                 is_realtime=False, is_image=False, raw=None, **values):
        """All values by keyword, under the attributes' names; what is left out is absent.

        TypeError for an unknown name or a wrong type, ValueError for a value that the event could not hold.
        """
        kind = KINDS.get(type(self))
        if kind is None:
            raise TypeError("Event is the base of Ticker, Trade, Orderbook, Candle, Order and Asset: make one of these")
        if self.head.kind != KIND_NONE or self.venue is not None:   # the latter: being made, or one that could not be
            raise AttributeError("events are immutable: make a new one")
        self.venue, self.channel, self.symbol, self.raw = venue, channel, symbol, raw
        if venue is None or channel is None:
            raise TypeError("venue and channel must be str, not None")
        fill(self, kind, values)
        self.head.stream = self.head.symbol = -1
        self.head.receive_time_ns = as_time("receive_time_ns", receive_time_ns)
        self.head.exchange_time_ns = ABSENT
        if exchange_time_ns is not None:
            self.head.exchange_time_ns = as_time("exchange_time_ns", exchange_time_ns)
        self.head.flags = (
            (FLAG_SNAPSHOT if is_snapshot else 0)
            | (FLAG_REALTIME if is_realtime else 0)
            | (FLAG_IMAGE if is_image else 0)
        )
        self.head.kind = kind           # last: only now the event counts as made

    @property
    def exchange_time_ns(self):
        """int | None: the venue's time of the event, ns since 1970 UTC."""
        return None if self.head.exchange_time_ns == ABSENT else self.head.exchange_time_ns

    @property
    def receive_time_ns(self):
        """int: when the frame was received here, ns since 1970 UTC; 0 where nobody said."""
        return self.head.receive_time_ns

    @property
    def is_snapshot(self):
        """bool: the venue marked the frame as the state at subscription."""
        return (self.head.flags & FLAG_SNAPSHOT) != 0

    @property
    def is_realtime(self):
        """bool: the venue marked the frame as live."""
        return (self.head.flags & FLAG_REALTIME) != 0

    @property
    def is_image(self):
        """bool: the last known event, given to a late joiner."""
        return (self.head.flags & FLAG_IMAGE) != 0

    @property
    def nbytes(self):
        """int: bytes that this event alone holds, `raw` among them; not the texts it shares."""
        return size_of(self)

    def __sizeof__(self):
        return own_size(self)

    def to_dict(self) -> dict:
        """Every value that is not absent, ready for JSON: sides as "BUY" and "SELL", levels as [price, size].

        The class makes an equal event of it: `Ticker(**ticker.to_dict())`.
        """
        cdef dict values = {"venue": self.venue, "channel": self.channel}
        if self.symbol is not None:
            values["symbol"] = self.symbol
        if self.head.exchange_time_ns != ABSENT:
            values["exchange_time_ns"] = self.head.exchange_time_ns
        values["receive_time_ns"] = self.head.receive_time_ns
        values["is_snapshot"], values["is_realtime"] = self.is_snapshot, self.is_realtime
        values["is_image"] = self.is_image
        add_values(self, values)
        return values

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self is other or same_event(self, <Event>other)

    def __hash__(self):
        return <Py_hash_t>(hash_event(self) >> 2)

    def __repr__(self):
        return _event_text.describe(self)

    def __reduce__(self):
        values = self.to_dict()
        if self.raw is not None:
            values["raw"] = self.raw
        return restore, (type(self), values)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


@cython.final
cdef class Ticker(Event):
    """The state of a market: last trade, day's range and volumes."""

    def __cinit__(self):
        self.head = &self.data.head


@cython.final
cdef class Trade(Event):
    """One trade, or several of one taker at one price where the venue joins them."""

    def __cinit__(self):
        self.head = &self.data.head


@cython.final
@cython.no_gc
cdef class Orderbook(Event):
    """A book, complete to the depth that the holder asked for. Totals are the venue's, whatever the depth."""

    def __cinit__(self):
        self.head = &self.data.head

    def __dealloc__(self):
        PyMem_Free(self.levels)

    @property
    def bids(self):
        """tuple[Level, ...]: highest price first; made on first use and kept."""
        if self.bid_levels is None:
            self.bid_levels = level_tuples(self.data.bids, self.data.bid_count)
        return self.bid_levels

    @property
    def asks(self):
        """tuple[Level, ...]: lowest price first; made on first use and kept."""
        if self.ask_levels is None:
            self.ask_levels = level_tuples(self.data.asks, self.data.ask_count)
        return self.ask_levels

    @property
    def best_bid(self):
        """Level | None: the first of `bids`, without making the others."""
        return level_tuple(self.data.bids) if self.data.bid_count else None

    @property
    def best_ask(self):
        """Level | None: the first of `asks`, without making the others."""
        return level_tuple(self.data.asks) if self.data.ask_count else None

    @property
    def bid_array(self):
        """npt.NDArray[np.float64]: (n, 2) of price, size; a read-only view that keeps the event alive, no copy."""
        return level_array(self, self.data.bids, self.data.bid_count)

    @property
    def ask_array(self):
        """npt.NDArray[np.float64]: (n, 2) of price, size; a read-only view that keeps the event alive, no copy."""
        return level_array(self, self.data.asks, self.data.ask_count)


@cython.final
cdef class Candle(Event):
    """One candle as it stands; its channel says how long it is."""

    def __cinit__(self):
        self.head = &self.data.head


@cython.final
cdef class Order(Event):
    """An order of the account, or a fill of it."""

    def __cinit__(self):
        self.head = &self.data.head


@cython.final
@cython.no_gc
cdef class Asset(Event):
    """Balances of the account."""

    def __cinit__(self):
        self.head = &self.data.head

    def __dealloc__(self):
        PyMem_Free(<void*>self.data.balances)

    @property
    def balances(self):
        """tuple[Balance, ...]: as the venue listed them; made on first use and kept."""
        if self.balance_tuples is None:
            self.balance_tuples = balance_tuples(self.data.balances, self.data.balance_count)
        return self.balance_tuples


cdef Event make_event(const Record* record, str venue, str channel, str symbol, bytes raw, uint16_t cut):
    cdef Event event
    cdef int kind = record.head.kind
    if kind == KIND_TICKER:
        event = Ticker.__new__(Ticker)
    elif kind == KIND_TRADE:
        event = Trade.__new__(Trade)
    elif kind == KIND_ORDERBOOK:
        event = copy_orderbook(&record.orderbook, cut)
    elif kind == KIND_CANDLE:
        event = Candle.__new__(Candle)
    elif kind == KIND_ORDER:
        event = Order.__new__(Order)
    elif kind == KIND_ASSET:
        event = copy_asset(&record.asset)
    else:
        raise ValueError(f"no event class for records of kind {kind}")
    # A size known at run time only: for a known one gcc emits `rep movs`, at three times the cost of memcpy.
    memcpy(event.head, record, COPIED[kind])
    event.venue, event.channel, event.symbol, event.raw = venue, channel, symbol, raw
    return event


cdef bint renew_event(PyObject* held, const Record* record) noexcept:
    cdef Event event = <Event>held
    cdef Orderbook changed
    cdef Level* levels
    cdef uint8_t kind = record.head.kind
    if event.head.kind != kind or kind == KIND_ASSET or event.raw is not None:
        return False
    if event.head.symbol != record.head.symbol or event.head.symbol < 0:
        return False              # `symbol` is another text
    if kind != KIND_ORDERBOOK:
        memcpy(event.head, record, COPIED[kind])
        return True
    changed = <Orderbook>event
    levels = changed.levels
    if (
        changed.data.bid_count != record.orderbook.bid_count or changed.data.ask_count != record.orderbook.ask_count
    ):
        return False
    changed.data = record.orderbook
    changed.data.bids, changed.data.asks = levels, levels + record.orderbook.bid_count
    memcpy(levels, record.orderbook.bids, <size_t>record.orderbook.bid_count * sizeof(Level))
    memcpy(levels + record.orderbook.bid_count, record.orderbook.asks,
           <size_t>record.orderbook.ask_count * sizeof(Level))
    changed.bid_levels = changed.ask_levels = None
    return True


cdef const Record* record_of(Event event) noexcept:
    return <const Record*>event.head


cdef Py_ssize_t size_of(Event event) except -1:
    cdef Py_ssize_t size = own_size(event)
    if event.raw is not None:
        size += bytes.__basicsize__ + len(event.raw)
    return size


cdef Event copy_orderbook(const OrderbookData* data, uint16_t cut):
    cdef Orderbook event = Orderbook.__new__(Orderbook)
    cdef int32_t bids = min(data.bid_count, <int32_t>cut) if cut else data.bid_count
    cdef int32_t asks = min(data.ask_count, <int32_t>cut) if cut else data.ask_count
    event.data = data[0]
    event.data.bid_count = event.data.ask_count = 0
    hold_levels(event, bids, asks)
    memcpy(event.levels, data.bids, <size_t>bids * sizeof(Level))
    memcpy(event.levels + bids, data.asks, <size_t>asks * sizeof(Level))
    return event


cdef int hold_levels(Orderbook event, int32_t bids, int32_t asks) except -1:
    """Room for the levels of both sides, to be filled by the caller."""
    cdef Level* levels = <Level*>PyMem_Malloc(<size_t>(bids + asks) * sizeof(Level))
    if levels == NULL:
        raise MemoryError(f"no memory for {bids + asks} levels of a book")
    PyMem_Free(event.levels)
    event.levels = levels
    event.data.bids, event.data.asks = levels, levels + bids
    event.data.bid_count, event.data.ask_count = bids, asks
    return 0


cdef Event copy_asset(const AssetData* data):
    cdef Asset event = Asset.__new__(Asset)
    event.data = data[0]
    event.data.balances, event.data.balance_count = NULL, 0
    memcpy(hold_balances(event, data.balance_count), data.balances, <size_t>data.balance_count * sizeof(Balance))
    return event


cdef Balance* hold_balances(Asset event, int32_t count) except NULL:
    cdef Balance* balances = <Balance*>PyMem_Malloc(<size_t>count * sizeof(Balance))
    if balances == NULL:
        raise MemoryError(f"no memory for {count} balances")
    PyMem_Free(<void*>event.data.balances)
    event.data.balances, event.data.balance_count = balances, count
    return balances


cdef object get_field(object event, void* field):
    return read_field(<const Field*>field, <const char*>(<Event>event).head)


cdef object get_number(object event, void* field):
    cdef double number = (<const double*>(<const char*>(<Event>event).head + (<const Field*>field).offset))[0]
    return None if number != number else number


cdef Py_ssize_t own_size(Event event) except -1:
    """Bytes of the object, its levels or balances, and the tuples made of them so far."""
    cdef Py_ssize_t size = (<object>type(event)).__basicsize__
    if type(event) is Orderbook:
        size += (book(event).bid_count + book(event).ask_count) * <Py_ssize_t>sizeof(Level)
        size += tuples_size((<Orderbook>event).bid_levels) + tuples_size((<Orderbook>event).ask_levels)
    elif type(event) is Asset:
        size += (<Asset>event).data.balance_count * <Py_ssize_t>sizeof(Balance)
        size += tuples_size((<Asset>event).balance_tuples)
    return size


cdef inline const OrderbookData* book(Event event) noexcept:
    return &(<Orderbook>event).data


cdef bint same_event(Event a, Event b) except -1:
    if (
        a.head.exchange_time_ns != b.head.exchange_time_ns
        or a.head.receive_time_ns != b.head.receive_time_ns
        or a.head.flags != b.head.flags
        or a.venue != b.venue or a.channel != b.channel or a.symbol != b.symbol
        or not same_fields(a.head.kind, <const char*>a.head, <const char*>b.head)
    ):
        return False
    if type(a) is Orderbook:
        return (
            same_levels(book(a).bids, book(a).bid_count, book(b).bids, book(b).bid_count)
            and same_levels(book(a).asks, book(a).ask_count, book(b).asks, book(b).ask_count)
        )
    if type(a) is Asset:
        return (<Asset>a).balances == (<Asset>b).balances
    return True


cdef uint64_t hash_event(Event event) except? 0:
    cdef uint64_t state = subcore_hash_word(<uint64_t>event.head.exchange_time_ns, event.head.kind)
    state = subcore_hash_word(<uint64_t>event.head.receive_time_ns, state)
    state = subcore_hash_word(<uint64_t><Py_ssize_t>hash((event.venue, event.channel, event.symbol)), state)
    return mix_fields(event.head.kind, <const char*>event.head, state)


cdef int64_t as_time(str name, value) except? -1:
    exact = index(value)
    if not -0x7FFF_FFFF_FFFF_FFFF <= exact <= 0x7FFF_FFFF_FFFF_FFFF:
        raise ValueError(f"{name} must fit 64 bits of nanoseconds, not {value!r}")
    return exact


cdef int fill(Event event, int kind, dict values) except -1:
    """Set every member of an event under construction from `values`, which is used up."""
    take_fields(kind, <char*>event.head, values)
    if kind == KIND_ORDERBOOK:
        bids = checked_rows("bids", values.pop("bids", ()), 2)
        asks = checked_rows("asks", values.pop("asks", ()), 2)
        hold_levels(event, <int32_t>len(bids), <int32_t>len(asks))
        # What fails half way can still be read.
        memset((<Orderbook>event).levels, 0, <size_t>len(bids + asks) * sizeof(Level))
        write_levels(bids + asks, (<Orderbook>event).levels)
    elif kind == KIND_ASSET:
        balances = checked_rows("balances", values.pop("balances", ()), 3)
        hold_balances(event, <int32_t>len(balances))
        memset(<void*>(<Asset>event).data.balances, 0, <size_t>len(balances) * sizeof(Balance))
        write_balances(balances, <Balance*>(<Asset>event).data.balances)
    if values:
        raise TypeError(f"{type(event).__name__} has no {', '.join(sorted(values))}")
    return 0


cdef int add_values(Event event, dict values) except -1:
    add_fields(event.head.kind, <const char*>event.head, values)
    if type(event) is Orderbook:
        values["bids"] = [list(level) for level in (<Orderbook>event).bids]
        values["asks"] = [list(level) for level in (<Orderbook>event).asks]
    elif type(event) is Asset:
        values["balances"] = [list(balance) for balance in (<Asset>event).balances]
    return 0


def restore(cls, values):
    """Make a pickled event again."""
    return cls(**values)


cdef int declare(int kind, object cls, size_t copied) except -1:
    """Give a class its properties and its freelist."""
    global PROPERTY_COUNT
    COPIED[kind] = copied
    cdef FieldTable table = field_table(kind)
    cdef const Field* field
    cdef int i
    for i in range(table.count):
        field = &table.fields[i]
        subcore_add_property(
            cls, &PROPERTIES[PROPERTY_COUNT], field.name, get_number if field.type == FIELD_NUMBER else get_field,
            field.doc, field,
        )
        PROPERTY_COUNT += 1
    subcore_pool_type(cls)
    KINDS[cls] = kind
    return 0


declare(KIND_TICKER, Ticker, sizeof(TickerData))
declare(KIND_TRADE, Trade, sizeof(TradeData))
declare(KIND_ORDERBOOK, Orderbook, 0)  # copied with what it points to
declare(KIND_CANDLE, Candle, sizeof(CandleData))
declare(KIND_ORDER, Order, sizeof(OrderData))
declare(KIND_ASSET, Asset, 0)  # copied with what it points to
