# The stubs must say what the compiled modules are. The allow-list holds members that Cython generates, and nothing else.
. .ci/lib.sh
say "mypy --strict"
"$BIN/mypy" --strict
say "stubtest"
# Only the extension modules: of the others the source is the stub. Every extension class is a disjoint base; saying
# so on each would tell a reader nothing.
modules=()
for source in src/subcore/*.pyx; do
    modules+=("subcore.$(basename "$source" .pyx)")
done
"$BIN/stubtest" "${modules[@]}" --allowlist .ci/stubtest-allowlist.txt --ignore-unused-allowlist --ignore-disjoint-bases
