"""torana sites, torana projects: where people work."""

from typing import Annotated, Any

import typer

from gateway.commands.administration.asking import Asking, has, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, rows
from gateway.commands.tables import Cell

sites = group("sites", "Places that run projects.")
projects = group("projects", "Work that people share, each project of a site.")

_SITE = "id version name twoFactorRequired createdAt"
_PROJECT = "id version name enabled description createdAt site { id name }"
_SITES = listing("sites", "Site", _SITE)
_PROJECTS = listing("projects", "Project", _PROJECT)
_CREATE_SITE = writing("createSite", f"Site {{ {_SITE} }}", input="NewSite!")
_UPDATE_SITE = writing("updateSite", f"Site {{ {_SITE} }}", id="ID!", expectedVersion="Int!", input="SiteChanges!")
_DELETE_SITE = writing("deleteSite", "Deleted { id at }", id="ID!")
_RESTORE_SITE = writing("restoreSite", f"Site {{ {_SITE} }}", id="ID!")
_CREATE_PROJECT = writing("createProject", f"Project {{ {_PROJECT} }}", input="NewProject!")
_UPDATE_PROJECT = writing(
    "updateProject", f"Project {{ {_PROJECT} }}", id="ID!", expectedVersion="Int!", input="ProjectChanges!"
)
_DELETE_PROJECT = writing("deleteProject", "Deleted { id at }", id="ID!")
_RESTORE_PROJECT = writing("restoreProject", f"Project {{ {_PROJECT} }}", id="ID!")

Site = Annotated[str, typer.Argument(help="A site, by name or id.")]
Project = Annotated[str, typer.Argument(help="A project, by name or id.")]
Name = Annotated[str, typer.Argument(help="What it is called.")]
Rename = Annotated[str | None, typer.Option(help="What it is called from now on.")]
Text = Annotated[str | None, typer.Option(help="Part of the name.")]
_ID: Cell = lambda node: uuid_of(node["id"])  # noqa: E731


@command(sites, "list")
async def list_sites(ask: Asking, text: Text = None, limit: Limit = None) -> Shown:
    """List sites by name."""
    found = await ask.all(_SITES, limit, name=has(text))
    return rows(found, {"name": "name", "second factor required": "twoFactorRequired", "id": _ID})


@command(sites, "create")
async def create_site(
    ask: Asking,
    name: Name,
    two_factor: Annotated[bool, typer.Option("--two-factor", help="Its users need a second factor.")] = False,
) -> Shown:
    """Make a site with its two roles, admin and user."""
    made = await ask.write(_CREATE_SITE, input={"name": name, "twoFactorRequired": two_factor})
    return Shown(made, f"made the site {made['name']}, {uuid_of(made['id'])}")


@command(sites, "update")
async def update_site(
    ask: Asking,
    site: Site,
    name: Rename = None,
    two_factor: Annotated[bool | None, typer.Option(help="Whether its users need a second factor.")] = None,
) -> Shown:
    """Change a site: what is given, nothing else."""
    return await _changed(ask, "Site", _UPDATE_SITE, site, name=name, twoFactorRequired=two_factor)


@command(sites, "delete")
async def delete_site(ask: Asking, site: Site, yes: Yes = False) -> Shown:
    """Delete a site with its projects; a session in one of them stands in the way."""
    return await _deleted(ask, "Site", _DELETE_SITE, site, yes=yes)


@command(sites, "restore")
async def restore_site(ask: Asking, id: Annotated[str, typer.Argument(help="The id of a deleted site.")]) -> Shown:
    """Bring back a deleted site."""
    node = await ask.write(_RESTORE_SITE, id=ask.deleted("Site", id))
    return Shown(node, f"{node['name']} is back")


@command(projects, "list")
async def list_projects(
    ask: Asking,
    text: Text = None,
    site: Annotated[str | None, typer.Option(help="Of this site.")] = None,
    limit: Limit = None,
) -> Shown:
    """List projects by name."""
    found = await ask.all(_PROJECTS, limit, name=has(text), site=is_(await ask.id("Site", site)))
    return rows(found, {"name": "name", "site": "site.name", "enabled": "enabled", "id": _ID})


@command(projects, "create")
async def create_project(
    ask: Asking,
    name: Name,
    site: Annotated[str, typer.Option(help="The site that runs it.")],
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
) -> Shown:
    """Make a project with its two roles, admin and user."""
    given = {"name": name, "site": (await ask.find("Site", site)).id, "description": description}
    made = await ask.write(_CREATE_PROJECT, input=given)
    return Shown(made, f"made the project {made['name']}, {uuid_of(made['id'])}")


@command(projects, "update")
async def update_project(
    ask: Asking,
    project: Project,
    name: Rename = None,
    description: Annotated[str | None, typer.Option(help="What it is about; '' takes it away.")] = None,
    enabled: Annotated[bool | None, typer.Option(help="Whether work goes on; ending it disables participants.")] = None,
    yes: Yes = False,
) -> Shown:
    """Change a project: what is given, nothing else."""
    if enabled is False:
        confirm(f"End the work in {project}? Its participants are disabled, and lose their devices.", yes=yes)
    return await _changed(ask, "Project", _UPDATE_PROJECT, project, name=name, description=description, enabled=enabled)


@command(projects, "delete")
async def delete_project(ask: Asking, project: Project, yes: Yes = False) -> Shown:
    """Delete a project with its participants; a session stands in the way."""
    return await _deleted(ask, "Project", _DELETE_PROJECT, project, yes=yes)


@command(projects, "restore")
async def restore_project(
    ask: Asking, id: Annotated[str, typer.Argument(help="The id of a deleted project.")]
) -> Shown:
    """Bring back a deleted project with what was deleted with it."""
    node = await ask.write(_RESTORE_PROJECT, id=ask.deleted("Project", id))
    return Shown(node, f"{node['name']} is back")


async def _changed(ask: Asking, kind: str, document: str, named: str, **given: Any) -> Shown:
    changes = {name: None if value == "" else value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give what changes")
    found = await ask.find(kind, named)
    node = await ask.write(document, id=found.id, expectedVersion=found.version, input=changes)
    return Shown(node, f"changed {node['name']}")


async def _deleted(ask: Asking, kind: str, document: str, named: str, *, yes: bool) -> Shown:
    found = await ask.find(kind, named)
    confirm(f"Delete the {kind.lower()} {found.name}? Tokens of its participants are gone for good.", yes=yes)
    gone = await ask.write(document, id=found.id)
    return Shown(gone, f"deleted {found.name}; torana {kind.lower()}s restore {uuid_of(found.id)} brings it back")
