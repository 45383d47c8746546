# Storms of changes against the venues' limits, in virtual time. The long ones: scripts/change_storm.py --full
. .ci/lib.sh
"$BIN/python" scripts/change_storm.py --ci
