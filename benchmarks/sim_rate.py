"""How many frames a second the embedded exchange puts on a real socket: `python benchmarks/sim_rate.py`.

The exchange runs in a process of its own, as `subcore sim` does; a client that only counts reads it from this one. The
traffic is asked for at more than the machine can make, so that the figure is the exchange's own; a first stretch, in
which the kept frames are computed, is left out. Where others use the machine too, the figure for a second of the
sender's core is the one that means something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time

import picows
import psutil

TARGET = 100_000
RATES = {"ticker": 1500.0, "trade": 1500.0, "orderbook": 170.0}


class Count(picows.WSListener):
    """Counts frames and bytes, and reads nothing."""

    def __init__(self) -> None:
        self.frames = self.bytes = 0
        self.error = b""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.frames += 1
        self.bytes += frame.payload_size
        if frame.payload_size < 200 and not self.error:
            payload = frame.get_payload_as_bytes()
            if b"error" in payload[:12]:
                self.error = payload


def codes_of(rest_url: str) -> list[str]:
    import urllib.request

    with urllib.request.urlopen(f"{rest_url}/v1/market/all", timeout=10) as reply:
        return [market["market"] for market in json.load(reply)]


async def count(
    sim: psutil.Process, url: str, request: str, warm_up: float, seconds: float
) -> dict[str, float]:
    """Frames and bytes a second, and CPU shares of both processes, over `seconds` after `warm_up`."""
    transport, listener = await picows.ws_connect(Count, url)
    transport.send(picows.WSMsgType.TEXT, request.encode())
    await asyncio.sleep(warm_up)
    frames, size, wall, cpu = listener.frames, listener.bytes, time.perf_counter(), time.process_time()
    sender = sum(sim.cpu_times()[:2])
    await asyncio.sleep(seconds)
    took = time.perf_counter() - wall
    share = (time.process_time() - cpu) / took
    sender = sum(sim.cpu_times()[:2]) - sender
    transport.disconnect()
    await transport.wait_disconnected()
    if listener.error or listener.frames == frames:
        sys.exit(f"sim_rate: no traffic ({listener.error.decode() or 'silence'})")
    return {
        "frames_per_s": (listener.frames - frames) / took,
        "mb_per_s": (listener.bytes - size) / took / 1e6,
        "frames_per_core_s": (listener.frames - frames) / max(sender, 0.01),
        "client_cpu": share,
    }


def measure(channel: str, rate: float, suffix: str, fmt: str, args: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "subcore.cli", "sim", "--json", "--rate", f"{rate:g}", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sim:
        try:
            assert sim.stdout is not None
            url = json.loads(sim.stdout.readline())["url"]
            codes = codes_of("http" + url.removeprefix("ws").partition("/websocket")[0])
            wanted = {"type": channel, "codes": [code + suffix for code in codes]}
            request = json.dumps([{"ticket": "rate"}, wanted, {"format": fmt}])
            return asyncio.run(count(psutil.Process(sim.pid), url, request, args.warm_up, args.seconds)) | {
                "markets": len(codes)
            }
        finally:
            sim.terminate()


ROWS = [
    ("ticker", "", "DEFAULT"),
    ("ticker", "", "SIMPLE"),
    ("trade", "", "DEFAULT"),
    ("orderbook", ".5", "SIMPLE"),
    ("orderbook", "", "DEFAULT"),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=6.0)
    parser.add_argument("--row", default="", help="only rows whose name contains this, e.g. 'ticker DEFAULT'")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    args = parser.parse_args()
    for channel, suffix, fmt in ROWS:
        name = f"{channel}{suffix} {fmt}"
        if args.row not in name:
            continue
        row = measure(channel, RATES[channel], suffix, fmt, args)
        if args.json:
            print(json.dumps({"row": name, **row}), flush=True)
            continue
        print(
            f"{name:<18} {row['markets']:.0f} markets {row['frames_per_s']:>9,.0f} frames/s {row['mb_per_s']:4.0f} MB/s"
            f", {row['frames_per_core_s']:>9,.0f} a core second of the sender"
            f" ({row['frames_per_core_s'] / TARGET:.2f} of {TARGET:,}); client {row['client_cpu']:.0%} of a core",
            flush=True,
        )


if __name__ == "__main__":
    main()
