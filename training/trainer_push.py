"""Publishing a run on the Hub, as a part of `EmotionTrainer`."""

from pathlib import Path

from huggingface_hub import CommitInfo

from ..hub.push import push_to_hub
from ..hub.remote import check_repo_id, check_visibility, inspect_remote


class PushMixin:
    """The methods of a trainer that publish its output folder."""

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Check, before training, that the model can be pushed. The repository is created when it is pushed.

        Args:
            token: Token of the Hub, by default `hub_token`, or that of `hf auth login`.
            private: Whether the repository is private, by default `hub_private_repo`.

        Raises:
            OSError: If the Hub cannot be reached, or does not know the token.
            ValueError: If `hub_model_id` is no name, or the repository exists and its visibility differs from `private`.
        """
        self.hub_model_id = self.args.hub_model_id or Path(self.args.output_dir).resolve().name
        self.push_in_progress = None
        if self.is_world_process_zero():
            check_repo_id(self.hub_model_id)
            private = self.args.hub_private_repo if private is None else private
            remote = inspect_remote(
                self.hub_model_id, "model", private is not False, token=token or self.args.hub_token
            )
            check_visibility(remote, private is not False)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs,
    ) -> CommitInfo | None:
        """Save the model, and publish `output_dir` as `emofusion push` does.

        Args:
            commit_message: First line of the commit.
            blocking: Must be True, because the card names the commit.
            token: Token of the Hub, by default `hub_token`, or that of `hf auth login`.
            revision: Branch, by default `hub_revision` or main.
            private: Whether the repository is private, by default `hub_private_repo`.
            **kwargs: Other arguments of `hub.push.push_to_hub`.

        Returns:
            The commit; None on processes other than the main process.

        Raises:
            OSError: If the Hub cannot be reached or refuses.
            ValueError: If a file in the folder must not be published.
        """
        if not blocking:
            raise ValueError("blocking is False, but a push waits for the commit, which the card names.")
        self.save_model()
        return self.upload(commit_message, token, revision, private, **kwargs)

    def upload(
        self,
        commit_message: str | None = "End of training",
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs,
    ) -> CommitInfo | None:
        """Publish `output_dir` as it is, without saving, and return the commit.

        Args:
            commit_message: Message of the commit.
            token: Token of the Hub; by default that of the arguments, or of the login.
            revision: Branch; by default the main one.
            private: Whether a new repository is private; None is the default of the account.
            **kwargs: As in `push_to_hub`.
        """
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        if not self.is_world_process_zero():
            return None
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        return push_to_hub(
            self.args.output_dir,
            self.hub_model_id,
            private=(self.args.hub_private_repo if private is None else private) is not False,
            revision=revision or self.args.hub_revision or "main",
            commit_message=commit_message,
            token=token or self.args.hub_token,
            **kwargs,
        )
