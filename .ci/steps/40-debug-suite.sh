# The suite with bounds, None, initialisation and overflow checks and C asserts on. An exception that a noexcept function
# could only print reaches pytest as an unraisable exception, and pytest's warnings are errors.
. .ci/lib.sh
export SUBCORE_OPTIMIZE=0
lib="$(build_mode debug)"
export PYTHONPATH="$lib"
loaded="$("$BIN/python" -c 'import subcore; print(subcore.__file__)')"
[ "$loaded" = "$lib/subcore/__init__.py" ] || { echo "the debug build is in $lib, but Python loads $loaded" >&2; exit 1; }
# shellcheck disable=SC2046 # one word each
SUBCORE_EXAMPLES=0.12 "$BIN/python" -m pytest -q -rs -n 3 -m "$NOT_AGAIN" $(core_tests)
