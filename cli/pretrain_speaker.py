"""`emofusion pretrain-speaker`: pretrain a speaker network, from which emotion models start."""

from .commands import read_recipe
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Train, and print accuracy and verification errors."""
    from ..training.recipe import SPEAKER
    from ..training.speaker.pretrain import pretrain_speaker

    recipe = read_recipe(argv, SPEAKER)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    what = f"a speaker network on {recipe.speaker.corpus_root}"
    since = announce(f"Pretraining {what}", folder, is_first)
    results = pretrain_speaker(recipe)
    if not is_first:
        return
    print()
    for split, scores in results.metrics.items():
        cells = [f"accuracy {100 * scores.accuracy:.1f} %"] if scores.accuracy is not None else []
        if scores.eer is not None:
            cells += [f"EER {100 * scores.eer:.1f} %", f"minDCF {scores.min_dcf:.3f}"]
        print(f"{split}: {', '.join(cells)}")
    print(f"\nAccuracy over {results.data.speakers} speakers. Equal error rate (EER) and minimum detection cost")
    print(f"(minDCF, prior {results.p_target}) of the trials.")
    command = f"emofusion train RECIPE.yaml --variant speaker_resnet --model_name_or_path {folder}"
    conclude(
        f"Pretrained {what}", since, f"{folder} holds the network, its card (README.md) and results.json.", [command]
    )
