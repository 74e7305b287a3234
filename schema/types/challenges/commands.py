"""What submitters and organisers do with submissions."""

from datetime import datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.challenges import commands, decisions, quotas, reevaluations, submissions
from resolvers.challenges.quotas import Usage
from resolvers.writing import crud
from resolvers.writing.rows import signed_in
from schema.fields.fields import Info
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult, result
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.scalars import key_of, optional_key
from schema.types.challenges.submissions import Reevaluation, Submission, SubmissionStatus

SubmissionResult, ReevaluationResult = result(Submission), result(Reevaluation)
_ID = Annotated[strawberry.ID, strawberry.argument(description="The submission.")]
_REASON = Annotated[str, strawberry.argument(description="Why, for its submitter: 1 to 2000 characters.")]


@strawberry.input(description="A submission to begin.")
class NewSubmission:
    phase: strawberry.ID = strawberry.field(description="The phase that it is for.")
    team: strawberry.ID | None = strawberry.field(
        default=None, description="Your team; by default the one that you are in."
    )
    author_label: str | None = strawberry.field(
        default=None, description="What leaderboards name as its author; by default the team or user."
    )


@strawberry.type(description="How much of the quota of a phase you, or your team, have used. A limit of null is none.")
class SubmissionQuota:
    window_limit: int | None = strawberry.field(description="The most submissions within the window.")
    window_seconds: int = strawberry.field(description="How long the window is.")
    window_used: int = strawberry.field(description="How many of them are used.")
    resets_at: datetime | None = strawberry.field(
        description="When the next may be submitted, where the window is full; UTC."
    )
    total_limit: int | None = strawberry.field(description="The most submissions in all.")
    total_used: int = strawberry.field(description="How many of them are used.")
    concurrent_limit: int | None = strawberry.field(description="The most that may be under way at once.")
    concurrent_used: int = strawberry.field(description="How many are under way.")
    left: int | None = strawberry.field(description="How many may be submitted now; null: any number.")

    @classmethod
    def of(cls, used: Usage) -> "SubmissionQuota":
        names = ("window_limit", "window_seconds", "window_used", "resets_at", "total_limit", "total_used",
                 "concurrent_limit", "concurrent_used", "left")  # fmt: skip
        return cls(**{name: getattr(used, name) for name in names})


@strawberry.type
class SubmissionQuotaQuery:
    @strawberry.field(
        description="How many more submissions you, or your team, may make to a phase now; null for a phase that you "
        "may not see."
    )
    async def submission_quota(
        self, info: Info, phase: Annotated[strawberry.ID, strawberry.argument(description="The phase.")]
    ) -> SubmissionQuota | None:
        user = signed_in(info.context)
        used = await quotas.told(info.context, user, key_of("Phase", phase, "phase"))
        return None if used is None else SubmissionQuota.of(used)


@strawberry.type
class SubmissionCommandsMutation:
    @mutation(needs=SIGNED_IN)
    async def create_submission(
        self, info: Info, input: Annotated[NewSubmission, strawberry.argument(description="The submission.")]
    ) -> SubmissionResult:  # type: ignore[valid-type]
        """Begin a submission. Then bring its file: an upload of purpose SUBMISSION_INPUT whose target it is. It is
        evaluated once the file was checked. QUOTA tells when the next may be made."""
        key = await submissions.create(
            info.context,
            key_of("Phase", input.phase, "input.phase"),
            team_id=optional_key("Team", input.team, "input.team"),
            author_label=input.author_label,
        )
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def evaluate_submission(
        self,
        info: Info,
        id: _ID,
        extra_arguments: Annotated[
            list[str], strawberry.argument(description="Further arguments of the evaluator, by organisers; at most 50.")
        ] = [],  # noqa: B006
    ) -> SubmissionResult:  # type: ignore[valid-type]
        """Evaluate a submission, for the first time or again. Allowed to organisers and superadmins, and to its
        submitter where the phase says so."""
        key = key_of("Submission", id)
        await commands.evaluate(info.context, key, extra_arguments)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def cancel_submission(self, info: Info, id: _ID) -> SubmissionResult:  # type: ignore[valid-type]
        """Cancel what is under way. The quota gets it back, unless its submitter cancels while it is evaluated. One
        that has scores keeps them. Allowed to its submitter, organisers, superadmins."""
        key = key_of("Submission", id)
        await commands.cancel(info.context, key)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def withdraw_submission(self, info: Info, id: _ID) -> SubmissionResult:  # type: ignore[valid-type]
        """Withdraw one's own submission before it has scores. What was evaluated of it stays in the quota."""
        key = key_of("Submission", id)
        await commands.withdraw(info.context, key)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def choose_submission(self, info: Info, id: _ID) -> SubmissionResult:  # type: ignore[valid-type]
        """Let this run count, of those to its phase, on leaderboards that show the chosen one. Allowed to its
        submitter."""
        key = key_of("Submission", id)
        await commands.choose(info.context, key)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def set_submission_status(
        self,
        info: Info,
        id: _ID,
        status: Annotated[
            SubmissionStatus,  # type: ignore[valid-type]
            strawberry.argument(
                description="INVALID, CANCELED, NO_AUTO_EVAL, EXCLUDED, or COMPLETED where it has scores."
            ),
        ],
        reason: _REASON,
    ) -> SubmissionResult:  # type: ignore[valid-type]
        """Set the status of a submission for which nothing is under way. Allowed to organisers, superadmins."""
        key = key_of("Submission", id)
        await decisions.set_status(info.context, key, models.SubmissionStatus[status.name], reason)  # type: ignore[attr-defined]
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def exclude_submission(self, info: Info, id: _ID, reason: _REASON) -> SubmissionResult:  # type: ignore[valid-type]
        """Keep a submission off leaderboards. Allowed to organisers, superadmins. `setSubmissionStatus` with COMPLETED
        brings it back."""
        key = key_of("Submission", id)
        await decisions.set_status(info.context, key, models.SubmissionStatus.EXCLUDED, reason)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def set_author_label(
        self,
        info: Info,
        id: _ID,
        label: Annotated[str | None, strawberry.argument(description="The author; null: the team or user.")] = None,
    ) -> SubmissionResult:  # type: ignore[valid-type]
        """Say what leaderboards name as the author of a submission. Allowed to organisers, superadmins."""
        key = key_of("Submission", id)
        await decisions.set_author_label(info.context, key, label)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def set_submission_evaluator(
        self,
        info: Info,
        id: _ID,
        evaluator: Annotated[
            strawberry.ID | None, strawberry.argument(description="The evaluator; null: that of the challenge.")
        ] = None,
    ) -> SubmissionResult:  # type: ignore[valid-type]
        """Have a submission evaluated by another evaluator. Allowed to organisers, superadmins."""
        key = key_of("Submission", id)
        await decisions.set_evaluator(info.context, key, optional_key("Evaluator", evaluator, "evaluator"))
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def archive_submission(self, info: Info, id: _ID) -> SubmissionResult:  # type: ignore[valid-type]
        """Set a submission aside for good. Scores and file stay; what evaluations wrote beside them goes, and it is not
        evaluated any more. Allowed to organisers, superadmins."""
        key = key_of("Submission", id)
        await decisions.archive(info.context, key)
        return await written(info, "Submission", models.Submission, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def delete_submission(self, info: Info, id: _ID, expected_version: AnyVersion = None) -> DeletedResult:
        """Delete a submission with its files and evaluations. Allowed to its submitter before it was evaluated, and to
        organisers and superadmins."""
        at = await crud.delete(info.context, models.Submission, key_of("Submission", id), expected_version)
        return Deleted(id=id, at=at)

    @mutation(needs=SIGNED_IN)
    async def reevaluate(
        self, info: Info, phase: Annotated[strawberry.ID, strawberry.argument(description="The phase.")]
    ) -> ReevaluationResult:  # type: ignore[valid-type]
        """Evaluate all completed submissions of a phase that were evaluated with an earlier version of their evaluator.
        New submissions go first; the new scores count together, at the end. Allowed to organisers, superadmins."""
        key = await reevaluations.begin(info.context, key_of("Phase", phase, "phase"))
        return await written(info, "Reevaluation", models.Reevaluation, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def cancel_reevaluation(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The re-evaluation.")]
    ) -> ReevaluationResult:  # type: ignore[valid-type]
        """Cancel a re-evaluation; all submissions keep their scores. Allowed to organisers, superadmins."""
        key = key_of("Reevaluation", id)
        await reevaluations.cancel(info.context, key)
        return await written(info, "Reevaluation", models.Reevaluation, key)  # type: ignore[no-any-return]
