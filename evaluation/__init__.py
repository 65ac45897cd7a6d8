"""Evaluation of predictions: scores, statistics, calibration, comparison, pictures and typed results."""

from ..configuration.lazy_names import import_on_use

_HOMES = {
    "Comparison": "comparison_records",
    "Predictions": "prediction_records",
    "RunResults": "results",
    "SpeakerResults": "results",
    "Task": "task",
    "collect_predictions": "predictions",
    "compare_systems": "comparison",
    "load_task": "task",
    "parse_results": "results",
    "read_predictions": "predictions",
    "write_predictions": "predictions",
}

__all__ = sorted(_HOMES)

__getattr__ = import_on_use(__name__, _HOMES)
