# Hot standby over real sockets: links cut under load, no event lost or twice. The long one: scripts/standby_losses.py --full
. .ci/lib.sh
"$BIN/python" scripts/standby_losses.py --ci
