"""Decoders for pydicom of the JPEG kinds that Pillow does not read, by imagecodecs (libjpeg-turbo and CharLS).

GDCM, which pydicom would take too, ends the whole process at some damaged files.
"""

from importlib.util import find_spec

from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

PLUGIN = "imagecodecs"
END_OF_IMAGE = b"\xff\xd9"
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
DECODER_DEPENDENCIES = {
    syntax: (PLUGIN,) for syntax in (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, *JPEG_LS)
}
"""Read by pydicom, as is ``is_available``."""


def is_available(syntax: str) -> bool:
    """Whether these decoders read an encoding; pydicom asks it.

    Args:
        syntax: the UID of the transfer syntax.

    Returns:
        True where imagecodecs is installed and the syntax is one of theirs.
    """
    return syntax in DECODER_DEPENDENCIES and find_spec(PLUGIN) is not None


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame, its colors interleaved and left as they are stored.

    Args:
        source: The frame's codestream.
        runner: pydicom's, which is told how many bits a decoded sample takes.

    Returns:
        The samples, 8 or 16 bits each.

    Raises:
        RuntimeError: The codestream is damaged.
    """
    import imagecodecs

    if runner.transfer_syntax in JPEG_LS:
        pixels = imagecodecs.jpegls_decode(source + END_OF_IMAGE)  # CharLS never returns from some that lack it
    else:
        space = "GRAYSCALE" if runner.samples_per_pixel == 1 else "RGB"
        pixels = imagecodecs.jpeg8_decode(source, colorspace=space, outcolorspace=space)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    runner.set_option("planar_configuration", 0)
    return pixels.tobytes()


def register() -> None:
    """Offer the decoders to pydicom; once, however often it is called."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if not any(known.startswith(PLUGIN) for known in (*decoder.available_plugins, *decoder.missing_dependencies)):
            decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))
