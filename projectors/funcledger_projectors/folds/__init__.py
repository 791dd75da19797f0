"""Every fold, one module each."""

from funcledger_projectors.fold import Fold
from funcledger_projectors.folds import (
    access,
    batch_results,
    endpoint_health,
    function_catalogue,
    grants,
    task_history,
    task_results,
    task_status,
)

FOLDS: tuple[Fold, ...] = (
    task_status.FOLD,
    task_results.FOLD,
    task_history.FOLD,
    batch_results.FOLD,
    endpoint_health.FOLD,
    function_catalogue.FOLD,
    access.FOLD,
    grants.FOLD,
)
