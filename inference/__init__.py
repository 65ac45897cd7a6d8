"""What a finished model is used for: batch scoring, timelines, serving, export, explanations."""

from ..configuration.lazy_names import import_on_use

_HOMES = {
    "AttentionMap": "explanation_records",
    "Envelope": "envelope",
    "Explanation": "explanation_records",
    "Found": "recordings",
    "Gate": "explanation_records",
    "Member": "explanation_records",
    "Part": "explanation_records",
    "Recording": "recording",
    "ScoringOptions": "scoring_options",
    "Stretch": "timeline",
    "Summary": "table_run",
    "Target": "explanation_records",
    "Timeline": "timeline",
    "Turn": "rttm",
    "Word": "explanation_records",
    "draw_explanation": "explanation_picture",
    "draw_timeline": "timeline_picture",
    "explain": "explanation",
    "find_recordings": "recordings",
    "measure_envelope": "envelope",
    "open_graph": "export",
    "read_manifest": "manifests",
    "read_rttm": "rttm",
    "recognise_speakers": "speakers",
    "score_to_table": "table_run",
    "smooth": "timeline",
    "write_rttm": "rttm",
}

__all__ = sorted(_HOMES)

__getattr__ = import_on_use(__name__, _HOMES)
