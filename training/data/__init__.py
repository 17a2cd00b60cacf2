"""Data sets as they lie on disk, over one table: readers, captions, targets and a streaming torch data set."""

from .captions import caption
from .dataset import MAX_UNREADABLE, Pictures, Samples
from .labels import MISSING_POLICIES, UNCERTAIN_POLICIES, balance, check_labels, targets
from .read import read
from .record import SPLITS, TEST, TRAIN, UNLABELLED, VAL, Record, Table, make_table

__all__ = [
    "MAX_UNREADABLE",
    "MISSING_POLICIES",
    "SPLITS",
    "TEST",
    "TRAIN",
    "UNCERTAIN_POLICIES",
    "UNLABELLED",
    "VAL",
    "Pictures",
    "Record",
    "Samples",
    "Table",
    "balance",
    "caption",
    "check_labels",
    "make_table",
    "read",
    "targets",
]
