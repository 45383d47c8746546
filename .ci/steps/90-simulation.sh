# What plays the engine for a long virtual time, apart from the suite: it is the same for every interpreter and build.
. .ci/lib.sh
SUBCORE_EXAMPLES=0.12 "$BIN/python" -m pytest -q -rs -n 3 -m simulation
