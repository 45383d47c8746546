. .ci/lib.sh
say "ruff check"
"$BIN/ruff" check .
say "ruff format"
"$BIN/ruff" format --check --diff .
say "cython-lint"
PATH="$PWD/$BIN:$PATH" "$BIN/cython-lint" src python  # runs pycodestyle from the path
