# The engine and the real ledger against both pure exchanges, judged by a model of their own. Longer: make soak
. .ci/lib.sh
"$BIN/python" scripts/soak --ci
