"""From stored values to [0, 1] as a DICOM file wants them shown: look-up tables, rescale, window, palette."""

from typing import Any

import numpy as np
import pydicom
from pydicom import uid
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from .header import Format, Refused, integer


def show_colour(pixels: np.ndarray, header: pydicom.Dataset, form: Format) -> np.ndarray:
    """[H, W, 3] in [0, 1] of stored RGB values, or of places [H, W] in a palette (PS3.3 C.7.9)."""
    if form.photometric != "PALETTE COLOR":
        return pixels / (2.0**form.bits_stored - 1)
    if "SegmentedRedPaletteColorLookupTableData" in header:
        raise Refused("has a segmented palette, want a plain one")
    if header.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian:
        raise Refused("has a palette in big-endian order, want little-endian")
    entries, first, depth = header.RedPaletteColorLookupTableDescriptor
    entries = entries or 2**16
    if depth not in (8, 16):
        raise Refused(f"has a palette of {depth} bits, want 8 or 16")
    if entries > 256 and len(header.RedPaletteColorLookupTableData) < 2 * entries:
        raise Refused(f"has a palette of {entries} colours with one byte each, want at most 256")
    # pydicom counts places in the palette in the palette's own type, in which a pixel beyond its end would wrap around
    inside = np.clip(pixels.astype(np.int32), first, first + entries - 1)
    return apply_color_lut(inside, header)[..., :3] / (2.0**depth - 1)


def show_gray(pixels: np.ndarray, header: pydicom.Dataset, form: Format, notes: list[str]) -> np.ndarray:
    """[H, W] in [0, 1] of stored values (PS3.3 C.11.1, C.11.2); what was done is added to ``notes``."""
    stored = pixels.astype(np.int32)
    modality = header.get("ModalityLUTSequence")
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    values = apply_modality_lut(stored, header)
    if modality:
        notes.append("modality LUT applied")
    elif slope is not None and intercept is not None:
        if slope == 0:
            raise Refused("has rescale slope 0, want another")
        if (slope, intercept) == (1, 0):
            values = stored
        else:
            notes.append(f"rescaled by {slope:g} x + {intercept:g}")
    if header.get("VOILUTSequence"):
        low, high = 0.0, 2.0 ** header.VOILUTSequence[0].LUTDescriptor[2] - 1
        shown = _apply_voi_lut(values, header)
        notes.append(f"VOI LUT applied{_first_of(len(header.VOILUTSequence))}")
    elif header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        shown = apply_voi_lut(values, header)
        low, high = _full_range(header, form)
        kind = str(header.get("VOILUTFunction") or "LINEAR").upper()
        centre, count = _first(header.WindowCenter)
        width, _ = _first(header.WindowWidth)
        of = _first_of(count)
        notes.append(f"window{of}: centre {centre:g}, width {width:g}, {kind.lower().replace('_', ' ')}")
    elif form.bits_stored <= 8:
        shown = values
        low, high = _full_range(header, form)
        notes.append("no window: full range kept")
    else:
        shown = values
        counted = values[~_padding(stored, header)]
        low, high = (float(counted.min()), float(counted.max())) if counted.size else (0.0, 0.0)
        if low == high:
            low, high = _full_range(header, form)
        else:
            shown = np.clip(values, low, high)
        notes.append(f"no window: {low:g} to {high:g} made 0 to 1")
    # a negative slope turns pydicom's output range around; measured from its lower end, the image comes out upright
    shown = (shown - low) / (high - low)
    if form.photometric == "MONOCHROME1":
        shown = 1 - shown
        notes.append("MONOCHROME1 inverted")
    return shown


def _apply_voi_lut(values: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """pydicom's, kept from wrapping around: it counts places in the table in the type of the table's entries."""
    item = header.VOILUTSequence[0]
    entries, first, depth = item.LUTDescriptor
    entries = entries or 2**16
    if depth not in (8, *range(10, 17)):
        raise Refused(f"has a VOI LUT of {depth} bits, want 8 or 10 to 16")
    whole = np.rint(values)
    if not np.array_equal(whole, values):
        raise Refused("has a VOI LUT after a rescale to fractions, want whole numbers")
    inside = np.clip(whole, first, first + entries - 1).astype(np.int64)
    if depth == 8:
        item.LUTDescriptor = [item.LUTDescriptor[0], first, 16]
    return apply_voi_lut(inside, header)


def _first(value: Any) -> tuple[float, int]:
    many = isinstance(value, pydicom.multival.MultiValue)
    return float(value[0] if many else value), len(value) if many else 1


def _first_of(count: int) -> str:
    return f" (the first of {count})" if count > 1 else ""


def _full_range(header: pydicom.Dataset, form: Format) -> tuple[float, float]:
    """Of values after the modality LUT: what pydicom's windows map to, PS3.3 C.11.1.1."""
    if header.get("ModalityLUTSequence"):
        low, high = 0.0, 2.0 ** header.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    elif form.signed:
        low, high = -(2.0 ** (form.bits_stored - 1)), 2.0 ** (form.bits_stored - 1) - 1
    else:
        low, high = 0.0, 2.0**form.bits_stored - 1
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if slope is not None and intercept is not None:
        low, high = low * float(slope) + float(intercept), high * float(slope) + float(intercept)
    return low, high


def _padding(stored: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Where the detector saw nothing: PixelPaddingValue, or from there to PixelPaddingRangeLimit."""
    if header.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, bool)
    value = integer(header, "PixelPaddingValue")
    limit = integer(header, "PixelPaddingRangeLimit", value)
    return (stored >= min(value, limit)) & (stored <= max(value, limit))
