"""Every test run has a cache of its own, so that nobody's is read or written."""

import os
import tempfile

CACHE = tempfile.TemporaryDirectory(prefix="emofusion-tests-")
os.environ["HF_DATASETS_CACHE"] = CACHE.name  # before anything imports `datasets`, which reads it once
