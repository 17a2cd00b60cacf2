"""From stored values to [0, 1] as a DICOM file wants them shown: look-up tables, rescale, window, palette."""

import numpy as np
import pydicom

from .elements import decimals, text
from .header import Format, Refused
from .lookup import Table, read_table, table_of

MODALITY_DEPTHS = (8, 16)
VOI_DEPTHS = (8, *range(10, 17))
COLORS = ("Red", "Green", "Blue")


def read_palette(header: pydicom.Dataset) -> list[Table]:
    """The three tables of a palette (PS3.3 C.7.6.3.1.5).

    Args:
        header: the data set.

    Returns:
        Red, green, blue; one value is white in all of them.

    Raises:
        Refused: there is none that can be used.
    """
    if "SegmentedRedPaletteColorLookupTableData" in header:
        raise Refused("has a segmented palette, want a plain one")
    little_endian = header.file_meta.TransferSyntaxUID.is_little_endian
    tables = []
    for color in COLORS:
        name = f"{color}PaletteColorLookupTable"
        try:
            tables.append(read_table(header[f"{name}Descriptor"].value, header[f"{name}Data"].value, range(1, 17),
                                     little_endian))  # fmt: skip
        except Exception:  # the data set is made up by somebody, and pydicom parses it here
            raise Refused(f"has no usable palette ({color.lower()}), want three whole tables") from None
    full = max(table.white for table in tables if table.declared) if any(t.declared for t in tables) else None
    white = max(table.white for table in tables) if full is None else full
    return [table._replace(white=white, declared=full is not None) for table in tables]


def show_color(pixels: np.ndarray, header: pydicom.Dataset, form: Format, notes: list[str]) -> np.ndarray:
    """Colour at its full range.

    Args:
        pixels: stored RGB values [H, W, 3], or places [H, W] in a palette.
        header: the data set.
        form: how the pixels are stored.
        notes: what was done is added to them.

    Returns:
        [H, W, 3] in [0, 1].

    Raises:
        Refused: the palette is not usable.
    """
    if form.photometric != "PALETTE COLOR":
        return pixels / (2.0**form.bits_stored - 1)
    tables = read_palette(header)
    notes.append("palette applied" + ("" if tables[0].declared else ": it holds another range than it declares, so its "
                                      "largest entry is 1"))  # fmt: skip
    return np.stack([table(pixels.astype(np.int64)) / table.white for table in tables], axis=-1)


def show_gray(pixels: np.ndarray, header: pydicom.Dataset, form: Format, notes: list[str]) -> np.ndarray:
    """Gray after PS3.3 C.11.1 and C.11.2: modality LUT or rescale, VOI LUT or window, MONOCHROME1 inverted.

    A table, rescale or window that is not usable is left out, and ``notes`` say so.

    Args:
        pixels: stored values [H, W].
        header: the data set.
        form: how the pixels are stored.
        notes: what was done is added to them.

    Returns:
        [H, W] in [0, 1].
    """
    stored = pixels.astype(np.int64)
    values, low, high = _modality(stored, header, form, notes)
    shown = _voi_lut(values, header, notes)
    if shown is None:
        shown = _window(values, header, notes)
    if shown is None and form.bits_stored > 8:
        counted = values[~_padding(stored, header, form, notes)]
        if counted.size and counted.min() < counted.max():
            low, high = float(counted.min()), float(counted.max())
        notes.append(f"no window: {low:g} to {high:g} made 0 to 1")
    elif shown is None:
        notes.append("no window: full range kept")
    if shown is None:
        shown = np.clip((values - low) / (high - low), 0, 1)
    if form.photometric == "MONOCHROME1":
        shown = 1 - shown
        notes.append("MONOCHROME1 inverted")
    return shown


def _modality(
    stored: np.ndarray, header: pydicom.Dataset, form: Format, notes: list[str]
) -> tuple[np.ndarray, float, float]:
    """-> (values after the modality LUT or rescale, and the range of them that the file declares)"""
    low = -(2.0 ** (form.bits_stored - 1)) if form.signed else 0.0
    high = low + 2.0**form.bits_stored - 1
    if item := _first_item(header, "ModalityLUTSequence"):
        table = table_of(item, MODALITY_DEPTHS, header.file_meta.TransferSyntaxUID.is_little_endian)
        if table is None or table.white <= 0:
            notes.append("unusable modality LUT left out")
            return stored, low, high
        notes.append("modality LUT applied" + _of_largest(table))
        return table(stored), 0.0, table.white
    slope, intercept = decimals(header, "RescaleSlope"), decimals(header, "RescaleIntercept")
    if ("RescaleSlope" not in header and "RescaleIntercept" not in header) or (slope, intercept) == ([1.0], [0.0]):
        return stored, low, high
    if not (slope and intercept and len(slope) == len(intercept) == 1 and slope[0]):
        notes.append("unusable rescale left out")
        return stored, low, high
    values = stored * slope[0] + intercept[0]
    ends = sorted((low * slope[0] + intercept[0], high * slope[0] + intercept[0]))
    # past what 64 bits tell apart, the picture would be gone
    if not np.isfinite([*ends, values.min(), values.max()]).all() or ends[0] + abs(slope[0]) == ends[0]:
        notes.append("unusable rescale left out")
        return stored, low, high
    notes.append(f"rescaled by {slope[0]:g} x + {intercept[0]:g}")
    return values, ends[0], ends[1]


def _voi_lut(values: np.ndarray, header: pydicom.Dataset, notes: list[str]) -> np.ndarray | None:
    """In [0, 1] after the first VOI LUT; None where there is none to use."""
    item = _first_item(header, "VOILUTSequence")
    if item is None:
        return None
    table = table_of(item, VOI_DEPTHS, header.file_meta.TransferSyntaxUID.is_little_endian)
    whole = np.array_equal(np.rint(values), values)
    if table is None or table.white <= 0 or not whole:
        why = "" if whole else " (the rescaled values are no whole numbers)"
        notes.append(f"unusable VOI LUT left out{why}")
        return None
    count = len(header.VOILUTSequence)
    notes.append("VOI LUT applied" + (f" (the first of {count})" if count > 1 else "") + _of_largest(table))
    return np.minimum(table(values) / table.white, 1)


def _window(values: np.ndarray, header: pydicom.Dataset, notes: list[str]) -> np.ndarray | None:
    """In [0, 1] after the first usable window (PS3.3 C.11.2.1.2 and C.11.2.1.3); None where there is none."""
    if "WindowCenter" not in header and "WindowWidth" not in header:
        return None
    kind = text(header, "VOILUTFunction").upper() or "LINEAR"
    least = {"LINEAR": 1.0, "LINEAR_EXACT": 0.0, "SIGMOID": 0.0}.get(kind)
    pairs = list(zip(_parts(header, "WindowCenter"), _parts(header, "WindowWidth"), strict=False))
    for number, (center, width) in enumerate(pairs):
        if least is None or center is None or width is None or width < least or width == 0:
            continue
        x = values.astype(np.float64)
        if kind == "SIGMOID":
            shown = 1 / (1 + np.exp(np.clip(-4 * (x - center) / width, -700, 700)))
        elif kind == "LINEAR_EXACT":
            shown = np.clip((x - center) / width + 0.5, 0, 1)
        elif width == 1:
            shown = (x > center - 0.5).astype(np.float64)
        else:
            shown = np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
        if not np.isfinite(shown).all():
            continue
        which = "the first" if number == 0 else f"number {number + 1}"
        of = f" ({which} of {len(pairs)})" if len(pairs) > 1 else ""
        notes.append(f"window{of}: centre {center:g}, width {width:g}, {kind.lower().replace('_', ' ')}")
        return shown
    notes.append("unusable window left out")
    return None


def _parts(header: pydicom.Dataset, keyword: str) -> list[float | None]:
    """The values of an element one by one; None for each that is no number."""
    if (whole := decimals(header, keyword)) is not None:
        return list(whole)
    try:
        values = header.get(keyword)
    except Exception:  # as in decimals
        return []
    found: list[float | None] = []
    for part in values if isinstance(values, pydicom.multival.MultiValue | list | tuple) else [values]:
        try:
            number = float(part)
        except (TypeError, ValueError):
            number = np.nan
        found.append(number if np.isfinite(number) else None)
    return found


def _first_item(header: pydicom.Dataset, keyword: str) -> pydicom.Dataset | None:
    try:
        sequence = header.get(keyword)
        return sequence[0] if sequence else None
    except Exception:  # a damaged item
        return None


def _of_largest(table: Table) -> str:
    return "" if table.declared else ": it holds another range than it declares, so its largest entry is 1"


def _padding(stored: np.ndarray, header: pydicom.Dataset, form: Format, notes: list[str]) -> np.ndarray:
    """Where the detector saw nothing: PixelPaddingValue, or from there to PixelPaddingRangeLimit.

    Both are taken into the stored bits as the pixels are, since files write them with and without a sign.
    """
    nowhere = np.zeros(stored.shape, bool)
    value, limit = decimals(header, "PixelPaddingValue"), decimals(header, "PixelPaddingRangeLimit")
    if value == []:
        return nowhere
    if value is None or len(value) != 1 or limit is None or len(limit) > 1:
        notes.append("unusable pixel padding left out")
        return nowhere
    ends = sorted(_within(int(end), form) for end in (value[0], *limit))
    padding = (stored >= ends[0]) & (stored <= ends[-1])
    if padding.all():
        return nowhere
    return padding


def _within(value: int, form: Format) -> int:
    span = 1 << form.bits_stored
    value %= span
    return value - span if form.signed and value >= span // 2 else value
