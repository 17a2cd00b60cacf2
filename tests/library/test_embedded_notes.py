"""What is said of images that the embedded networks were not made for."""

import pytest
import torch
from mvgen.mvg.embedded_set import IMAGE_SIZE, image_notes


@pytest.mark.parametrize("size", [IMAGE_SIZE, 128])
def test_nothing_is_said_of_a_size_that_was_trained_on(size):
    assert image_notes(torch.rand(1, size, size, 1).expand(-1, -1, -1, 3), "chest_xray") == []


@pytest.mark.parametrize(("height", "width"), [(512, 512), (IMAGE_SIZE, 128), (64, 64)])
def test_another_size_is_named(height, width):
    (note,) = image_notes(torch.rand(1, height, width, 1).expand(-1, -1, -1, 3), "chest_xray")
    assert note == (
        f"the image is {width} x {height} pixels, and the embedded chest_xray model was made for 256 x 256 "
        "(size of Load Medical Image)"
    )
