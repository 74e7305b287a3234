"""One's own account: made, its address confirmed, its password changed or reset, its profile."""

from typing import Annotated

import strawberry

from db import models
from resolvers.accounts import email_confirmation, participant_passwords, password_changes, profile, sign_up, two_factor
from schema.fields.fields import Info
from schema.fields.inputs import ExpectedVersion
from schema.fields.mutations import ANYONE, IN_PERSON, SIGNED_IN, WRITER, mutation, written
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, key_of
from schema.fields.values import OBJECT
from schema.types.accounts.signing import Done, DoneResult
from schema.types.accounts.users import User
from schema.types.organisation import Participant


@strawberry.type(
    description="A mail is sent if an account with this address may get one. The answer does not tell whether there "
    "is one."
)
class MailSent:
    to: str = strawberry.field(description="The address.")


@strawberry.input(description="A new account of your own.")
class NewAccount:
    username: str = strawberry.field(
        description="The name to sign in with: 2 to 150 letters, digits, `.`, `_` and `-`; kept in lower case."
    )
    email: str = strawberry.field(description="The e-mail address, which is to be confirmed.")
    password: str = strawberry.field(description="12 to 1024 characters, not easy to guess.")
    first_name: str | None = strawberry.field(default=None, description="Given name.")
    last_name: str | None = strawberry.field(default=None, description="Family name.")
    affiliation: str | None = strawberry.field(default=None, description="Institution.")
    language: str | None = strawberry.field(default=None, description="Of mails, such as en or fr.")


@strawberry.input(description="Changes of your own account. A field that is left out stays as it is.")
class ProfileChanges:
    first_name: str | None = strawberry.field(default=strawberry.UNSET, description="Given name.")
    last_name: str | None = strawberry.field(default=strawberry.UNSET, description="Family name.")
    affiliation: str | None = strawberry.field(default=strawberry.UNSET, description="Institution.")
    profile: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description=OBJECT.described("Whatever you keep about yourself."),
        metadata=OBJECT.metadata,
    )
    language: str | None = strawberry.field(
        default=strawberry.UNSET, description="The language of messages, such as en or fr."
    )
    notified: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether to get messages that are not about security."
    )
    notified_of_jobs: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whether to get a mail when jobs of your own have completed or failed, or were cancelled by "
        "others; one for many. It needs `notified` and a confirmed address, too.",
    )


MailResult = Annotated[
    MailSent | Problem, strawberry.union("MailResult", description="The address of the mail, or why not.")
]
UserResult = Annotated[User | Problem, strawberry.union("UserResult", description="The User, or why not.")]
ParticipantResult = Annotated[
    Participant | Problem, strawberry.union("ParticipantResult", description="The Participant, or why not.")
]

Email = Annotated[str, strawberry.argument(description="The address of the account, in any case.")]
Token = Annotated[str, strawberry.argument(description="What follows `#token=` in the link that was mailed.")]
NewPassword = Annotated[
    str, strawberry.argument(description="12 to 1024 characters, neither common nor made of the owner's name.")
]


@strawberry.type
class PasswordsMutation:
    @mutation(needs=ANYONE)
    async def sign_up(
        self, info: Info, input: Annotated[NewAccount, strawberry.argument(description="Who you are.")]
    ) -> MailResult:
        """Create an account, if the gateway is open to everyone. It can do little before its address is confirmed by
        the
        link in a mail. If the name or the address is taken, only a mail tells so."""
        columns = {
            name: value
            for name in ("first_name", "last_name", "affiliation", "language")
            if (value := getattr(input, name)) is not None
        }
        given = sign_up.NewAccount(input.username, input.email, input.password, columns)
        return MailSent(to=await sign_up.sign_up(info.context, given))

    @mutation(needs=ANYONE)
    async def verify_email(self, info: Info, token: Token) -> DoneResult:
        """Confirm an e-mail address by the link that was mailed to it. A link holds for a day, and only the newest
        does; the same link again answers when the address was confirmed."""
        return Done(at=await email_confirmation.verify(info.context, token))

    @mutation(needs=ANYONE)
    async def resend_verification(self, info: Info, email: Email) -> MailResult:
        """Mail another link that confirms the address."""
        return MailSent(to=await email_confirmation.resend(info.context, email))

    @mutation(needs=ANYONE)
    async def request_password_reset(self, info: Info, email: Email) -> MailResult:
        """Mail a link that sets a new password to the owner of an account. It is valid for 45 minutes and works
        once."""
        return MailSent(to=await password_changes.request_reset(info.context, email))

    @mutation(needs=ANYONE)
    async def reset_password(self, info: Info, token: Token, new_password: NewPassword) -> DoneResult:
        """Set a new password by the link that was mailed; all login sessions end."""
        return Done(at=await password_changes.reset(info.context, token, new_password))

    @mutation(needs=IN_PERSON)
    async def change_password(
        self,
        info: Info,
        old_password: Annotated[str, strawberry.argument(description="The present password.")],
        new_password: NewPassword,
    ) -> UserResult:
        """Change your password. All your other login sessions end."""
        key = await password_changes.change(info.context, old_password, new_password)
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]

    @mutation(needs=IN_PERSON)
    async def remove_two_factor(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The user.")]
    ) -> UserResult:
        """Take the second factor from a user who lost it; all login sessions of the user end. Allowed to administrators
        of every place that the user has a role in, unless the user is a superadmin or a manager, and to superadmins."""
        key = await two_factor.remove(info.context, key_of("User", id))
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]

    @mutation(needs=IN_PERSON)
    async def set_password(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The user.")],
        new_password: NewPassword,
    ) -> UserResult:
        """Give a user a password, to be changed at the next sign-in; all login sessions of the user end. Allowed to
        administrators of every place that the user has a role in, unless the user is a superadmin or a manager, and to
        superadmins."""
        key = await password_changes.set_for_user(info.context, key_of("User", id), new_password)
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]

    @mutation(needs=WRITER)
    async def set_participant_password(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The participant.")],
        new_password: NewPassword,
    ) -> ParticipantResult:
        """Give a participant a password; all login sessions of the participant end. Allowed to whoever may let a
        participant sign in."""
        key = key_of("Participant", id)
        await participant_passwords.set_for_participant(info.context, key, new_password)
        return await written(info, "Participant", models.Participant, key)  # type: ignore[no-any-return]

    @mutation(needs=IN_PERSON)
    async def change_participant_password(
        self,
        info: Info,
        old_password: Annotated[str, strawberry.argument(description="The present password.")],
        new_password: NewPassword,
    ) -> ParticipantResult:
        """Change your password, as a participant who signed in. All your other login sessions end."""
        key = await participant_passwords.change(info.context, old_password, new_password)
        return await written(info, "Participant", models.Participant, key)  # type: ignore[no-any-return]

    @mutation(needs=ANYONE)
    async def request_participant_password_reset(
        self,
        info: Info,
        username: Annotated[str, strawberry.argument(description="The name that the participant signs in with.")],
    ) -> DoneResult:
        """Mail a link that sets a new password to a participant who may sign in and has an address. It is valid for 45
        minutes and works once, by `resetPassword`. The answer is the same for a name that nobody has."""
        return Done(at=await participant_passwords.request_reset(info.context, username))

    @mutation(needs=SIGNED_IN)
    async def update_profile(
        self,
        info: Info,
        expected_version: ExpectedVersion,
        input: Annotated[ProfileChanges, strawberry.argument(description="What changes.")],
    ) -> UserResult:
        """Change your own account."""
        changes = {k: v for k, v in vars(input).items() if v is not strawberry.UNSET}
        key = await profile.update_profile(info.context, expected_version, changes)
        return await written(info, "User", models.User, key)  # type: ignore[no-any-return]
