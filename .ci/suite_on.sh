# The suite on one minor version, in an environment of its own: `. .ci/suite_on.sh 3.X`. A Python that is not on this
# machine is said and is no failure: nobody can be asked to have every version.
# shellcheck shell=bash
. .ci/lib.sh
version="$1"
if [ "$("$BIN/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$version" ]; then
    say "Python $version: already run by make test, which chose it"
elif ! python="$(scripts/find_python.sh "$version" 2>&1)"; then
    say "NOT RUN on Python $version: $python"
else
    SUBCORE_OPTIMIZE=0 SUBCORE_EXAMPLES=0.1 make test VENV=".venv-$version" VERSION="$version" PYTEST_ARGS="-rs -n 3 -m '$NOT_AGAIN' $(core_tests | grep -vE "$DEEPER" | tr '\n' ' ')"
fi
