# Hostile components beside healthy ones over real sockets, alone on the machine since delays are judged: the healthy get
# everything in order and in time, each hostile one is named. The long one: scripts/hostile_components.py --full
. .ci/lib.sh
"$BIN/python" scripts/hostile_components.py --ci
