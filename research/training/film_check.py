"""Makes the template of `mvg.film_check` from real films.

``python -m mvgen.research.training.film_check --data CSV`` takes the train split of a table of frontal chest films, as
`training.data` reads it, and writes mvg/film_check.npz. To 0.5 % of the train films templates of other patients answer
less than its limit.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np

from ...mvg.film_check import DOMAIN, FILE, SIZE, thumbnail
from ...mvg.picture_file import read_picture
from ...training.data import TRAIN, read

FOLDS = 5
RIDGE = 3.0
"""Added to the covariance's diagonal, of its mean; chosen on the folds of the train patients."""
FALSE = 0.005


def films(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """(thumbnails [n, SIZE, SIZE], folds [n] by patient) of a table's train films."""
    records = [record for record in read(data, domain=DOMAIN).records if record.split == TRAIN]
    thumbs = [thumbnail(read_picture(record.image).image[..., 0].numpy()) for record in records]
    return np.stack(thumbs), np.array([zlib.crc32(record.patient.encode()) % FOLDS for record in records])


def upright(thumbs: np.ndarray) -> np.ndarray:
    """[SIZE, SIZE] of unit length: Fisher's discriminant of films against turned, mirrored and inverted ones."""
    mean = 0.5 * (thumbs + thumbs[:, :, ::-1]).mean(axis=0)
    covariance = np.zeros((SIZE * SIZE, SIZE * SIZE))
    for turn in range(4):
        for mirror in (False, True):
            rows = np.rot90(thumbs[:, :, ::-1] if mirror else thumbs, turn, (1, 2)).reshape(len(thumbs), -1)
            covariance += rows.T @ rows / len(rows) / 8
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    template = np.linalg.solve(covariance, mean.ravel())
    return (template / np.linalg.norm(template)).reshape(SIZE, SIZE)


def least(thumbs: np.ndarray, folds: np.ndarray) -> float:
    """What templates of other patients answer to all but FALSE of the films."""
    answers = [(thumbs[folds == fold] * upright(thumbs[folds != fold])).sum(axis=(1, 2)) for fold in range(FOLDS)]
    return float(np.quantile(np.concatenate(answers), FALSE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="CSV")
    thumbs, folds = films(parser.parse_args().data)
    limit = least(thumbs, folds)
    np.savez_compressed(FILE, upright=upright(thumbs).astype(np.float32), least=np.float32(limit))
    print(f"{FILE.name}: {len(thumbs)} films, least {limit:.3f}")


if __name__ == "__main__":
    main()
