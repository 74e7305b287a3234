"""The facade itself, with the functions of the old `TDatabase`."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from torana_client.client import Client
from torana_client.package_database import stand_in, types
from torana_client.package_database.credentials import Credentials
from torana_client.package_database.exceptions import UnsupportedError
from torana_client.package_database.owners import Owners
from torana_client.package_database.specs import Specs

SCOPES = ("READ",)
"""What the keys of users may do: install packages, and read."""


class Database:
    """OpenAlchemy's package database over a gateway: its functions, with their names, arguments and results.

    `client` asks as a service that acts for the users of `provider`, by the token of the service, or as a superadmin. A
    superadmin's API key does all but make keys for users: the gateway lets no key make keys. A `sub` is the identity of
    a user at the provider. The gateway makes an account for one that it does not know, when a spec or a pair of keys is
    first written for it.

    Threads may share a facade. All functions raise `torana_client.ToranaError` where the gateway refuses or is away:
    `Unauthenticated` or `Forbidden` for a token that may not do this, `Unavailable` for a gateway that is out of reach.

    What is not as it was in the old package:

    - **Hashes and salts never leave the gateway.** Infos of credentials have no `salt`, `get_user` gives the `sub`
      alone. `check_credentials` asks the gateway whether a pair of keys is good.
    - **The gateway makes the keys, and nobody else.** `create_update_credentials` refuses a key, a hash or a salt that
      is given, and returns the pair that was made. Its secret is shown this once.
    - **A version is there once.** The old database listed a version as often as it was put. It is listed once now, with
      what was put last.
    - **Nothing is lost within a second.** The old database kept one of the versions of a spec that were put within one
      second. All are kept now.
    - **A spec is written whole or not at all.** The old database wrote a version and the copy `latest#` one after the
      other. A refused or broken write leaves nothing here.
    - **A delete tells when it failed.** What is not there is silently left out, as before.
    - **A spec has a source.** Give it as `source`. Without one, a stand-in is stored that has as many models as said.
    - **Versions follow PEP 440.** They come back in their normal form: `1.0.0-rc.1` as `1.0.0rc1`. 1.4 and 1.4.0 are
      one version. Others raise `Invalid`, as do names of specs that pip would not take, and titles or descriptions that
      are too long.
    - **A spec has one name.** Its versions come with the spelling that was put last.
    - **What was fetched stays.** Other content of a version whose package was fetched raises `Conflict`, also after the
      version was deleted. Lock files hold its hash.
    - **There are limits.** A spec has a model at least (`Invalid`), and a user no more of them than allowed (`Quota`).
      To a spec that is archived nothing is put (`State`).
    """

    def __init__(self, client: Client, provider: types.TProvider = "COGNITO") -> None:
        owners = Owners(provider)
        self._client = client
        self._specs = Specs(client, owners)
        self._credentials = Credentials(client, owners)

    def count_customer_models(self, *, sub: types.TSub) -> int:
        """How many models the latest versions of the user's specs have; 0 for a user who is not known."""
        return self._specs.count_models(sub)

    def create_update_spec(
        self,
        *,
        sub: types.TSub,
        name: types.TSpecName,
        version: types.TSpecVersion,
        model_count: types.TSpecModelCount,
        title: types.TOptSpecTitle = None,
        description: types.TOptSpecDescription = None,
        source: str | None = None,
        language: types.TSpecLanguage = "JSON",
    ) -> None:
        """Put a version of a spec, which is then its latest.

        With `source`, an OpenAPI specification, the gateway counts its models and reads its title and description;
        what is said beside it does not count. Without it a stand-in is stored. Raises UnsupportedError where that would
        follow a real source. Raises `Invalid` for a source with faults, all of them in `extensions["faults"]`, `Quota`
        for too many models, `Conflict` where the package of this version was fetched and has other content.
        """
        if source is not None:
            self._specs.put(sub, name, version, source, language)
        else:
            text = stand_in.source(version, model_count, title, description)
            self._specs.put_stand_in(sub, name, version, text)

    def get_latest_spec_version(self, *, sub: types.TSub, name: types.TSpecName) -> types.TSpecVersion:
        """The version that was put last. Raises NotFoundError where the user has no such spec."""
        return self._specs.latest(sub, name)["version"]

    def list_specs(self, *, sub: types.TSub) -> types.TSpecInfoList:
        """The latest version of each of the user's specs, in the order of their ids."""
        return self._specs.infos(sub)

    def get_spec(self, *, sub: types.TSub, name: types.TSpecName) -> types.TSpecInfo:
        """The latest version of a spec. Raises NotFoundError where the user has no such spec."""
        return self._specs.latest(sub, name)

    def delete_spec(self, *, sub: types.TSub, name: types.TSpecName) -> None:
        """Delete a spec with all its versions. Does nothing where the user has no such spec."""
        self._specs.delete(sub, name)

    def list_spec_versions(self, *, sub: types.TSub, name: types.TSpecName) -> types.TSpecInfoList:
        """All versions of a spec, the one that was put last at the end. Raises NotFoundError where there is none."""
        return self._specs.versions(sub, name)

    def delete_all_specs(self, *, sub: types.TSub) -> None:
        """Delete all specs of a user."""
        self._specs.delete_all(sub)

    def list_credentials(self, *, sub: types.TSub) -> types.TCredentialsInfoList:
        """The user's credentials, in the order of their ids, without the salts."""
        return self._credentials.infos(sub)

    def create_update_credentials(
        self,
        *,
        sub: types.TSub,
        id_: types.TCredentialsId,
        public_key: types.TCredentialsPublicKey | None = None,
        secret_key_hash: bytes | None = None,
        salt: bytes | None = None,
        scopes: Sequence[str] = SCOPES,
    ) -> types.NewCredentials:
        """Have a pair of keys made, in place of the one with this id. Keep the secret key: it is shown this once.

        Raises UnsupportedError where a key, a hash or a salt is given: the gateway makes the keys. Raises `Forbidden`
        for the API key of a superadmin, `Invalid` for an id that can't be the label of a key: it has 1 to 100
        characters that can be seen.
        """
        if (public_key, secret_key_hash, salt) != (None, None, None):
            raise UnsupportedError("the gateway makes the keys: give the `sub` and the `id_` alone")
        return self._credentials.create(sub, id_, scopes)

    def get_credentials(self, *, sub: types.TSub, id_: types.TCredentialsId) -> types.TCredentialsInfo | None:
        """The user's credentials with this id, without the salt; None where there are none."""
        return self._credentials.get(sub, id_)

    def get_user(self, *, public_key: types.TCredentialsPublicKey) -> types.CredentialsAuthInfo | None:
        """Whose public key it is, without hash and salt; None where it is nobody's. It proves nothing yet."""
        sub = self._credentials.user(public_key)
        return None if sub is None else types.CredentialsAuthInfo(sub)

    def check_credentials(
        self, *, public_key: types.TCredentialsPublicKey, secret_key: types.TCredentialsSecretKey
    ) -> types.TSub | None:
        """Whose pair of keys it is; None where there is no such pair. In place of comparing hashes.

        The gateway is asked with the pair, by HTTP Basic.
        """
        return self._credentials.check(public_key, secret_key)

    def delete_credentials(self, *, sub: types.TSub, id_: types.TCredentialsId) -> None:
        """Revoke the user's credentials with this id. Does nothing where there are none."""
        self._credentials.revoke(sub, id_)

    def delete_all_credentials(self, *, sub: types.TSub) -> None:
        """Revoke all credentials of a user."""
        self._credentials.revoke_all(sub)

    def delete_all(self, *, sub: types.TSub) -> None:
        """Delete all specs of a user, then revoke all credentials."""
        self.delete_all_specs(sub=sub)
        self.delete_all_credentials(sub=sub)

    def close(self) -> None:
        """Close the connections of its client."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
