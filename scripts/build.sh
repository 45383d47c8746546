#!/usr/bin/env bash
# Compile what changed: build.sh PYTHON LOG SETUP_ARGS...     e.g. build.sh .venv/bin/python build/release.log build_ext --inplace
# One line says how far it is (on a terminal it is rewritten in place); what the tools say goes to LOG, and is shown where
# the build fails.
set -uo pipefail
cd "$(dirname "$0")/.."

python="$1" log="$2"
shift 2
mkdir -p "$(dirname "$log")"
modules=(src/subcore/*.pyx python/subcore/engine/*.py)
begun=0 done=0 start=$SECONDS

progress() {
    [ -t 1 ] || return 0
    printf '\r==> compiling (the first time takes a few minutes): %s\033[K' "$1"
}

[ -t 1 ] || printf '==> compiling core and engine\n'
progress "looking for changes"
"$python" setup.py --quiet "$@" 2>&1 </dev/null | tee "$log" | while IFS= read -r line; do
    case "$line" in
        "    translating the engine") progress "translating the engine" ;;
        *"] Cythonizing "*) begun=$((begun + 1)); progress "translated $begun of at most ${#modules[@]} modules" ;;
        "    compiled "*) done=$((done + 1)); progress "compiled $done of at most ${#modules[@]} modules" ;;
    esac
done
status=${PIPESTATUS[0]}
if [ "$status" -ne 0 ]; then
    progress "failed"
    printf '\n'
    cat "$log" >&2
    echo "subcore did not build (exit status $status): the compiler's words are above and in $log" >&2
    exit "$status"
fi
compiled="$(grep -c '^    compiled ' "$log")"
if [ -t 1 ]; then
    progress "$compiled compiled, $((SECONDS - start)) s"
    printf '\n'
elif [ "$compiled" -gt 0 ]; then
    printf '==> compiled %d module%s in %d s\n' "$compiled" "$([ "$compiled" -eq 1 ] || echo s)" "$((SECONDS - start))"
fi
