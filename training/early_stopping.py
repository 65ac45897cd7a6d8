"""Early stopping that continues where an interrupted run was (ours); transformers' own counter starts anew."""

from transformers import TrainerCallback


class EarlyStopping(TrainerCallback):
    """Ends a training when the best validation score is some validations old.

    Args:
        patience: Number of validations without a better score.
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_train_begin(self, args, state, control, **kwargs):
        """Stop a run at once that resumes from the checkpoint at which it has stopped."""
        self.on_evaluate(args, state, control)

    def on_evaluate(self, args, state, control, **kwargs):
        """Look for the best score in the log, which a checkpoint holds too."""
        name = f"eval_{args.metric_for_best_model.removeprefix('eval_')}"
        scores = [entry[name] for entry in state.log_history if name in entry]
        if scores:
            best = (max if args.greater_is_better else min)(scores)
            control.should_training_stop |= len(scores) - 1 - scores.index(best) >= self.patience
