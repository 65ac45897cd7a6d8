"""What a finished model is used for: batch scoring, timelines, serving, export, explanations."""

from ..configuration.lazy_names import import_on_use

_HOMES = {
    "Envelope": "envelope",
    "Explanation": "explanation_records",
    "Recording": "recording",
    "ScoringOptions": "scoring",
    "Stretch": "timeline",
    "Timeline": "timeline",
    "Turn": "rttm",
    "draw_explanation": "explanation_picture",
    "draw_timeline": "timeline_picture",
    "explain": "explanation",
    "export_model": "export",
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
