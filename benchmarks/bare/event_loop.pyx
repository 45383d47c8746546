# cython: language_level=3
"""What it costs to make one event and drop it, beside plain Python objects of the same values."""

from libc.stdint cimport uint16_t

from subcore._events cimport Event, Record, TickerData, make_event, record_of


def make(Event event, Py_ssize_t times, cut=0):
    """The event made and dropped `times` times from its own struct."""
    cdef const Record* record = record_of(event)
    cdef str venue = event.venue, channel = event.channel, symbol = event.symbol
    cdef uint16_t levels = cut
    cdef Py_ssize_t _i
    for _i in range(times):
        make_event(record, venue, channel, symbol, None, levels)


cdef inline tuple values(const TickerData* t, object symbol):
    """25 values, as eager decoding gives them."""
    return (
        symbol, t.price, t.open, t.high, t.low, t.previous_close, t.size, t.volume_24h, t.turnover_24h, t.volume,
        t.turnover, t.change_price, t.signed_change_price, t.change_rate, t.signed_change_rate, t.ask_volume,
        t.bid_volume, t.high_52w, t.low_52w, t.best_bid_price, t.best_bid_size, t.best_ask_price, t.best_ask_size,
        t.trade_time_ns, t.update_id,
    )


def make_tuple(Event event, Py_ssize_t times):
    cdef const TickerData* ticker = &record_of(event).ticker
    cdef str symbol = event.symbol
    cdef Py_ssize_t _i
    for _i in range(times):
        values(ticker, symbol)


def make_struct(Event event, Py_ssize_t times, cls):
    cdef const TickerData* ticker = &record_of(event).ticker
    cdef str symbol = event.symbol
    cdef Py_ssize_t _i
    for _i in range(times):
        cls(*values(ticker, symbol))


def make_dict(Event event, Py_ssize_t times, tuple names):
    cdef const TickerData* ticker = &record_of(event).ticker
    cdef str symbol = event.symbol
    cdef dict made
    cdef tuple row
    cdef Py_ssize_t _i, place
    for _i in range(times):
        made = {}
        row = values(ticker, symbol)
        for place in range(len(names)):
            made[names[place]] = row[place]
