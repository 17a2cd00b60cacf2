"""Look-up tables of DICOM (PS3.3 C.7.9, C.11.1, C.11.2): their entries, and which of them is white."""

from typing import Any, NamedTuple

import numpy as np
import pydicom


class Table(NamedTuple):
    """entries: the values, as float64 [N]. first: the pixel value of the first of them. white: what is shown as 1.

    declared: whether ``white`` is the largest value of the declared depth; else it is the largest entry.
    """

    entries: np.ndarray
    first: int
    white: float
    declared: bool

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The entries of values of any shape; what lies outside takes the first or last one."""
        first = self.first
        if first > 32767 and values.max() < first:  # written without its sign
            first -= 1 << 16
        return self.entries[np.clip(np.rint(values).astype(np.int64) - first, 0, len(self.entries) - 1)]


def read_table(descriptor: Any, data: Any, depths: range | tuple[int, ...], little_endian: bool) -> Table:
    """A table from its descriptor and data, both as pydicom gives them.

    Args:
        descriptor: number of entries (0: 65536), first pixel value, bits of an entry.
        data: the entries as bytes, of one or two each, or as numbers.
        depths: the bits an entry may have.
        little_endian: the order of words in bytes.

    Returns:
        The table. Where its entries need more bits than it declares, or leave the top bit unused, the largest is white.

    Raises:
        ValueError: descriptor and data are none, or do not fit together.
    """
    count, first, depth = (int(part) for part in descriptor)
    count = count % (1 << 16) or 1 << 16  # written without its sign, it may read as negative
    if depth not in depths:
        raise ValueError(f"a depth of {depth} bits")
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        kind = ("<u2" if little_endian else ">u2") if wide else "u1"
        entries = np.frombuffer(data[: len(data) // 2 * 2] if wide else data, kind)
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
    if len(entries) < count:
        raise ValueError(f"{len(entries)} of {count} entries")
    entries = entries[:count].astype(np.float64)
    largest, full = float(entries.max()), 2.0**depth - 1
    declared = (full + 1) / 2 <= largest <= full or largest == 0
    return Table(entries, first, full if declared else largest, declared)


def table_of(item: pydicom.Dataset, depths: range | tuple[int, ...], little_endian: bool) -> Table | None:
    """The table of an item of a LUT sequence.

    Args:
        item: of the sequence.
        depths: bits of an entry that may be.
        little_endian: the byte order of its entries.

    Returns:
        The table; None where it is not usable.
    """
    try:
        return read_table(item.LUTDescriptor, item.LUTData, depths, little_endian)
    except Exception:  # the data set is made up by somebody, and pydicom parses it here
        return None
