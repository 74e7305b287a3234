"""Policies of messages to people and of the templates that replace the built-in ones."""

import asyncio

from db.models import Notification, NotificationTemplate
from resolvers.access.lifetime import of_live
from resolvers.access.policy import Change, Policy
from resolvers.access.rules import OWNER, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN
from resolvers.failures import Invalid
from resolvers.mail import templates


async def _validate(change: Change) -> None:
    template = change.row
    if change.going:
        return
    if template.site_id is not None and template.project_id is not None:
        raise Invalid("a template holds in a site or in a project, not in both", field="input.project")
    if (template.site_id or template.project_id) is not None and template.key in templates.SECURITY:
        raise Invalid(
            f"{template.key} is about the security of an account: its words are the same everywhere, and superadmins "
            "write them",
            field="input.key",
        )
    await asyncio.to_thread(templates.check, template.subject, template.text, template.html)


POLICIES = (
    Policy(
        model=Notification,
        read=(OWNER,),
        fields={"error": (SUPERADMIN,)},
        stays=(Notification.user_id, Notification.participant_id, Notification.service_id),
    ),
    Policy(
        model=NotificationTemplate,
        read=(PROJECT_ADMIN, SITE_ADMIN),
        shown=of_live(NotificationTemplate.site, NotificationTemplate.project),
        create=(PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN),
        update=(PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN),
        delete=(PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN),
        stays=(NotificationTemplate.site_id, NotificationTemplate.project_id),
        validate=_validate,
    ),
)
