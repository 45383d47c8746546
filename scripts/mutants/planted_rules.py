"""Bugs in calls that fail, in what may come from the network, and in the engine's smaller rules and columns."""

from __future__ import annotations

from mutant import Mutant

RULES = (
    # A failed call changes nothing.
    Mutant(
        "a transaction granted though its block raised",
        "transaction.py",
        "            yield\n        finally:\n            blocks.pop()",
        "            yield\n        except Exception:\n            self._grant(wishes)\n            raise\n"
        "        finally:\n            blocks.pop()",
        "tests/test_transactions.py",
    ),
    Mutant(
        "a conflict found once the wish is granted",
        "granting.py",
        "granted = self.intent.grant(wishes, self._check)",
        "granted = self.intent.grant(wishes)\n                self._check(granted)",
        "tests/test_conflicts.py",
    ),
    Mutant(
        "a failed call keeps the ids it made",
        "intent.py",
        "            for _, adds, _, _ in resolved:\n                self.forget(adds)\n            raise",
        "            raise",
        "tests/test_promises.py",
    ),
    # A silent link is found, and an error refuses none but the guilty.
    Mutant(
        "whatever is asked of a link makes it unknown again",
        "engine/planner.py",
        "            link.has_other_set()\n        else:\n            link.has_more()\n",
        "            link.has_other_set()\n        else:\n            link.has_other_set()\n"
        "        link.former = link.habit\n",
        "tests/test_link_silence.py",
    ),
    Mutant(
        "a newcomer refused for one that was served",
        "engine/bisection.py",
        "served = self._may_have_turned(link, request, suspects)",
        "served = False",
        "tests/test_turned.py",
    ),
    Mutant(
        "a doubted one asked for beside those that did not pass",
        "engine/bisection.py",
        "if group.doubted is None or not self._carries_others(link):",
        "if True:",
        "tests/test_turned.py",
    ),
    Mutant(
        "a link left for one that only lists",
        "engine/links.py",
        "            shown |= ~due & ((evidence & PROVEN) != 0)\n",
        "            shown |= (evidence & PROVEN) != 0\n",
        "tests/test_data_dead.py",
    ),
    Mutant(
        "a connection that never spoke is judged by nobody",
        "engine/links.py",
        "if link.life.frames else least  # what was never spoken has no habit",
        'if link.life.frames else float("inf")',
        "tests/test_data_dead.py",
    ),
    Mutant(
        "all that failed to be doubled tried again together",
        "engine/standby.py",
        "            tried = tried[1:]\n",
        "            tried = tried[:0]\n",
        "tests/test_data_dead.py",
    ),
    Mutant(
        "a move that is refused each time goes on",
        "engine/placement.py",
        "if link.refused_moves < MOVES_TO_JUDGE or",
        "if True or",
        "tests/test_turned.py",
    ),
    # Bytes from the network never crash, hang or grow the process.
    Mutant(
        "a number beyond all floats believed",
        "venues/upbit.py",
        " or not 0 <= level < sys.float_info.max:",
        ":",
        "tests/test_controls.py",
    ),
    Mutant(
        "a frame of any length taken apart for what it says",
        "controls.py",
        "        if len(frame) > MAX_CONTROL_BYTES:\n            return [Unknown(frame)]\n",
        "",
        "tests/test_controls.py",
    ),
    Mutant(
        "every bad frame kept",
        "_feed.pyx",
        "        self.sample = deque(maxlen=BAD_FRAMES_KEPT)",
        "        self.sample = deque()",
        "tests/test_feed.py",
    ),
    # Files of the engine that decide by themselves what others carry out.
    Mutant(
        "the silence of a stall is the streams'",
        "engine/habits.py",
        "np.minimum(until - self.received[ids], self._ctx.clock.runnable - self.spoke[ids])\n        return shorter",
        "until - self.received[ids]\n        return shorter",
        "tests/test_health.py",
    ),
    Mutant(
        "who gets a component's id owes what that owed",
        "engine/owing.py",
        "        self._longs[:, component] = _EMPTY_LONGS\n",
        "        pass\n",
        "tests/test_liveness.py",
    ),
    Mutant(
        "a stream that was well again is bad since before",
        "engine/doubts.py",
        "        self._since[~bad] = -1\n",
        "",
        "tests/test_doubts.py",
    ),
    Mutant(
        "a load that swings about its threshold is none",
        "engine/adaptive.py",
        "            if value >= (bound * self.settings.falls if held else bound):",
        "            if value >= bound:",
        "tests/test_adaptive.py",
    ),
    Mutant(
        "readers that are woken together pay for the turn each",
        "engine/forecast.py",
        "        + reads * (1.0 - asleep) * costs.turn,",
        "        + sum(r.alike * times for r, times in woken) * costs.turn,",
        "tests/test_forecast.py",
    ),
    Mutant(
        "a reason that takes the place of another counted twice",
        "engine/reasons.py",
        "        if self._count:\n            self._count -=",
        "        if not self._count:\n            self._count -=",
        "tests/test_reasons.py",
    ),
    Mutant(
        "who gets the id of a suspect is on trial for it",
        "engine/link.py",
        "            group.streams = group.streams[~np.isin(group.streams, streams)]",
        "            pass",
        "tests/test_bisection.py",
    ),
    Mutant(
        "a symbol parted where no link is saved",
        "engine/shares.py",
        "each) > _new_links(",
        "each) >= _new_links(",
        "tests/test_shares.py",
    ),
    Mutant(
        "links lost together come back in any order",
        "engine/placement.py",
        "        same.sort(key=lambda other: (self._planner.queueing.place(other, now), other.role))\n",
        "",
        "tests/test_engine_loss.py",
    ),
    # The snapshot on disk.
    Mutant(
        "a name for bytes that may not be on the disk",
        "keeping.py",
        "            os.fsync(file.fileno())\n",
        "",
        "tests/test_keeping.py",
    ),
)
