# What plans take, foretold and then carried out over sockets. All 20, the processor judged as well: the script with --full
. .ci/lib.sh
say "forecasts"
"$BIN/python" scripts/check_forecast.py --ci
