# What plays in virtual time on one core each, one after the other: storms of changes against the venues' limits, and hours of
# heavy-tailed markets against the judgement of health. The long ones: scripts/change_storm.py --full, scripts/simulate_week.py --full
. .ci/lib.sh
say "storms of changes"
"$BIN/python" scripts/change_storm.py --ci
say "health"
"$BIN/python" scripts/simulate_week.py --ci
