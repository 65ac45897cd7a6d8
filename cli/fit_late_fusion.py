"""`emofusion fit-late-fusion`: combine the scores of trained models."""

from .commands import read_recipe


def run(argv: list[str]) -> None:
    """Fit the combination on the validation split, and print the test scores of members and combinations."""
    from ..training.console import predict_command, push_command
    from ..training.late_fusion.fit import fit_late_fusion, format_systems
    from ..training.recipe import LATE_FUSION

    recipe = read_recipe(argv, LATE_FUSION)
    results = fit_late_fusion(recipe)
    if recipe.training.process_index != 0:
        return
    folder = recipe.training.output_dir
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in results.late_fusion.weights.items())
    print(f"\n{format_systems(results)}")
    print(f"\nMeasured on {results.corpus.title}; fitted on its validation split. Weights of the weighted mean:")
    print(f"  {weights}")
    print(f"\nThe fusion ({recipe.late_fusion.combination}), its card (README.md) and results.json are in {folder}.")
    print("To try and to publish it:")
    print(f"  {predict_command(results, folder)}")
    print(f"  {push_command(folder)}")
