# Shared by the steps: `. .ci/lib.sh` from the repository root. Leaves the shell strict and in that root.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BIN=.venv/bin
TAG="$("$BIN/python" -c 'import sys; print(sys.implementation.cache_tag)' 2>/dev/null || true)"

# What make test has run and another interpreter or build says little new of: long plays in virtual time, and files about
# scripts, pages, the command line, disks and the embedded exchange, whose ways through the core other tests go as well.
AGAIN="-m 'not simulation and not browser' --ignore-glob=*/test_sim_* --ignore-glob=*/test_cli* --ignore-glob=*/test_docs.py"
AGAIN="$AGAIN --ignore-glob=*/test_setup_scripts.py --ignore-glob=*/test_ci_run.py --ignore-glob=*/test_comparison.py"
AGAIN="$AGAIN --ignore-glob=*/test_skips.py --ignore-glob=*/test_mutants.py --ignore-glob=*/test_examples.py"
AGAIN="$AGAIN --ignore-glob=*/test_keeping.py --ignore-glob=*/test_resolver.py --ignore-glob=*/test_plain_manager.py"
AGAIN="$AGAIN --ignore-glob=*/test_scenarios*"

# The control plane alone, in plain Python over plain tables: the checks of the debug build say nothing of it, and on other
# versions of Python whole managers play it through.
PURE="--ignore-glob=*/test_engine* --ignore-glob=*/test_planner* --ignore-glob=*/test_health* --ignore-glob=*/test_venue_*"
PURE="$PURE --ignore-glob=*/test_asking.py --ignore-glob=*/test_bisection.py --ignore-glob=*/test_private_engine.py"
PURE="$PURE --ignore-glob=*/test_link_silence.py --ignore-glob=*/test_pacing.py --ignore-glob=*/test_storm.py"
PURE="$PURE --ignore-glob=*/test_two_carriers.py --ignore-glob=*/test_explain.py --ignore-glob=*/test_liveness*"

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
