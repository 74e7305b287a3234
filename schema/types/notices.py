"""Messages to people: the templates that replace built-in ones, and what was sent to oneself."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.organisation import messages
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.mutations import WRITER, mutation
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import enum, key_of, optional_key

if TYPE_CHECKING:
    pass

Channel = enum(
    models.Channel,
    "The way that a message takes.",
    EMAIL="As mail.",
    CHAT="To a chat, by its incoming webhook.",
    SERVICE="To a service, as a call of its endpoint.",
)
NotificationState = enum(
    models.NotificationState,
    "The state of a message.",
    PENDING="It waits to be sent, for the first time or again.",
    SENT="It was accepted by the mail server, the chat or the service.",
    FAILED="It was given up.",
)


@node(models.NotificationTemplate, by="key", listed="The templates that replace built-in ones.")
class NotificationTemplate(Node):
    """A text that replaces a built-in one in a project, in a site or everywhere. Variables stand in `{{ }}`."""

    key: str = column("The message that it is for, such as password_reset.", filter=True, order=True)
    channel: Channel = column("The way that the message takes.", filter=True, group=True)  # type: ignore[valid-type]
    language: str = column("The language of the words, such as en or fr.", filter=True)
    subject: str | None = column("The subject of a mail; null keeps the next template's.")
    text: str = column("The words as plain text.")
    html: str | None = column("The words as HTML; null sends plain text only.")
    site = related(models.NotificationTemplate.site, "The site where it holds; null for a project, or everywhere.")
    project = related(
        models.NotificationTemplate.project, "The project where it holds; null for a site, or everywhere."
    )


@node(models.Notification, by="-created_at", listed="The messages to you.")
class Notification(Node):
    """A message that was or will be sent. Its text is not shown, since it may hold links that sign in."""

    template_key: str | None = column(
        "The template that it was made from; null for a text that somebody wrote.", filter=True
    )
    channel: Channel = column("The way that it takes.", filter=True, group=True)  # type: ignore[valid-type]
    state: NotificationState = column("Its state.", filter=True, group=True)  # type: ignore[valid-type]
    subject: str | None = column("The subject of a mail.")
    attempts: int = column("How often the gateway tried to send it.", filter=True, group=True)
    sent_at: datetime | None = column("When it was accepted; null before.", filter=True)
    error: str | None = column("Why the last attempt failed.")


_TEMPLATE = inputs(
    "NotificationTemplate",
    models.NotificationTemplate,
    key=Given(str, "The message that it is for, such as password_reset.", fixed=True),
    channel=Given(Channel, "The way that the message takes.", default=models.Channel.EMAIL, fixed=True),
    language=Given(str, "The language of the words, such as en or fr.", default="en", fixed=True),
    site=Given(
        "Site",
        "The site where it holds. Name this or a project; superadmins may leave out both.",
        default=None,
        fixed=True,
    ),
    project=Given("Project", "The project where it holds.", default=None, fixed=True),
    subject=Given(str, "The subject of a mail.", default=None),
    text=Given(str, "The words as plain text, with variables in `{{ }}`."),
    html=Given(str, "The words as HTML.", default=None),
)


@strawberry.input(description="The value of a variable in the words of a message.")
class NewVariable:
    name: str = strawberry.field(description="Its name: `$name` in words, `{{ name }}` in a template.")
    value: str = strawberry.field(description="What stands for it.")


@strawberry.type(description="The messages will be sent.")
class Sent:
    count: int = strawberry.field(description="How many; users who want no messages get none.")


SentResult = Annotated[Sent | Problem, strawberry.union("SentResult", description="How many, or why not.")]


@strawberry.type
class NoticesMutation:
    create_notification_template, update_notification_template, delete_notification_template = editing(
        _TEMPLATE, result(NotificationTemplate)
    )[:3]

    @mutation(needs=WRITER)
    async def send_notification(
        self,
        info: Info,
        users: Annotated[list[strawberry.ID] | None, strawberry.argument(description="To which users.")] = None,
        participants: Annotated[
            list[strawberry.ID] | None, strawberry.argument(description="To which participants.")
        ] = None,
        subject: Annotated[
            str | None, strawberry.argument(description="The subject; left out: the template's, or none.")
        ] = None,
        text: Annotated[
            str | None,
            strawberry.argument(description="The words; $name and $username stand for the recipient's."),
        ] = None,
        notification_template: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Instead of words: a template that you see, which has them."),
        ] = None,
        variables: Annotated[
            list[NewVariable] | None, strawberry.argument(description="Values of variables in the words.")
        ] = None,
    ) -> SentResult:
        """Send a mail to at most 100 users and participants of projects or sites that you administer, or as a service
        to those of its projects. Replies go to your own address."""
        people = [key_of("User", id, f"users.{n}") for n, id in enumerate(users or ())]
        others = [key_of("Participant", id, f"participants.{n}") for n, id in enumerate(participants or ())]
        words = messages.Words(
            subject,
            text,
            optional_key("NotificationTemplate", notification_template, "notificationTemplate"),
            {one.name: one.value for one in variables or ()},
        )
        return Sent(count=await messages.send(info.context, people, others, words))
