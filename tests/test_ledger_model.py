"""The ledger against plain dicts, in any order of calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from model import LedgerModel
from subcore._ledger import Ledger
from subcore.errors import CapacityError

MAX_STREAMS, MAX_TOPICS, MAX_COMPONENTS = 12, 20, 5
channels = st.sampled_from([0, 1, 65_535])
symbols = st.integers(0, 5) | st.sampled_from([2**31 - 1])
variants = st.sampled_from([0, 0, 1, 65_535])
cuts = st.sampled_from([0, 1, 5, 15, 65_535])


class LedgerMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**64 - 1))
    def make(self, seed: int) -> None:
        self.ledger = Ledger(MAX_STREAMS, MAX_TOPICS, MAX_COMPONENTS, seed=seed)
        self.model = LedgerModel()

    def pick(self, data: st.DataObject, pool: object) -> int | None:
        known = sorted(pool)  # type: ignore[call-overload]
        return data.draw(st.sampled_from(known)) if known else None

    @rule(channel=channels, many=st.lists(symbols, max_size=6), variant=variants, cut=cuts)
    def topics(self, channel: int, many: list[int], variant: int, cut: int) -> None:
        by_key = {key: stream for stream, key in self.model.streams.items()}
        by_topic = {key: topic for topic, key in self.model.topics.items()}
        keys = {(channel, symbol, variant) for symbol in many}
        new_streams = [key for key in keys if key not in by_key]
        new_topics = [key for key in keys if (by_key.get(key), cut) not in by_topic]
        fits = len(by_key) + len(new_streams) <= MAX_STREAMS and len(by_topic) + len(new_topics) <= MAX_TOPICS
        if not fits:
            with pytest.raises(CapacityError, match=r"ledger is full: .* new (streams|topics)"):
                self.ledger.topics(channel, many, variant, cut)
            return
        topics = self.ledger.topics(channel, np.array(many, np.int32), variant, cut).tolist()
        assert len(topics) == len(many)
        for symbol, topic in zip(many, topics, strict=True):
            stream = self.ledger.get_stream(channel, symbol, variant)
            known = by_key.setdefault((channel, symbol, variant), stream)
            assert known == stream
            self.model.streams[stream] = (channel, symbol, variant)
            assert by_topic.setdefault((stream, cut), topic) == topic
            self.model.topics[topic] = (stream, cut)

    @rule(data=st.data(), cut=cuts)
    def one_topic(self, data: st.DataObject, cut: int) -> None:
        stream = self.pick(data, self.model.streams)
        if stream is None or (
            len(self.model.topics) == MAX_TOPICS and (stream, cut) not in self.model.topics.values()
        ):
            return
        topic = self.ledger.topic(stream, cut)
        assert self.model.topics.setdefault(topic, (stream, cut)) == (stream, cut)

    @rule()
    def open(self) -> None:
        if len(self.model.held) == MAX_COMPONENTS:
            with pytest.raises(CapacityError, match="5 components"):
                self.ledger.open_component()
            return
        component = self.ledger.open_component()
        assert component not in self.model.held
        self.model.held[component] = {}

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        component = self.pick(data, self.model.held)
        if component is not None:
            before = self.ledger.generation(component)
            self.ledger.close_component(component)
            assert self.ledger.generation(component) == before + 1
            self.model.close(component)

    @rule(data=st.data(), cls=st.integers(0, 3), with_payload=st.booleans())
    def add(self, data: st.DataObject, cls: int, with_payload: bool) -> None:
        component = self.pick(data, self.model.held)
        if component is None or not self.model.topics:
            return
        topics = data.draw(st.lists(st.sampled_from(sorted(self.model.topics)), max_size=25))
        payloads = None
        if with_payload:
            number = st.integers(-(2**31), 2**31 - 1)
            payloads = data.draw(st.lists(number, min_size=len(topics), max_size=len(topics)))
        added = self.ledger.add(component, topics, cls, payloads)
        assert added == self.model.add(component, topics, cls, payloads)

    @rule(data=st.data())
    def add_with_a_stale_topic_changes_nothing(self, data: st.DataObject) -> None:
        component = self.pick(data, self.model.held)
        if component is None:
            return
        stale = data.draw(st.integers(-2, MAX_TOPICS + 2).filter(lambda id: id not in self.model.topics))
        topics = [*sorted(self.model.topics), stale]
        before = self.ledger.nbytes
        with pytest.raises(IndexError, match=f"no topic has id {stale}:"):
            self.ledger.add(component, topics, 2)
        with pytest.raises(IndexError, match=f"no topic has id {stale}:"):
            self.ledger.remove(component, topics)
        assert self.ledger.nbytes == before

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        component = self.pick(data, self.model.held)
        if component is None or not self.model.topics:
            return
        topics = data.draw(st.lists(st.sampled_from(sorted(self.model.topics)), max_size=25))
        assert self.ledger.remove(component, topics) == self.model.remove(component, topics)

    @rule(data=st.data(), flag=st.booleans())
    def pause(self, data: st.DataObject, flag: bool) -> None:
        component = self.pick(data, self.model.held)
        if component is not None:
            self.ledger.pause(component, flag)
            (self.model.paused.add if flag else self.model.paused.discard)(component)

    @rule()
    def take(self) -> None:
        edges = self.ledger.take_edges()
        opened, closed, changed = self.model.take_edges()
        assert edges.opened.tolist() == opened
        assert edges.closed.tolist() == closed
        assert edges.changed.tolist() == changed
        assert bool(edges) == bool(opened or closed or changed)
        assert not self.ledger.take_edges()

    @rule(data=st.data())
    def release_stream(self, data: st.DataObject) -> None:
        stream = self.pick(data, self.model.streams)
        if stream is None:
            return
        if self.model.is_held(stream):
            with pytest.raises(ValueError, match="still held"):
                self.ledger.release_stream(stream)
        elif stream in self.model.taken:
            with pytest.raises(ValueError, match="take_edges"):
                self.ledger.release_stream(stream)
        else:
            before = self.ledger.stream_generation(stream)
            self.ledger.release_stream(stream)
            assert self.ledger.stream_generation(stream) == before + 1
            del self.model.streams[stream]
            self.model.topics = {t: key for t, key in self.model.topics.items() if key[0] != stream}

    @rule(data=st.data())
    def release_topic(self, data: st.DataObject) -> None:
        topic = self.pick(data, self.model.topics)
        if topic is None:
            return
        if self.model.topic_is_held(topic):
            with pytest.raises(ValueError, match="still held"):
                self.ledger.release_topic(topic)
        else:
            before = self.ledger.topic_generation(topic)
            self.ledger.release_topic(topic)
            assert self.ledger.topic_generation(topic) == before + 1
            del self.model.topics[topic]

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        ledger, model = self.ledger, self.model
        assert len(ledger) == sum(len(held) for held in model.held.values())
        assert ledger.stream_count == len(model.streams)
        assert ledger.topic_count == len(model.topics)
        assert ledger.component_count == len(model.held)
        for stream, key in model.streams.items():
            assert ledger.stream_key(stream) == key
            assert ledger.get_stream(*key) == stream
            assert ledger.topics_of_stream(stream).tolist() == sorted(
                topic for topic, (of, _) in model.topics.items() if of == stream
            )
            wanted = model.wanted(stream)
            assert ledger.count(stream) == len(wanted)
            assert (ledger.class_of(stream), ledger.width(stream)) == (model.summary(stream) or (-1, 0))
            assert ledger.class_counts(stream) == tuple(sum(cls == c for cls, _ in wanted) for c in range(4))
        for topic, key in model.topics.items():
            assert ledger.topic_key(topic) == key
        assert ledger.wanted_streams().tolist() == sorted(s for s in model.streams if model.wanted(s))
        self.components_agree()

    def components_agree(self) -> None:
        for component, held in self.model.held.items():
            assert self.ledger.interests(component).tolist() == sorted(held)
            assert self.ledger.is_paused(component) == (component in self.model.paused)
            for topic in self.model.topics:
                assert self.ledger.holds(component, topic) == (topic in held)
                if topic in held:
                    kept = self.ledger.class_held(component, topic), self.ledger.payload(component, topic)
                    assert kept == held[topic]


LedgerMachine.TestCase.settings = examples(100, stateful_step_count=40)
TestLedgerAgainstDicts = LedgerMachine.TestCase
