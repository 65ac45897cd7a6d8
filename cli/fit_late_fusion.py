"""`emofusion fit-late-fusion`: train models that are not trained yet, and combine their scores."""

from .commands import read_recipe
from .output import announce, conclude, print_apart


def run(argv: list[str]) -> None:
    """Train members, fit the combination on the validation split, and print the scores of members and combinations."""
    from ..evaluation.sample_size import explain_uncertainty
    from ..training.console import describe_folder, predict_command, push_command, show_run
    from ..training.late_fusion.fit import fit_late_fusion
    from ..training.late_fusion.summary import format_fusion
    from ..training.recipe import LATE_FUSION

    recipe = read_recipe(argv, LATE_FUSION)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    what = f"a late fusion on {recipe.data.corpus_name}"
    since = announce(f"Fitting {what}", folder, is_first)
    results = fit_late_fusion(recipe, log=print_apart if is_first else None, show=show_run)
    if not is_first:
        return
    print(f"\n{format_fusion(results)}")
    print(f"\nMeasured on {results.corpus.title}. {results.corpus.selection}")
    if few := explain_uncertainty(results):
        print(few)
    commands = [predict_command(results, folder), push_command(folder)]
    conclude(f"Fitted {what}", since, describe_folder(results, folder), commands)
