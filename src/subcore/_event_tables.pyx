# cython: language_level=3
"""What each member of each event struct is called and means: the tables behind properties, constructors and docs.

A member added to a struct needs one line here and is then known everywhere.
"""

from cpython.mem cimport PyMem_Malloc

from subcore._events cimport (
    KIND_ASSET,
    KIND_CANDLE,
    KIND_COUNT,
    KIND_ORDER,
    KIND_ORDERBOOK,
    KIND_TICKER,
    KIND_TRADE,
    Record,
    Text16,
    Text40,
    Text72,
)

cdef FieldTable TABLES[KIND_COUNT]
cdef Record LAYOUT                  # never filled: the offsets are taken from it
cdef list KEPT = []                 # names and docs that the tables point into

TYPE_NAMES = {
    FIELD_NUMBER: "float | None",
    FIELD_STEP: "float | None",
    FIELD_INTEGER: "int | None",
    FIELD_TEXT: "str | None",
    FIELD_TRUTH: "bool | None",
    FIELD_SIDE: "Side | None",
    FIELD_TRADE_ID: "int | str | None",
}


cdef tuple row(str name, FieldType type, const void* member, str doc, int room=0):
    return name, <int>type, <Py_ssize_t>(<const char*>member - <const char*>&LAYOUT), room, doc


cdef tuple text16(str name, const Text16* member, str doc):
    return row(name, FIELD_TEXT, member, doc, sizeof(member.data))


cdef tuple text40(str name, const Text40* member, str doc):
    return row(name, FIELD_TEXT, member, doc, sizeof(member.data))


cdef tuple text72(str name, const Text72* member, str doc):
    return row(name, FIELD_TEXT, member, doc, sizeof(member.data))


cdef list ticker_rows():
    return [
        row("price", FIELD_NUMBER, &LAYOUT.ticker.price, "price of the last trade"),
        row("open", FIELD_NUMBER, &LAYOUT.ticker.open, "first price of the venue's day"),
        row("high", FIELD_NUMBER, &LAYOUT.ticker.high, "highest price of the venue's day"),
        row("low", FIELD_NUMBER, &LAYOUT.ticker.low, "lowest price of the venue's day"),
        row("previous_close", FIELD_NUMBER, &LAYOUT.ticker.previous_close, "last price of the day before"),
        row("size", FIELD_NUMBER, &LAYOUT.ticker.size, "size of the last trade, base units"),
        row("side", FIELD_SIDE, &LAYOUT.ticker.side, "the taker's side of the last trade"),
        row("volume_24h", FIELD_NUMBER, &LAYOUT.ticker.volume_24h, "traded in 24 hours, base units"),
        row("turnover_24h", FIELD_NUMBER, &LAYOUT.ticker.turnover_24h, "traded in 24 hours, quote units"),
        row("volume", FIELD_NUMBER, &LAYOUT.ticker.volume, "traded since the venue's day began, base units"),
        row("turnover", FIELD_NUMBER, &LAYOUT.ticker.turnover, "traded since the venue's day began, quote units"),
        text16("change", &LAYOUT.ticker.change, "direction since previous_close, in the venue's word"),
        row("change_price", FIELD_NUMBER, &LAYOUT.ticker.change_price, "distance to previous_close, unsigned"),
        row("signed_change_price", FIELD_NUMBER, &LAYOUT.ticker.signed_change_price, "price - previous_close"),
        row("change_rate", FIELD_NUMBER, &LAYOUT.ticker.change_rate, "change_price / previous_close; 0.01 = 1 %"),
        row("signed_change_rate", FIELD_NUMBER, &LAYOUT.ticker.signed_change_rate, "change_rate with its sign"),
        row("ask_volume", FIELD_NUMBER, &LAYOUT.ticker.ask_volume, "sold by takers, base units"),
        row("bid_volume", FIELD_NUMBER, &LAYOUT.ticker.bid_volume, "bought by takers, base units"),
        row("high_52w", FIELD_NUMBER, &LAYOUT.ticker.high_52w, "highest price of 52 weeks"),
        text16("high_52w_date", &LAYOUT.ticker.high_52w_date, "day of high_52w, as the venue spells it"),
        row("low_52w", FIELD_NUMBER, &LAYOUT.ticker.low_52w, "lowest price of 52 weeks"),
        text16("low_52w_date", &LAYOUT.ticker.low_52w_date, "day of low_52w, as the venue spells it"),
        row("best_bid_price", FIELD_NUMBER, &LAYOUT.ticker.best_bid_price, "highest price bid"),
        row("best_bid_size", FIELD_NUMBER, &LAYOUT.ticker.best_bid_size, "size bid at best_bid_price, base units"),
        row("best_ask_price", FIELD_NUMBER, &LAYOUT.ticker.best_ask_price, "lowest price asked"),
        row("best_ask_size", FIELD_NUMBER, &LAYOUT.ticker.best_ask_size, "size asked at best_ask_price, base units"),
        row("trade_time_ns", FIELD_INTEGER, &LAYOUT.ticker.trade_time_ns, "time of the last trade, ns since 1970 UTC"),
        text16("trade_date", &LAYOUT.ticker.trade_date, "day of the last trade, as the venue spells it"),
        text16("trade_time", &LAYOUT.ticker.trade_time, "time of day of the last trade, as the venue spells it"),
        row("update_id", FIELD_INTEGER, &LAYOUT.ticker.update_id, "the venue's number of this update"),
        text16("market_state", &LAYOUT.ticker.market_state, "state of the market, in the venue's word"),
        row("is_trading_suspended", FIELD_TRUTH, &LAYOUT.ticker.is_trading_suspended, "whether trading is suspended"),
        text16("market_warning", &LAYOUT.ticker.market_warning, "warning about the market, in the venue's word"),
        text16("delisting_date", &LAYOUT.ticker.delisting_date, "day of delisting, as the venue spells it"),
    ]


cdef list trade_rows():
    return [
        row("price", FIELD_NUMBER, &LAYOUT.trade.price, "price of the trade"),
        row("size", FIELD_NUMBER, &LAYOUT.trade.size, "size of the trade, base units"),
        row("side", FIELD_SIDE, &LAYOUT.trade.side, "the taker's side"),
        row("id", FIELD_TRADE_ID, &LAYOUT.trade.id, "the venue's id of the trade: exact int, or str", 39),
        row("trade_time_ns", FIELD_INTEGER, &LAYOUT.trade.trade_time_ns, "time of the trade, ns since 1970 UTC"),
        text16("trade_date", &LAYOUT.trade.trade_date, "day of the trade, as the venue spells it"),
        text16("trade_time", &LAYOUT.trade.trade_time, "time of day of the trade, as the venue spells it"),
        row("previous_close", FIELD_NUMBER, &LAYOUT.trade.previous_close, "last price of the day before"),
        text16("change", &LAYOUT.trade.change, "direction since previous_close, in the venue's word"),
        row("change_price", FIELD_NUMBER, &LAYOUT.trade.change_price, "distance to previous_close, unsigned"),
        row("best_bid_price", FIELD_NUMBER, &LAYOUT.trade.best_bid_price, "highest price bid"),
        row("best_bid_size", FIELD_NUMBER, &LAYOUT.trade.best_bid_size, "size bid at best_bid_price, base units"),
        row("best_ask_price", FIELD_NUMBER, &LAYOUT.trade.best_ask_price, "lowest price asked"),
        row("best_ask_size", FIELD_NUMBER, &LAYOUT.trade.best_ask_size, "size asked at best_ask_price, base units"),
        row("first_id", FIELD_INTEGER, &LAYOUT.trade.first_id, "first id in an aggregated trade"),
        row("last_id", FIELD_INTEGER, &LAYOUT.trade.last_id, "last id in an aggregated trade"),
        row("is_buyer_maker", FIELD_TRUTH, &LAYOUT.trade.is_buyer_maker, "whether the buyer was the maker"),
    ]


cdef list orderbook_rows():
    return [
        row("total_bid_size", FIELD_NUMBER, &LAYOUT.orderbook.total_bid_size, "the venue's sum of sizes bid"),
        row("total_ask_size", FIELD_NUMBER, &LAYOUT.orderbook.total_ask_size, "the venue's sum of sizes asked"),
        row("grouping", FIELD_STEP, &LAYOUT.orderbook.grouping, "price step the venue grouped by"),
        row("update_id", FIELD_INTEGER, &LAYOUT.orderbook.update_id, "the venue's number of this update"),
    ]


cdef list candle_rows():
    return [
        row("open", FIELD_NUMBER, &LAYOUT.candle.open, "first price"),
        row("high", FIELD_NUMBER, &LAYOUT.candle.high, "highest price"),
        row("low", FIELD_NUMBER, &LAYOUT.candle.low, "lowest price"),
        row("close", FIELD_NUMBER, &LAYOUT.candle.close, "last price so far"),
        row("volume", FIELD_NUMBER, &LAYOUT.candle.volume, "traded, base units"),
        row("turnover", FIELD_NUMBER, &LAYOUT.candle.turnover, "traded, quote units"),
        row("start_time_ns", FIELD_INTEGER, &LAYOUT.candle.start_time_ns, "begin of the candle, ns since 1970 UTC"),
        row("end_time_ns", FIELD_INTEGER, &LAYOUT.candle.end_time_ns, "end of the candle, ns since 1970 UTC"),
        row("trade_count", FIELD_INTEGER, &LAYOUT.candle.trade_count, "number of trades"),
        row("is_closed", FIELD_TRUTH, &LAYOUT.candle.is_closed, "whether the candle will not change any more"),
        row("buy_volume", FIELD_NUMBER, &LAYOUT.candle.buy_volume, "bought by takers, base units"),
        row("buy_turnover", FIELD_NUMBER, &LAYOUT.candle.buy_turnover, "bought by takers, quote units"),
    ]


cdef list order_rows():
    return [
        text40("order_id", &LAYOUT.order.order_id, "the venue's id of the order"),
        text72("client_order_id", &LAYOUT.order.client_order_id, "the id given by who placed it"),
        row("side", FIELD_SIDE, &LAYOUT.order.side, "the order's side"),
        text16("order_type", &LAYOUT.order.order_type, "type of the order, in the venue's word"),
        text16("state", &LAYOUT.order.state, "state of the order, in the venue's word"),
        text16("time_in_force", &LAYOUT.order.time_in_force, "how long it stands, in the venue's word"),
        row("price", FIELD_NUMBER, &LAYOUT.order.price, "limit price; of a fill the fill's price"),
        row("average_price", FIELD_NUMBER, &LAYOUT.order.average_price, "average price of its fills"),
        row("size", FIELD_NUMBER, &LAYOUT.order.size, "size ordered; of a fill the fill's size, base units"),
        row("remaining_size", FIELD_NUMBER, &LAYOUT.order.remaining_size, "size not yet filled, base units"),
        row("executed_size", FIELD_NUMBER, &LAYOUT.order.executed_size, "size filled, base units"),
        row("executed_funds", FIELD_NUMBER, &LAYOUT.order.executed_funds, "filled so far, quote units"),
        row("locked", FIELD_NUMBER, &LAYOUT.order.locked, "amount the order holds locked"),
        row("reserved_fee", FIELD_NUMBER, &LAYOUT.order.reserved_fee, "fee reserved when it was placed"),
        row("remaining_fee", FIELD_NUMBER, &LAYOUT.order.remaining_fee, "of it still reserved"),
        row("paid_fee", FIELD_NUMBER, &LAYOUT.order.paid_fee, "fee paid so far"),
        text40("trade_id", &LAYOUT.order.trade_id, "the venue's id of this fill"),
        row("trade_count", FIELD_INTEGER, &LAYOUT.order.trade_count, "number of fills so far"),
        row("trade_fee", FIELD_NUMBER, &LAYOUT.order.trade_fee, "fee of this fill"),
        row("is_maker", FIELD_TRUTH, &LAYOUT.order.is_maker, "whether this fill was the maker's"),
        row("trade_time_ns", FIELD_INTEGER, &LAYOUT.order.trade_time_ns, "time of this fill, ns since 1970 UTC"),
        row("order_time_ns", FIELD_INTEGER, &LAYOUT.order.order_time_ns, "time it was placed, ns since 1970 UTC"),
        text40("self_trade_prevention", &LAYOUT.order.self_trade_prevention, "mode of self-trade prevention"),
        row("prevented_size", FIELD_NUMBER, &LAYOUT.order.prevented_size, "size self-trade prevention removed"),
        row("prevented_locked", FIELD_NUMBER, &LAYOUT.order.prevented_locked, "amount it released"),
    ]


cdef list asset_rows():
    return [
        text40("asset_id", &LAYOUT.asset.asset_id, "the venue's id of this change"),
        row("asset_time_ns", FIELD_INTEGER, &LAYOUT.asset.asset_time_ns, "time of the change, ns since 1970 UTC"),
    ]


cdef int install(int kind, list rows) except -1:
    cdef Field* fields = <Field*>PyMem_Malloc(len(rows) * sizeof(Field))
    cdef Field* field
    cdef bytes name, doc
    if fields == NULL:
        raise MemoryError
    for i, (name_text, type, offset, room, doc_text) in enumerate(rows):
        name, doc = name_text.encode(), f"{TYPE_NAMES[type]}: {doc_text}".encode()
        KEPT.append((name, doc))
        field = &fields[<int>i]
        field.name, field.doc = name, doc
        field.offset, field.type, field.room = offset, type, room
    TABLES[kind].fields = fields
    TABLES[kind].count = <int>len(rows)
    return 0


cdef FieldTable field_table(int kind) noexcept nogil:
    return TABLES[kind]


install(KIND_TICKER, ticker_rows())
install(KIND_TRADE, trade_rows())
install(KIND_ORDERBOOK, orderbook_rows())
install(KIND_CANDLE, candle_rows())
install(KIND_ORDER, order_rows())
install(KIND_ASSET, asset_rows())
