"""Pictures of the scores on other corpora (ours)."""

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..configuration.plain_text import reason_of
from ..corpora.atomic_write import staged
from ..evaluation.corpus_text import find_others
from ..evaluation.prediction_records import Predictions
from ..evaluation.results import RunResults
from ..evaluation.task import task_of_results


def draw_others(folder: str | Path, results: RunResults, predictions: Mapping[str, Predictions]) -> list[str]:
    """Draw the pictures of the task for each other corpus, such as `confusion_matrix_meld.png`; return the names.

    A picture that cannot be drawn is a warning.

    Args:
        folder: The folder of the run.
        results: The results of the run.
        predictions: Predictions per split, those on the other corpora by their names.
    """
    task, drawn = task_of_results(results), []
    for corpus in find_others(results):
        if corpus not in predictions:
            continue
        alone = replace(results, metrics={"test": results.metrics[corpus]})
        try:
            with tempfile.TemporaryDirectory() as inner, staged(folder) as staging:
                task.draw_test_split(inner, f"{results.system}, test split of {corpus}", alone, predictions[corpus])
                for name in task.pictures:
                    if Path(inner, name).is_file():
                        target = f"{Path(name).stem}_{corpus.replace(':', '-')}.png"
                        shutil.move(Path(inner, name), staging / target)
                        drawn.append(target)
        except Exception as error:  # of any kind: the run is finished, and its pictures are an extra
            warnings.warn(
                f"A picture in {folder} could not be drawn ({reason_of(error)}); the scores are saved.", stacklevel=3
            )
    return drawn
