"""The measurements of ``run.py bench real``: real pictures that no network of the product has seen."""
