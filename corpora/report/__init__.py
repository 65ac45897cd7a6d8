"""The report on a prepared corpus: counts, charts and an HTML page."""
