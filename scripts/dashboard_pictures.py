"""Make the pictures of docs/dashboard.md: the page in a headless Chromium, while the demo recovers from a cut link.

    python scripts/dashboard_pictures.py [--folder docs/pictures] [--phone] [--during]

It needs `chromium` and `chromedriver` (apt install chromium chromium-driver). `--phone` and `--during` add pictures to
look at: on a phone, and in the middle of the outage.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from webdriver import Browser, browser  # noqa: E402

WIDTH, HEIGHT = 1280, 1000
PHONE = (390, 844)
OUTAGE_WITHIN_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--during", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)  # before a minute of demo, not after it
    command = [sys.executable, "-m", "subcore.cli", "demo", "--web", "--seconds", "90"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, browser() as page:
        try:
            assert demo.stdout is not None
            page.resize(WIDTH, HEIGHT)
            page.open(demo.stdout.readline().strip())
            take(page, options)
        finally:
            demo.terminate()


def take(page: Browser, options: argparse.Namespace) -> None:
    folder: Path = options.folder
    if options.during:
        wait_for(page, "A link was lost")
        time.sleep(2.5)
        (folder / "dashboard-during.png").write_bytes(page.screenshot())
    wait_for(page, "streams flow")
    wait_for_outage(page)
    time.sleep(8.0)  # some points after it
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        page.resize(WIDTH, HEIGHT)
        page.run("document.querySelector('#topics').scrollIntoView()")
        page.until(lambda: page.texts("#topics-table .rows .row"), "topics")
        page.run("document.querySelector('#topics-table .rows .row:nth-child(3)').click()")
        page.until(lambda: page.text("#topic-details .explain"), "why")
        page.run("window.scrollTo(0, 0)")
        time.sleep(1.5)
        name = "dashboard.png" if scheme == "light" else "dashboard-dark.png"
        (folder / name).write_bytes(page.screenshot())
        if options.phone:
            (folder / f"whole-{scheme}.png").write_bytes(page.picture())
            page.resize(*PHONE, phone=True)
            time.sleep(1.5)
            (folder / f"phone-{scheme}.png").write_bytes(page.picture())
        page.run("document.querySelector('#topics-table .rows .row[aria-selected=true]')?.click()")


def wait_for(page: Browser, words: str) -> None:
    end = time.monotonic() + OUTAGE_WITHIN_S
    while words not in page.text("#verdict .head"):
        assert time.monotonic() < end, f"never on the page: {words}"
        time.sleep(0.1)


def wait_for_outage(page: Browser) -> None:
    end = time.monotonic() + OUTAGE_WITHIN_S
    while "Last outage" not in page.text("#verdict .more"):
        assert time.monotonic() < end, "no outage came"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
