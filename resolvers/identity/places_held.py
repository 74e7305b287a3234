"""The places that a principal has a part in, as the statements of principals tell them: in one text."""

from collections.abc import Mapping
from uuid import UUID

from db.keys import key_from
from resolvers.identity.principal import GROUPED


def places_of(places: str | None) -> tuple[dict[UUID, bool], dict[UUID, bool]]:
    """The sites and the projects, each with whether it is administered."""
    sites: dict[str, bool] = {}
    projects: dict[str, bool] = {}
    for place in places.split(",") if places else ():
        admin, site, project = place[0] == "a", place[1:37], place[37:]
        if project:
            projects[project] = admin or projects.get(project, False)
            sites.setdefault(site, False)
        else:
            sites[site] = admin or sites.get(site, False)
    return (
        {key_from(key): admin for key, admin in sites.items()},
        {key_from(key): admin for key, admin in projects.items()},
    )


def groups_there(
    groups: str | None, sites: Mapping[UUID, bool], projects: Mapping[UUID, bool]
) -> frozenset[tuple[UUID, UUID, UUID | None]] | None:
    """The roles of groups, each with the site and the project that it is in; None where there are more than
    `GROUPED`."""
    held = groups.split(",") if groups else []
    if len(held) > GROUPED:
        return None
    known = {str(key): key for key in (*sites, *projects)}
    return frozenset(
        (key_from(one[:36]), known[one[36:72]], known.get(one[72:]) if one[72:] else None)
        for one in held
        if one[36:72] in known
    )
