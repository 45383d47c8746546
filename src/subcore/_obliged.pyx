# cython: language_level=3
"""One tick over all components: how long each has owed what it owes, and whom that makes somebody to look at.

The columns are numpy's and their meaning is `engine/owing`'s; here is the loop alone. With mixed masks a dozen numpy
calls on 10,000 rows cost several times as much.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t

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
    bint judges


cdef struct Columns:                # by component
    const int64_t* due
    const int64_t* done
    const int64_t* lost
    const int64_t* excuses
    const int64_t* interval
    const int64_t* beat_limit
    int64_t* taken
    int64_t* stuck
    int64_t* mark
    int64_t* mark_age
    int64_t* late_ago
    int64_t* beat_age
    int64_t* unread_reap
    int64_t* beats_reap
    const uint8_t* alive
    const uint8_t* paused
    uint8_t* beaten
    uint8_t* owes
    const int8_t* shown
    int8_t* unread
    int8_t* beats
    const int8_t* raises


cdef inline int64_t* longs(int64_t[::1] column) noexcept:
    return &column[0]


cdef inline uint8_t* flags(object column):
    cdef uint8_t[::1] view = column.view("u1")
    return &view[0]


cdef inline int8_t* levels(int8_t[::1] column) noexcept:
    return &column[0]


def age(rows, const int64_t[::1] due not None, const int64_t[::1] done not None, const int64_t[::1] lost not None,
        limits, bint judges) -> list:
    """Note what moved since the last tick and, if it `judges`, set the levels of reading and of heartbeats.

    `rows` is an Owing. `due`, `done`, `lost`: by component, of any length; who is beyond it owes nothing. `limits`:
    (now, elapsed, slow, quarantine, grace, calm, beats_reap, early) in nanoseconds; `early`: so much
    sooner than `beats_reap` says, for ticks are apart. The rows whose level is another than
    what was shown, or QUARANTINED: nothing unless it judges. ValueError where a column is of another kind.
    """
    cdef Limits given
    cdef Columns at
    cdef Py_ssize_t used = rows.used
    cdef Py_ssize_t known = min(used, due.shape[0], done.shape[0], lost.shape[0])
    cdef Py_ssize_t i
    cdef list found = []
    given.now, given.elapsed, given.slow, given.quarantine, given.grace, given.calm, given.beats_reap, \
        given.early = limits
    given.judges = judges
    if used > len(rows.alive):
        raise ValueError("there are fewer rows than are in use")
    at.due = at.done = at.lost = NULL
    if known:
        at.due, at.done, at.lost = &due[0], &done[0], &lost[0]
    held = None                     # what the pointers are into, kept for the call
    while held is not rows.blocks:  # the making of views may run a destructor that adds a row, which moves them all
        held = rows.blocks
        take_columns(&at, rows)
    for i in range(used):
        if at.alive[i] and judged(&at, i, i < known, &given):
            found.append(i)
    return found


cdef int take_columns(Columns* at, object rows) except -1:
    at.excuses, at.interval, at.beat_limit = longs(rows.excuses), longs(rows.interval), longs(rows.beat_limit)
    at.taken, at.stuck, at.mark = longs(rows.taken), longs(rows.stuck), longs(rows.mark)
    at.mark_age = longs(rows.mark_age)
    at.late_ago, at.beat_age = longs(rows.late_ago), longs(rows.beat_age)
    at.unread_reap, at.beats_reap = longs(rows.reap_at[0]), longs(rows.reap_at[1])
    at.alive, at.paused, at.beaten, at.owes = \
        flags(rows.alive), flags(rows.paused), flags(rows.beaten), flags(rows.owes)
    at.shown, at.unread, at.beats, at.raises = \
        levels(rows.shown), levels(rows.levels[0]), levels(rows.levels[1]), levels(rows.levels[2])
    return 0


cdef inline bint judged(Columns* at, Py_ssize_t i, bint known, const Limits* given) noexcept:
    """One component; whether it is to be looked at."""
    cdef int64_t due = at.due[i] if known else 0
    cdef int64_t done = at.done[i] if known else 0
    cdef int64_t taken
    cdef int8_t level, total
    cdef bint excused = at.excuses[i] > 0
    cdef bint owes = (due > done) & (not excused) & (not at.paused[i])
    cdef bint stands, waits, late
    at.beat_age[i] = (at.beat_age[i] + given.elapsed) * (not (at.beaten[i] | excused))
    at.beaten[i] = False
    total = at.unread[i] | at.beats[i] | at.raises[i] | at.shown[i]
    if not (owes | at.owes[i] | total) and at.beat_age[i] < at.beat_limit[i]:
        return False                # nothing is held against it; what it owes next is noted when it does
    taken = done - at.lost[i] if known else 0
    # Products and not branches: who reads in time is a coin's toss, and a branch guessed wrong costs more.
    stands = owes & at.owes[i] & (taken == at.taken[i])
    waits = owes & at.owes[i] & (done < at.mark[i])
    at.stuck[i] = (at.stuck[i] + given.elapsed) * stands
    at.mark[i] = at.mark[i] + (due - at.mark[i]) * (not waits)
    at.mark_age[i] = (at.mark_age[i] + given.elapsed) * waits
    late = given.judges & ((waits & (at.mark_age[i] >= given.slow)) | (stands & (at.stuck[i] >= given.slow)))
    at.late_ago[i] = (at.late_ago[i] + given.elapsed) * (not late)
    at.owes[i] = owes
    at.taken[i] = taken
    if not given.judges:
        return False
    level = SLOW if late or (at.unread[i] == SLOW and at.late_ago[i] < given.calm) else WELL
    if owes and at.stuck[i] >= given.quarantine:
        level = QUARANTINED
        if at.unread[i] != QUARANTINED:
            at.unread_reap[i] = given.now + given.grace
    at.unread[i] = total = level
    level = QUARANTINED if at.beat_age[i] >= at.beat_limit[i] else WELL
    if level > at.beats[i]:
        at.beats_reap[i] = given.now - at.beat_age[i] - given.early \
            + max(given.beats_reap, at.beat_limit[i] + at.interval[i])
    at.beats[i] = level
    total = max(total, level, at.raises[i])
    return total != at.shown[i] or total == QUARANTINED
