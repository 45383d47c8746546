# Losses of every kind over real sockets: everything proven again, no limit broken. The long one: scripts/restore_losses.py --full
. .ci/lib.sh
"$BIN/python" scripts/restore_losses.py --ci
