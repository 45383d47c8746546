# The stubs must say what the compiled modules are. The allow-list holds members that Cython generates, and nothing else.
. .ci/lib.sh
say "mypy --strict"
"$BIN/mypy" --strict
say "stubtest"
"$BIN/stubtest" subcore --allowlist .ci/stubtest-allowlist.txt --ignore-unused-allowlist
