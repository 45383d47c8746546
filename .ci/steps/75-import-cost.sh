# `import subcore` loads numpy and the core only: its time against that of numpy and asyncio, in one run.
. .ci/lib.sh
"$BIN/python" scripts/import_cost.py
