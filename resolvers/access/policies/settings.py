"""Policy of the settings that superadmins change while the gateway runs."""

from db.models import ServerSetting
from resolvers.access.policy import Policy
from resolvers.access.rules import SUPERADMIN

POLICIES = (Policy(model=ServerSetting, create=(SUPERADMIN,), update=(SUPERADMIN,), delete=(SUPERADMIN,)),)
