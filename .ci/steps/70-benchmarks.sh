# The asv benchmarks load; those of the frame's way and of the planner run once each. Their figures are not judged here.
. .ci/lib.sh
[ -x "$BIN/asv" ] || scripts/setup_venv.sh .venv dev,bench
export HOME="$PWD/build/asv-home" # asv keeps the machine's description in the home folder
mkdir -p "$HOME"
"$BIN/asv" machine --yes >/dev/null
say "asv check"
"$BIN/asv" check --python=same
say "asv run --quick"
"$BIN/asv" run --python=same --quick --show-stderr --bench 'bench_(feed|intern|ledger|scan|fanout|liveness|planning)' | tee build/ci/asv.txt
if grep -qiE "failed" build/ci/asv.txt; then
    echo "a benchmark failed" >&2
    exit 1
fi
say "a thousand components under load"
"$BIN/python" benchmarks/load.py --ci
