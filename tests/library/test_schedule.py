"""mvg/schedule.py: DDIM's levels for every T, and the released schedulers' last one."""

import pytest
import torch
from mvgen.mvg.schedule import RELEASED, ddim_levels
from tiny_models import build

import comfy.samplers  # isort: skip
from mvgen.nodes.support import sampling  # isort: skip

TABLE = torch.arange(1000, dtype=torch.float32)  # a level is its own time step


def test_fifty_steps_are_stable_diffusions_own():
    assert ddim_levels(TABLE, 50).tolist() == [*range(981, 0, -20), 0]


@pytest.mark.parametrize("steps", [1, 3, 7, 16, 30, 33, 300, 999, 1000])
def test_every_number_of_steps_has_as_many_levels_over_the_whole_schedule(steps):
    levels = ddim_levels(TABLE, steps)
    assert len(levels) == steps + 1 and levels[-1] == 0
    gaps = -levels[:-1].diff()
    assert steps == 1 or (gaps > 0).all()
    assert levels[0] >= 1000 - 1000 / steps - 1
    assert steps == 1 or float(gaps.max() - gaps.min()) <= 1


@pytest.mark.parametrize("steps", [0, 1001])
def test_more_steps_than_levels_are_refused(steps):
    with pytest.raises(ValueError, match=f"steps: got {steps}, want 1 to 1000"):
        ddim_levels(TABLE, steps)


@pytest.mark.parametrize("name", ["SD 1.5", "SD 3"])
@pytest.mark.parametrize("steps", [10, 50])
def test_where_it_divides_the_schedule_is_the_hosts(name, steps):
    model = build(name)
    host = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "ddim_uniform", steps)
    torch.testing.assert_close(sampling.schedule(model, "ddim_uniform", steps, steps), host)


def test_the_released_schedulers_end_at_the_lowest_level():
    model = build("SD 1.5")
    own, released = (sampling.schedule(model, name, 50, 25) for name in ("ddim_uniform", RELEASED))
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    assert float(released[-1]) == pytest.approx(float((betas[0] / (1 - betas[0])) ** 0.5), rel=1e-5)
    assert torch.equal(own[:-1], released[:-1]) and own[-1] == 0
