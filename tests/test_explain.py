"""Every state a stream can be in has a sentence that says why, and what will happen when."""

from __future__ import annotations

import pytest

from engine_script import Script
from subcore.engine import events
from subcore.types import DataState, Listing, Priority, Refused, StreamState, Topic
from subcore.venues import venue

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"


def why(s: Script, stream: int) -> str:
    return s.engine.explain(int(stream), s.now)


def test_from_the_wish_to_the_proof() -> None:
    s = Script()
    assert why(s, 0) == "nobody wants it"
    s.want("ticker", BTC, ETH)
    assert why(s, 0) == "link 0 is being opened, at most 15.0 s more"
    s.up()
    s.wait(0.2)
    assert why(s, 0) == "sent 0.2 s ago on link 0, no data yet"
    s.wait(0.5)
    assert why(s, 0) == "sent 0.7 s ago on link 0, nothing said against it, no data yet"
    s.data([0])
    s.wait(2.0, frames=1)
    assert why(s, 0) == "open for 2.0 s, proven by data, on link 0"
    s.unwant("ticker", BTC)
    assert why(s, 0) == "nobody wants it"


def test_no_connection_names_the_next_attempt_and_the_failures() -> None:
    s = Script()
    s.want("ticker", BTC)
    for _ in range(3):
        s.down("refused")
        s.now = s.engine.links[0].connect_at
        s.tell(events.Tick())
    s.down("refused")
    left = (s.engine.links[0].connect_at - s.now) / 1e9
    assert why(s, 0) == f"link 0 is down (refused), the next attempt after 4 failures is in {left:.1f} s"


def test_a_block_of_the_host_counts() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.down("HTTP 418", status=418, retry_after=95.0)
    assert why(s, 0).endswith("is in 95.0 s")


def test_waiting_for_budget_says_with_how_many_and_how_long() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    for i in range(5):
        s.want("ticker", f"KRW-N{i}")
        s.data([i + 1])
    s.want("ticker", ETH, XRP)
    assert s.state(6) is StreamState.WAITING
    said = why(s, 6)
    assert said.startswith("waiting for message budget, with 2 others, about ")
    left = float(said.rpartition("about ")[2].removesuffix(" s"))
    s.wait(left + 0.1)
    assert s.state(6) is StreamState.SENT


def test_where_one_message_does_not_take_all_it_says_which_of_them_is_its_own() -> None:
    s = Script(venue("binance"))
    s.want("book_ticker", *(f"T{i}USDT" for i in range(250)))  # a message takes a hundred
    critical = s.want("book_ticker", "BTCUSDT", priority=Priority.CRITICAL)
    s.up()
    waits = [i for i in range(251) if s.state(i) is StreamState.WAITING]
    assert s.state(critical[0]) is StreamState.SENT, "the most important went with the first"
    assert len(waits) == 151
    first, second = (why(s, waits[at]) for at in (0, 150))
    assert first.startswith("waiting for message budget, with 150 others, about 0.3 s")
    assert second.startswith(
        "waiting for message budget, second message in line; the first goes in about 0.3 s"
    )
    s.wait(0.31)
    assert s.state(waits[0]) is StreamState.SENT
    assert why(s, waits[150]).startswith("waiting for message budget, with 50 others")


def test_waiting_for_the_answer_before_it() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.up()
    s.want("ticker", ETH)
    s.wait(0.1)
    assert why(s, 1) == "waiting for the answer to the request before it, at most 0.3 s"


def test_unknown_markets_and_what_the_venue_does_not_list() -> None:
    s = Script(symbols=frozenset({BTC}))
    s.want("ticker", BTC, ETH)
    assert "not in the venue's list of markets" in why(s, 1)
    assert "the list of markets is asked for in 10.0 s" in why(s, 1)
    s.up()
    s.data([0])
    s.wait(11)
    s.tell(events.SymbolsKnown(frozenset({BTC})))
    assert why(s, 1).startswith("refused 0.0 s ago: not listed by the venue")
    assert why(s, 1).endswith("until it is asked for anew")


def test_a_stream_asked_for_again_later() -> None:
    s = Script()
    s.want("candle.1m", BTC, ETH)
    s.up()
    s.wait(2.5)
    s.say(Listing((Topic("candle.1m", BTC),)))
    assert why(s, 0) == "open for 0.0 s, proven by the venue's own list, on link 0; no data yet"
    assert why(s, 1) == "the venue does not list it; it is asked for again in 2.0 s (failed 1 times so far)"


def test_a_loss_and_a_trial() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("trade", ETH, XRP)
    s.say(Refused("INVALID_PARAM"))
    assert why(s, 0).startswith(
        "its link was lost 0.0 s ago (link lost: the venue said INVALID_PARAM): link 0 is down"
    )
    assert "being opened" in why(s, 1)
    assert "who is to blame is being found out; 1 group on trial before it" in why(s, 2)


def test_two_carriers() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, priority=Priority.CRITICAL)
    s.tell(events.StandBy(ids))
    s.wait(0.5, frames=1)
    shall = ", on link 0, and a standby is to carry it too, on link 1 (the standby): link 1 is "
    assert f"{shall}being opened" in why(s, 0)
    s.up(link=1)
    assert why(s, 0).endswith("on link 0 and, standing by, on link 1 (the standby)")
    s.data(ids, link=1)
    s.down("gone", link=1)
    assert f"{shall}down (gone), the next attempt" in why(s, 0)


def test_suspect_data() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.want("ticker", XRP)
    s.data([2])
    s.wait(3.5, frames=1)
    assert s.engine.row(0).data is DataState.SUSPECT
    assert why(s, 0).endswith("its data is suspect: what is due does not come")


@pytest.mark.parametrize("stream", [-1, 0, 99_999])
def test_an_id_never_seen_has_a_sentence_too(stream: int) -> None:
    assert why(Script(), stream) == "nobody wants it"
