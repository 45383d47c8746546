"""What the tests count as memory: what they took, and not what the runner's thread heard meanwhile."""

from __future__ import annotations

import threading
import tracemalloc

from traced import traced_bytes

HEARD = compile("heard.append(b'x' * 100_000)", "/somewhere/execnet/gateway_base.py", "exec")


def test_what_the_runner_hears_is_not_counted_and_what_is_taken_here_is() -> None:
    heard: list[bytes] = []
    hearing = threading.Thread(target=exec, args=(HEARD, {"heard": heard}))
    tracemalloc.start()
    try:
        before = traced_bytes()
        hearing.start()
        hearing.join()
        assert tracemalloc.get_traced_memory()[0] > before + 90_000
        assert abs(traced_bytes() - before) < 3_000
        taken = bytes(100_000)
        assert abs(traced_bytes() - before - len(taken)) < 3_000
    finally:
        tracemalloc.stop()
    assert len(heard[0]) == 100_000
