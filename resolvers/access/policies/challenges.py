"""Policies of challenges and their leaderboards."""

from db.models import Challenge, Leaderboard, LeaderboardEntry
from resolvers.access.policy import Policy
from resolvers.access.rules import EVERYONE, SUPERADMIN

POLICIES = (
    Policy(model=Challenge, read=(EVERYONE,), fields={"auto_eval": (SUPERADMIN,)}, stays=(Challenge.site_id,)),
    Policy(
        model=Leaderboard,
        read=(EVERYONE,),
        fields=dict.fromkeys(("sorting_key", "external_entries"), (SUPERADMIN,)),
    ),
    Policy(model=LeaderboardEntry, read=(EVERYONE,)),
)
