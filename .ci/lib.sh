# Shared by the steps: `. .ci/lib.sh` from the repository root. Leaves the shell strict and in that root.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BIN=.venv/bin
TAG="$("$BIN/python" -c 'import sys; print(sys.implementation.cache_tag)' 2>/dev/null || true)"

# For other interpreters and builds: the test files that name a module of the core, and those of whole managers and of the
# engine, which is compiled on other interpreters and Python in other builds. make test has run all of them and the pure ones, of which another compiler or interpreter says nothing new.
core_tests() {
    { grep -lE 'subcore\._[a-z]|from subcore import _' tests/test_*.py
      printf 'tests/test_%s.py\n' manager component closing pumping figures package stats_threads dashboard_server
      printf 'tests/test_%s.py\n' engine engine_binance engine_handover engine_loss planner planner_delta pacing second_leg
    } | grep -v setup_scripts | sort -u
}
NOT_AGAIN="not simulation and not browser"
# Of these, what goes deep into one part: for another build, not for another interpreter.
DEEPER='_(model|mended|reentrancy|failures|numbers|recorded|machines|sockets|kept|memory|waking|changes|churn)\.py'

say() { printf -- '--- %s\n' "$*"; }

# need_tool COMMAND PACKAGE: install by apt where missing. Returns 1 if it still is missing; with CI=true that ends the step.
need_tool() {
    command -v "$1" >/dev/null && return 0
    local as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"  # asks no password: without the right to it, it fails
    if command -v apt-get >/dev/null; then
        say "installing $2"
        { $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$2"; } >/dev/null 2>&1 || true
    fi
    command -v "$1" >/dev/null && return 0
    if [ "${CI:-}" = "true" ]; then
        echo "$1 is missing and could not be installed: apt install $2" >&2
        exit 1
    fi
    say "SKIPPED: $1 is missing (apt install $2); with CI=true this fails"
    return 1
}

# build_mode MODE: compile into build/MODE-TAG/lib and print that folder last (MODE: debug, or a value of -fsanitize=).
build_mode() {
    if [ "$1" = debug ]; then
        SUBCORE_DEBUG=1 "$BIN/python" setup.py --quiet build >&2 || return 1
    else
        SUBCORE_SANITIZE="$1" "$BIN/python" setup.py --quiet build >&2 || return 1
    fi
    printf '%s\n' "$PWD/build/$1-$TAG/lib"
}
