. .ci/lib.sh
say "ruff check"
"$BIN/ruff" check .
say "ruff format"
"$BIN/ruff" format --check --diff .
say "cython-lint"
"$BIN/cython-lint" src python
