"""One text for many streams, against a dict."""

from __future__ import annotations

import random

import numpy as np

from subcore.engine.reasons import SPARE, Reasons


def test_reasons_are_those_of_a_dict_and_texts_that_nobody_has_are_let_go() -> None:
    rng, reasons, plain = random.Random(5), Reasons(), {}
    for step in range(2000):
        streams = rng.sample(range(200), rng.randrange(1, 20))
        text = "" if rng.random() < 0.4 else f"because of {step}"
        reasons.put(np.array(streams, np.int32), text)
        plain.update(dict.fromkeys(streams, text))
        held = {stream: text for stream, text in plain.items() if text}
        assert len(reasons) == len(held)
        assert len(reasons._texts) <= 2 * (len(held) + 1) + 2 * SPARE
        if step % 50 == 0:
            assert {s: reasons.of(s) for s in range(250) if reasons.of(s)} == held
    reasons.put(np.arange(200, dtype=np.int32), "")
    assert not reasons
    assert reasons._texts == [""]
    assert reasons.of(-1) == reasons.of(10**6) == ""
