"""The ways to sign in, for pages that offer them."""

import strawberry

from schema.fields.fields import Info
from schema.fields.openness import OPEN
from schema.types.accounts.users import AuthProvider


@strawberry.type(description="An identity provider that people may sign in with.")
class SignInProvider:
    name: str = strawberry.field(description="What it is called.")
    kind: AuthProvider = strawberry.field(description="What it is.")  # type: ignore[valid-type]
    path: str = strawberry.field(
        description="The path of the gateway that a browser opens to sign in there. It comes back to the path in the "
        "parameter `next`, signed in by a cookie: `refresh` with `X-Torana-Session: cookie` gives the tokens."
    )


@strawberry.type(description="The ways to sign in.")
class SignInOptions:
    sign_up: bool = strawberry.field(description="Whether anyone may make an account, by `signUp`.")
    providers: list[SignInProvider] = strawberry.field(description="The identity providers; passwords do always.")


@strawberry.type
class SignInOptionsQuery:
    @strawberry.field(
        description="The ways to sign in. A token beside it that is no good is ignored.", metadata={OPEN: True}
    )
    async def sign_in_options(self, info: Info) -> SignInOptions:
        services = info.context.services
        return SignInOptions(
            sign_up=services.entrance.sign_up,
            providers=[
                SignInProvider(name=one.name, kind=AuthProvider(one.provider), path=f"/auth/{one.name}")
                for one in services.identity.issuers.providers
            ],
        )
