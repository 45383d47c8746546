# The core's memory accesses under two independent judges. Each tests/sanitize/NAME.py takes --count N, feeds the core
# exact-size buffers and compares with a model; the judges add that nothing out of bounds was touched on the way.
# Sizes: COUNT under ASAN (about 2x slower than plain), a tenth of it under valgrind (about 50x).
. .ci/lib.sh
COUNT="${SUBCORE_SANITIZE_COUNT:-2000}"
scripts=(tests/sanitize/*.py)
[ -f "${scripts[0]}" ] || { echo "no script in tests/sanitize: nothing would be tested" >&2; exit 1; }

# shellcheck disable=SC2086 # CC may hold options
runtime="$(${CC:-gcc} -print-file-name=libasan.so)"
if [ -f "$runtime" ]; then
    lib="$(SUBCORE_OPTIMIZE=0 build_mode address)"
    say "ASAN"
    env LD_PRELOAD="$runtime" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH="$lib" \
        "$BIN/python" .ci/one_process.py "${scripts[@]}" --count "$COUNT"
elif [ "${CI:-}" = "true" ]; then
    echo "gcc has no libasan ($runtime): apt install gcc" >&2
    exit 1
else
    say "SKIPPED: gcc has no libasan; with CI=true this fails"
fi

if need_tool valgrind valgrind; then
    say "valgrind"
    "$BIN/python" .ci/valgrind_judge.py .ci/one_process.py "${scripts[@]}" --count "$((COUNT / 10))"
fi
