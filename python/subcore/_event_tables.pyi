"""Tables of the members of event structs; used from Cython only."""

TYPE_NAMES: dict[int, str]
