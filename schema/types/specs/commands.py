"""Put, change and delete specs and their versions, and compare versions."""

from typing import Annotated, Any

import strawberry

from db import models
from resolvers import labels
from resolvers.access.policy import policy_of
from resolvers.failures import Invalid
from resolvers.specs import builds, changing, difference, registry
from resolvers.specs.difference import Action, Part
from schema.fields.fields import Info
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult, ExpectedVersion, result
from schema.fields.mutations import ACTING, mutation, written
from schema.fields.scalars import JSON, SpecSource, enum, key_of, optional_key
from schema.types.accounts.owners import ForOwner, owner_given
from schema.types.accounts.signing import Done, DoneResult
from schema.types.specs.specs import Spec, SpecCompatibility, SpecLanguage, SpecState, SpecVersion

SpecResult: Any = result(Spec)
SpecVersionResult: Any = result(SpecVersion)
SpecPart = enum(
    Part,
    "What a change of a spec is of.",
    name="SpecPart",
    MODEL="A data model.",
    COLUMN="A column.",
    KEY="A primary or foreign key.",
    RELATION="A relation of two models.",
    CONSTRAINT="A unique constraint or an index.",
)
SpecAction = enum(
    Action,
    "How something of a spec changed.",
    name="SpecAction",
    ADDED="Only the other version has it.",
    REMOVED="The other version lacks it.",
    CHANGED="Both have it, and it is not the same.",
)


@strawberry.type(description="What differs in another version of a spec.")
class SpecChange:
    part: SpecPart = strawberry.field(description="What it is of.")  # type: ignore[valid-type]
    action: SpecAction = strawberry.field(description="How it changed.")  # type: ignore[valid-type]
    model: str = strawberry.field(description="The data model.")
    name: str | None = strawberry.field(description="The column, relation or constraint of it; null for the model.")
    detail: str | None = strawberry.field(description="What of it changed, such as `length`.")
    before: JSON | None = strawberry.field(description="Its value before.")
    after: JSON | None = strawberry.field(description="Its value in the other version.")
    pointer: str = strawberry.field(
        description="The place in the other version, a JSON Pointer (RFC 6901); of what is gone, its former place."
    )
    breaks_backward: str | None = strawberry.field(
        description="Why rows and code of the version can't go on with the other one; null where they can."
    )
    breaks_forward: str | None = strawberry.field(
        description="Why code of the version can't work on a database of the other one; null where it can."
    )


@strawberry.type(description="What differs between two versions of specs.")
class SpecDifference:
    changes: list[SpecChange] = strawberry.field(
        description=f"At most {difference.CHANGES:,} changes, in the order of the other version; what is gone is last."
    )
    complete: bool = strawberry.field(description="Whether these are all.")


@strawberry.type
class SpecDifferenceQuery:
    @strawberry.field(description="What differs in another version of a spec, or in a version of another spec.")
    async def spec_difference(
        self,
        info: Info,
        version: Annotated[strawberry.ID, strawberry.argument(description="The version.")],
        other: Annotated[strawberry.ID, strawberry.argument(description="The version that it is compared with.")],
    ) -> SpecDifference | None:
        keys = key_of("SpecVersion", version, "version"), key_of("SpecVersion", other, "other")
        found = await difference.difference(info.context, *keys)
        told = found[: difference.CHANGES]
        info.context.spend(20 * len(told))
        changes = [
            SpecChange(
                part=one.part, action=one.action, model=one.model, name=one.name, detail=one.detail,
                before=JSON(one.before), after=JSON(one.after), pointer=one.pointer,
                breaks_backward=one.breaks_backward, breaks_forward=one.breaks_forward,
            )
            for one in told
        ]  # fmt: skip
        return SpecDifference(changes=changes, complete=len(told) == len(found))


@strawberry.input(
    description="Changes of a Spec. A field that is left out stays as it is; null takes it out of its project."
)
class SpecChanges:
    state: SpecState | None = strawberry.field(  # type: ignore[valid-type]
        default=strawberry.UNSET, description="What it is for."
    )
    compatibility: SpecCompatibility | None = strawberry.field(  # type: ignore[valid-type]
        default=strawberry.UNSET, description="What versions must keep from now on."
    )
    project: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The project whose users read it and its packages."
    )
    labels: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"In place of those that it has: at most {labels.MOST} of at most {labels.LENGTH} characters.",
    )


_SPEC = Annotated[strawberry.ID, strawberry.argument(description="The spec.")]
_VERSION = Annotated[strawberry.ID, strawberry.argument(description="The version.")]


@strawberry.type
class SpecsMutation:
    @mutation(needs=ACTING)
    async def put_spec(
        self,
        info: Info,
        name: Annotated[
            str,
            strawberry.argument(
                description="The name of your spec: letters, digits and between them dots, hyphens and underscores. "
                "`Beam_Line` is the same as `beam-line`."
            ),
        ],
        source: Annotated[SpecSource, strawberry.argument(description="The spec.")],
        language: Annotated[SpecLanguage, strawberry.argument(description="The language of the source.")],  # type: ignore[valid-type]
        version: Annotated[
            str | None,
            strawberry.argument(
                description="The version, by PEP 440; null: `info.version` of the source. Where both are, they must be "
                "equal."
            ),
        ] = None,
        expected_version: Annotated[
            int | None,
            strawberry.argument(
                description="The `version` of the Spec that you read, 0 for a spec that must be new. If it has another "
                "one, the answer is CONFLICT. Left out or null: any."
            ),
        ] = None,
        owner: ForOwner = None,
    ) -> SpecVersionResult:
        """Store a version of a spec of your own, which is then its latest; a spec that is not there is made. A version
        that is there is replaced, until its package was fetched: then other content is CONFLICT. INVALID has all faults
        of the source, each with its JSON pointer, as `faults`. QUOTA has `limit`, `used` and `requested` models; a spec
        that is replaced does not count."""
        key = await registry.put(
            info.context,
            name,
            source,
            models.SpecLanguage[language.name],  # type: ignore[attr-defined]
            version=version,
            expected_version=expected_version,
            owner=owner_given(owner),
        )
        return await written(info, "SpecVersion", models.SpecVersion, key)

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).update)
    async def update_spec(
        self,
        info: Info,
        id: _SPEC,
        expected_version: ExpectedVersion,
        input: Annotated[SpecChanges, strawberry.argument(description="What changes.")],
    ) -> SpecResult:
        """Change the state, the compatibility rule, the labels or the project of a spec."""
        changes: dict[str, Any] = {k: v for k, v in vars(input).items() if v is not strawberry.UNSET}
        for name in ("state", "compatibility", "labels"):
            if name in changes and changes[name] is None:
                raise Invalid(f"{name} can't be null", field=f"input.{name}")
        if "project" in changes:
            changes["project_id"] = optional_key("Project", changes.pop("project"), "input.project")
        for name, kind in (("state", models.SpecState), ("compatibility", models.SpecCompatibility)):
            if name in changes:
                changes[name] = kind[changes[name].name]
        key = await changing.update(info.context, key_of("Spec", id), expected_version, changes)
        return await written(info, "Spec", models.Spec, key)

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).delete)
    async def delete_spec(self, info: Info, id: _SPEC, expected_version: AnyVersion = None) -> DeletedResult:
        """Delete a spec with all its versions and packages."""
        return Deleted(id=id, at=await changing.delete(info.context, key_of("Spec", id), expected_version))

    @mutation(needs=ACTING)
    async def delete_all_specs(self, info: Info, owner: ForOwner = None) -> DoneResult:
        """Delete all specs of your own with their versions and packages."""
        return Done(at=await changing.delete_all(info.context, owner_given(owner)))

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).update)
    async def delete_spec_version(self, info: Info, id: _VERSION, expected_version: AnyVersion = None) -> DeletedResult:
        """Delete a version of a spec with its packages. The version that was stored last before it is then the
        latest."""
        at = await changing.delete_version(info.context, key_of("SpecVersion", id), expected_version)
        return Deleted(id=id, at=at)

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).update)
    async def build_package(self, info: Info, id: _VERSION) -> SpecVersionResult:
        """Have the packages of a version built again; STATE while they are built. `putSpec` has them built by itself.
        Watch `job` with `jobUpdated`."""
        key = await builds.rebuild(info.context, key_of("SpecVersion", id))
        return await written(info, "SpecVersion", models.SpecVersion, key)

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).update)
    async def yank_package(
        self,
        info: Info,
        id: _VERSION,
        reason: Annotated[str | None, strawberry.argument(description="Why, in one line; installers show it.")] = None,
    ) -> SpecVersionResult:
        """Yank the package of a version (PEP 592): installers take it only where this very version is asked for."""
        key = await changing.yank(info.context, key_of("SpecVersion", id), reason)
        return await written(info, "SpecVersion", models.SpecVersion, key)

    @mutation(needs=ACTING, allowed=policy_of(models.Spec).update)
    async def unyank_package(self, info: Info, id: _VERSION) -> SpecVersionResult:
        """Let installers take the package of a yanked version again."""
        key = await changing.unyank(info.context, key_of("SpecVersion", id))
        return await written(info, "SpecVersion", models.SpecVersion, key)
