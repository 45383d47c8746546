# The README's command, from nothing in a fresh clone, with an eighth of the generated examples. Plays of the engine for a
# long virtual time come last, see 90-simulation.sh.
. .ci/lib.sh
SUBCORE_EXAMPLES=0.12 make test PYTEST_ARGS="-rs -n 3 --durations=30 -m 'not browser and not simulation'"
