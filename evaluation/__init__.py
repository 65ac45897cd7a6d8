"""Evaluation of predictions: scores, statistics, calibration, comparison, pictures and typed results."""

from ..configuration.lazy_names import import_on_use

_HOMES = {
    "AdapterMetadata": "metadata",
    "Comparison": "comparison_records",
    "CorpusMetadata": "metadata",
    "CrossCorpusResults": "cross_corpus_records",
    "CrossValidationResults": "results",
    "DimensionIntervals": "score_records",
    "DimensionScores": "score_records",
    "Environment": "metadata",
    "FoldResults": "results",
    "Intervals": "score_records",
    "LateFusionResults": "results",
    "MemberComparison": "results",
    "Paper": "metadata",
    "ParameterCounts": "metadata",
    "Predictions": "prediction_records",
    "Record": "records",
    "Results": "results",
    "RunResults": "results",
    "ScoreDifference": "results",
    "Scores": "score_records",
    "SpeakerData": "results",
    "SpeakerResults": "results",
    "SpeakerScores": "results",
    "SplitCounts": "metadata",
    "Spread": "results",
    "SubsetScores": "score_records",
    "TemperatureScaling": "calibration",
    "compare_systems": "comparison",
    "parse_results": "results",
}

__all__ = sorted(_HOMES)

__getattr__ = import_on_use(__name__, _HOMES)
