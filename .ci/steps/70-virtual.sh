# What plays in virtual time on one core each, one after the other: storms of changes against the venues' limits, hours of
# heavy-tailed markets against the judgement of health, and hostile components. The long ones: the same scripts with --full
. .ci/lib.sh
say "storms of changes"
"$BIN/python" scripts/change_storm.py --ci
say "health"
"$BIN/python" scripts/simulate_week.py --ci
say "a healthy week"
"$BIN/python" scripts/healthy_week.py --ci
say "hostile components"
"$BIN/python" scripts/hostile_virtual.py --ci
