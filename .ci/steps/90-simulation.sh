# What plays the engine for a long virtual time. The soak and the plays before it judge the same promises at random, so
# where the steps before took so long that this may not fit, it is left out, and that is said: `.ci/run simulation` runs it.
. .ci/lib.sh
NEEDS_S=180
if [ "${LEFT_S:-$NEEDS_S}" -lt "$NEEDS_S" ]; then
    say "NOT RUN: $LEFT_S s are left, and it may need $NEEDS_S"
    exit 0
fi
SUBCORE_EXAMPLES=0.12 "$BIN/python" -m pytest -q -rs -n 3 -m simulation
