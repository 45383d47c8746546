# The dashboard's page in a headless Chromium, which is installed where it is missing; a skip is a failure in CI.
. .ci/lib.sh
if need_tool chromium chromium && need_tool chromedriver chromium-driver; then
    "$BIN/python" -m pytest -q -m browser tests/test_dashboard_page.py
fi
