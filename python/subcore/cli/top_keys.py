"""What a terminal sends, as keys: `up`, `page_down`, `enter`, or the character itself. Pure."""

from __future__ import annotations

__all__ = ["keys_of"]

SEQUENCES = {
    b"[A": "up",
    b"[B": "down",
    b"[C": "right",
    b"[D": "left",
    b"[H": "home",
    b"[F": "end",
    b"[1~": "home",
    b"[4~": "end",
    b"[7~": "home",
    b"[8~": "end",
    b"[5~": "page_up",
    b"[6~": "page_down",
    b"[Z": "back_tab",
    b"OA": "up",
    b"OB": "down",
    b"OC": "right",
    b"OD": "left",
    b"OH": "home",
    b"OF": "end",
}
CONTROLS = {
    0x09: "tab",
    0x0A: "enter",
    0x0D: "enter",
    0x7F: "backspace",
    0x08: "backspace",
    0x15: "clear",
}
ESCAPE = 0x1B
LONGEST = 16  # of a sequence; what is longer is no key of ours


def keys_of(data: bytes, *, is_all: bool) -> tuple[list[str], bytes]:
    """The keys, and what may be the begin of another one. With `is_all` nothing follows: a lone escape is the key.

    Sequences nobody knows are passed over, as are bytes that are no UTF-8.
    """
    keys: list[str] = []
    at = 0
    while at < len(data):
        byte = data[at]
        if byte == ESCAPE:
            length = _sequence(data[at + 1 : at + 1 + LONGEST])
            if length is None and not is_all:
                return keys, data[at:]
            sequence = data[at + 1 : at + 1 + (length or 0)]
            key = SEQUENCES.get(sequence, "") if sequence else "escape"
            at += 1 + len(sequence)
        elif byte < 0x20 or byte == 0x7F:
            key, at = CONTROLS.get(byte, ""), at + 1
        else:
            size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            if at + size > len(data) and not is_all:
                return keys, data[at:]
            key = data[at : at + size].decode("utf-8", "ignore")
            at += size if key else 1
        if key:
            keys.append(key)
    return keys, b""


def _sequence(rest: bytes) -> int | None:
    """Bytes behind an escape that belong to it; 0 = it stands alone, None = more may follow."""
    if not rest:
        return None
    if rest[:1] not in b"[O":
        return 0
    for index, byte in enumerate(rest[1:], start=2):
        if 0x40 <= byte <= 0x7E:
            return index
    return None if len(rest) < LONGEST else LONGEST
