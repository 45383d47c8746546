# The dashboard's page in a headless Chromium, which is installed where it is missing; a skip is a failure in CI. Beside it
# what five viewers cost, in CPU seconds, which others do not change much.
. .ci/lib.sh
"$BIN/python" scripts/dashboard_cost.py --rounds 3 --seconds 4 &
cost=$!
trap 'kill "$cost" 2>/dev/null || true' EXIT
if need_tool chromium chromium && need_tool chromedriver chromium-driver; then
    "$BIN/python" -m pytest -q -m browser tests/test_dashboard_page.py
fi
wait "$cost"
