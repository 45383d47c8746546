# The README's command, from nothing in a fresh clone.
. .ci/lib.sh
make test PYTEST_ARGS="-rs -n 3 --durations=30"
