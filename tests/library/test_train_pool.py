"""The phantoms that the embedded networks are trained on, as one numbered set."""

import numpy as np
from mvgen.models.embedded.architecture import DOMAINS
from mvgen.research.training import dataset


def test_a_pool_holds_every_domain_with_its_own_count(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "RUNS", tmp_path)
    monkeypatch.setattr(dataset, "CHUNK", 2)
    monkeypatch.setattr(dataset, "PHANTOMS", {"chest_xray": 4, "fundus": 2, "skin": 3})
    pool = dataset.Pool()
    assert pool.images.shape == (9, 3, 128, 128) and pool.images.dtype == np.uint8
    assert [pool.domain(i) for i in range(len(pool))] == ["chest_xray"] * 4 + ["fundus"] * 2 + ["skin"] * 3
    gray = (pool.images == pool.images[:, :1]).all(axis=(1, 2, 3))
    assert gray.tolist() == [True] * 4 + [False] * 5
    captions = pool.captions(range(9), np.random.default_rng(0))
    kinds = ["chest", "fundus", "skin"]
    for i, caption in enumerate(captions):
        own = kinds[DOMAINS.index(pool.domain(i))]
        assert own in caption or not any(kind in caption for kind in kinds), caption
    alone = dataset.Pool(domains=("skin",))
    assert (alone.images == pool.images[6:]).all()
    assert dataset.Pool(2, domains=("chest_xray",)).images.shape == (2, 1, 128, 128)
