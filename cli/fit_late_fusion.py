"""`emofusion fit-late-fusion`: combine the scores of trained models."""

from .commands import read_recipe
from .output import announce, conclude


def run(argv: list[str]) -> None:
    """Fit the combination on the validation split, and print the test scores of members and combinations."""
    from ..evaluation.sample_size import explain_uncertainty
    from ..training.console import describe_folder, predict_command, push_command
    from ..training.late_fusion.fit import fit_late_fusion, format_systems
    from ..training.recipe import LATE_FUSION

    recipe = read_recipe(argv, LATE_FUSION)
    is_first, folder = recipe.training.process_index == 0, recipe.training.output_dir
    what = f"the late fusion of {len(recipe.late_fusion.members)} models on {recipe.data.corpus}"
    since = announce(f"Fitting {what}", folder, is_first)
    results = fit_late_fusion(recipe)
    if not is_first:
        return
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in results.late_fusion.weights.items())
    print(f"\n{format_systems(results)}")
    print(f"\nMeasured on {results.corpus.title}; fitted on its validation split. Weights of the weighted mean:")
    print(f"  {weights}")
    print(f"Saved combination: {recipe.late_fusion.combination}.")
    if few := explain_uncertainty(results):
        print(few)
    commands = [predict_command(results, folder), push_command(folder)]
    conclude(f"Fitted {what}", since, describe_folder(results, folder), commands)
