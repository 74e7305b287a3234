"""What the facade takes and gives."""

import dataclasses
from typing import Literal, NotRequired, TypedDict

TSub = str

TSpecId = str
TSpecName = str
TSpecVersion = str
TSpecTitle = str
TOptSpecTitle = TSpecTitle | None
TSpecDescription = str
TOptSpecDescription = TSpecDescription | None
TSpecUpdatedAt = int
TSpecModelCount = int
TSpecLanguage = Literal["JSON", "YAML"]

TCredentialsId = str
TCredentialsPublicKey = str
TCredentialsSecretKey = str

TProvider = Literal["COGNITO", "KEYCLOAK"]


class TSpecInfo(TypedDict):
    """A version of a spec. `title` and `description` are left out where it has none, or an empty one.

    `id` is the canonical form of `name`. `updated_at` is when the version was put, in whole seconds since 1970.
    """

    id: TSpecId
    name: TSpecName
    version: TSpecVersion
    updated_at: TSpecUpdatedAt
    model_count: TSpecModelCount
    title: NotRequired[TSpecTitle]
    description: NotRequired[TSpecDescription]


TSpecInfoList = list[TSpecInfo]


class TCredentialsInfo(TypedDict):
    """A pair of keys. The old `salt` is not there: it never leaves the gateway."""

    id: TCredentialsId
    public_key: TCredentialsPublicKey


TCredentialsInfoList = list[TCredentialsInfo]


@dataclasses.dataclass(frozen=True)
class CredentialsAuthInfo:
    """Whose public key it is. The old `secret_key_hash` and `salt` are not there: see `Database.check_credentials`."""

    sub: TSub


@dataclasses.dataclass(frozen=True)
class NewCredentials:
    """A pair of keys that the gateway made. The secret key is shown this once."""

    id: TCredentialsId
    public_key: TCredentialsPublicKey
    secret_key: TCredentialsSecretKey = dataclasses.field(repr=False)
