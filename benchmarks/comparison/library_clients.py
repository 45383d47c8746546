"""Whole libraries as clients of the socket rows: each from the socket to its user's callback, as documented.

What they would fetch over REST first (lists of markets) is given to them, and their address is the sender's.
cryptofeed asks for SIMPLE frames and knows trades and books; ccxt asks for DEFAULT frames.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .clients import Bill, ignore
from .frames import home_markets
from .sender import END

__all__ = ["ccxt_books", "ccxt_tickers", "cryptofeed_books", "cryptofeed_trades", "plain_manager"]

CODES = [*(market.code for market in home_markets()), END]


async def cryptofeed_trades(url: str, bill: Bill) -> None:
    """Trades, each a Trade with Decimals, to an async callback."""
    from cryptofeed.defines import TRADES

    await _cryptofeed(TRADES, url, bill)


async def cryptofeed_books(url: str, bill: Bill) -> None:
    """Books, each an OrderBook with Decimals, to an async callback."""
    from cryptofeed.defines import L2_BOOK

    await _cryptofeed(L2_BOOK, url, bill)


async def _cryptofeed(channel: str, url: str, bill: Bill) -> None:
    from cryptofeed.connection import WSAsyncConn
    from cryptofeed.connection_handler import ConnectionHandler
    from cryptofeed.defines import SPOT, UPBIT
    from cryptofeed.exchanges import Upbit
    from cryptofeed.symbols import Symbols

    names = {f"{base}-{quote}": code for code in CODES for quote, base in [code.split("-")]}
    Symbols.set(UPBIT, names, {"instrument_type": dict.fromkeys(names, SPOT)})
    last = next(name for name, code in names.items() if code == END)

    async def on_event(event: Any, receipt_timestamp: float) -> None:
        if event.symbol == last:
            bill.stop()

    feed = Upbit(symbols=list(names), channels=[channel], callbacks={channel: on_event})
    endpoint = Upbit.websocket_endpoints[0]
    connection = WSAsyncConn(endpoint.address, feed.id, **endpoint.options)
    connection.address = url  # it insists on wss:// when it is made
    handler = ConnectionHandler(
        connection, feed.subscribe, feed.message_handler, feed.authenticate, retries=0, timeout=-1
    )
    handler.start(asyncio.get_running_loop())
    while not connection.is_open:
        await asyncio.sleep(0.005)
    bill.start()
    await bill.all_seen
    handler.running = False
    await connection.close()


async def ccxt_tickers(url: str, bill: Bill) -> None:
    """watch_tickers in a loop."""

    async def watch(exchange: Any, symbols: list[str], last: str) -> None:
        while last not in await exchange.watch_tickers(symbols):
            pass
        bill.stop()

    await _ccxt(watch, url, bill)


async def ccxt_books(url: str, bill: Bill) -> None:
    """watch_order_book in one loop a market, which is what ccxt offers here."""

    async def forever(exchange: Any, symbol: str) -> None:
        while True:
            await exchange.watch_order_book(symbol)

    async def watch(exchange: Any, symbols: list[str], last: str) -> None:
        loops = [asyncio.ensure_future(forever(exchange, symbol)) for symbol in symbols if symbol != last]
        await exchange.watch_order_book(last)
        bill.stop()
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    await _ccxt(watch, url, bill)


async def _ccxt(watch: Any, url: str, bill: Bill) -> None:
    import ccxt.pro

    exchange = ccxt.pro.upbit({"newUpdates": True})
    exchange.urls["api"]["ws"] = url
    exchange.set_markets([_ccxt_market(exchange, *code.split("-")) for code in CODES])
    symbols = [f"{base}/{quote}" for quote, base in (code.split("-") for code in CODES)]
    watching = asyncio.ensure_future(watch(exchange, symbols, symbols[-1]))
    try:
        while not (exchange.clients and exchange.clients[url].connected.done()):
            await asyncio.sleep(0.005)
        bill.start()
        await watching
    finally:
        watching.cancel()
        await exchange.close()


def _ccxt_market(exchange: Any, quote: str, base: str) -> dict[str, Any]:
    return exchange.safe_market_structure(
        {
            "id": f"{quote}-{base}", "symbol": f"{base}/{quote}", "base": base, "quote": quote, "baseId": base,
            "quoteId": quote, "type": "spot", "spot": True, "active": True, "margin": False, "swap": False,
            "future": False, "option": False, "contract": False, "precision": {"price": 1e-8, "amount": 1e-8},
        }
    )  # fmt: skip


class _Component:
    """A component of the plain manager."""

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        ignore()

    def on_reconnect(self) -> None:
        """Nothing is asked for again: the connection is measured once."""


class _Last(_Component):
    def __init__(self, bill: Bill) -> None:
        self._bill = bill

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        self._bill.stop()


async def plain_manager(url: str, bill: Bill) -> None:
    """The plain manager with one component that does nothing."""
    from subcore.scenarios.plain_manager import PlainManager, run

    manager, component, last = PlainManager(), _Component(), _Last(bill)
    manager.subscribe(component, "ticker", CODES[:-1])
    manager.subscribe(last, "ticker", [END])
    running = asyncio.ensure_future(run(manager, url))
    while not manager.sent:
        await asyncio.sleep(0.005)
    bill.start()
    await bill.all_seen
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
