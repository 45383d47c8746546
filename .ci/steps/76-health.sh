# Hours of heavy-tailed markets against the judgement of health, in virtual time. The week: scripts/simulate_week.py --full
. .ci/lib.sh
"$BIN/python" scripts/simulate_week.py --ci
