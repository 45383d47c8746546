"""What takes the payloads of links."""

from typing_extensions import disjoint_base

@disjoint_base
class Receiver:
    def on_message(self, link: int, payload: bytes, receive_time_ns: int, now_ns: int) -> object: ...
