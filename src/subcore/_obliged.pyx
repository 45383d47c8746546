# cython: language_level=3
"""One tick over all components: how long each has owed what it owes, and whom that makes somebody to look at.

The columns are numpy's and their meaning is `engine/owing`'s; here is the loop alone. With mixed masks a dozen numpy
calls on 10,000 rows cost several times as much.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t

cdef enum:
    WELL = 0
    SLOW = 1
    QUARANTINED = 2


cdef struct Limits:
    int64_t now
    int64_t elapsed
    int64_t slow
    int64_t quarantine
    int64_t grace
    int64_t calm
    int64_t beats_reap
    int64_t early


def age(rows, const int64_t[::1] due not None, const int64_t[::1] done not None, const int64_t[::1] lost not None,
        limits, bint judges) -> list:
    """Note what moved since the last tick and, if it `judges`, set the levels of reading and of heartbeats.

    `rows` is an Owing. `due`, `done`, `lost`: by component, of any length; who is beyond it owes nothing. `limits`:
    (now, elapsed, slow, quarantine, grace, calm, beats_reap, early) in nanoseconds; `early`: so much
    sooner than `beats_reap` says, for ticks are apart. The rows whose level is another than
    what was shown, or QUARANTINED: nothing unless it judges. ValueError where a column is of another kind.
    """
    cdef Limits given
    cdef Py_ssize_t used = rows.used
    cdef Py_ssize_t known = min(due.shape[0], done.shape[0], lost.shape[0])
    cdef Py_ssize_t i
    cdef int64_t given_out, served, taken
    cdef int8_t level, total
    cdef bint owes, excused, stands, waits, late
    cdef uint8_t[::1] alive = rows.alive.view("u1"), paused = rows.paused.view("u1")
    cdef uint8_t[::1] beaten = rows.beaten.view("u1"), owed = rows.owes.view("u1")
    cdef int32_t[::1] excuses = rows.excuses
    cdef int64_t[::1] was_taken = rows.taken, stuck = rows.stuck, mark = rows.mark, mark_age = rows.mark_age
    cdef int64_t[::1] late_ago = rows.late_ago, beat_age = rows.beat_age
    cdef const int64_t[::1] interval = rows.interval, beat_limit = rows.beat_limit
    cdef const int8_t[::1] shown = rows.shown
    cdef int8_t[:, ::1] levels = rows.levels
    cdef int64_t[:, ::1] reap_at = rows.reap_at
    cdef list found = []
    given.now, given.elapsed, given.slow, given.quarantine, given.grace, given.calm, given.beats_reap, \
        given.early = limits
    if used > alive.shape[0]:
        raise ValueError("there are fewer rows than are in use")
    for i in range(used):
        if not alive[i]:
            continue
        given_out = due[i] if i < known else 0
        served = done[i] if i < known else 0
        taken = served - lost[i] if i < known else 0
        excused = excuses[i] > 0
        owes = (given_out > served) & (not excused) & (not paused[i])
        beat_age[i] = (beat_age[i] + given.elapsed) * (not (beaten[i] | excused))
        beaten[i] = False
        total = levels[0, i] | levels[1, i] | levels[2, i] | shown[i]
        if not (owes | owed[i] | total) and beat_age[i] < beat_limit[i]:
            mark[i] = given_out
            was_taken[i] = taken
            continue
        # Products and not branches: who reads in time is a coin's toss, and a branch guessed wrong costs more.
        stands = owes & owed[i] & (taken == was_taken[i])
        waits = owes & (served < mark[i])
        stuck[i] = (stuck[i] + given.elapsed) * stands
        mark[i] = mark[i] + (given_out - mark[i]) * (not waits)
        mark_age[i] = (mark_age[i] + given.elapsed) * waits
        late = judges & ((waits & (mark_age[i] >= given.slow)) | (stands & (stuck[i] >= given.slow)))
        late_ago[i] = (late_ago[i] + given.elapsed) * (not late)
        owed[i] = owes
        was_taken[i] = taken
        if not judges:
            continue
        level = SLOW if late or (levels[0, i] == SLOW and late_ago[i] < given.calm) else WELL
        if owes and stuck[i] >= given.quarantine:
            level = QUARANTINED
            if levels[0, i] != QUARANTINED:
                reap_at[0, i] = given.now + given.grace
        levels[0, i] = total = level
        level = QUARANTINED if beat_age[i] >= beat_limit[i] else WELL
        if level > levels[1, i]:
            reap_at[1, i] = given.now - beat_age[i] + max(given.beats_reap, beat_limit[i] + interval[i]) \
                - given.early
        levels[1, i] = level
        total = max(total, level, levels[2, i])
        if total != shown[i] or total == QUARANTINED:
            found.append(i)
    return found
