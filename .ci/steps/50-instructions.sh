. .ci/lib.sh
if need_tool valgrind valgrind; then
    "$BIN/python" scripts/instruction_gate.py
fi
