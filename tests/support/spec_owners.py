"""Who puts specs, over HTTP, and watches their packages being built."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from packaging.utils import canonicalize_name

from db import models as m
from jobs.specs.distributions import Package, source_distribution, wheel
from resolvers.files import storing
from resolvers.specs.reading import tables_of
from schema.fields.scalars import key_of
from tests.support.serving import Served
from tests.work.test_running import ended, until

PUT = """mutation($name:String!,$source:SpecSource!,$version:String){
  done:putSpec(name:$name,source:$source,language:JSON,version:$version){
    __typename ...on SpecVersion{id name spec{id version} job{id key kind state}} ...on Problem{code message details}}}"""
BUILT = """query($id:ID!){specVersion(id:$id){job{id state attempt error{code message} log(first:50){nodes{text}}}
  files(first:9){nodes{id name size digest state purpose downloadUrl}}}}"""


@dataclass
class SpecOwner:
    gateway: Served
    bearer: str

    async def put(self, name: str, source: str, version: str | None = None) -> Any:
        return (await self.gateway.ask(PUT, self.bearer, name=name, source=source, version=version))["done"]

    async def read(self, version: str) -> Any:
        return (await self.gateway.ask(BUILT, self.bearer, id=version))["specVersion"]

    async def built(self, version: str) -> Any:
        """The version, once its job has ended."""
        job = (await self.read(version))["job"]
        await until(self.gateway, self.bearer, job["id"], ended)
        return await self.read(version)

    async def run(self, mutation: str, key: str) -> Any:
        query = f"mutation($id:ID!){{done:{mutation}(id:$id){{__typename ...on Problem{{code message}}}}}}"
        return (await self.gateway.ask(query, self.bearer, id=key))["done"]

    async def fetched(self, file: Any) -> bytes:
        answer = await self.gateway.client.get(file["downloadUrl"])
        assert answer.status_code == 200, answer.text
        return answer.content


KEY = """mutation($label:String!){done:createApiKey(label:$label,scopes:[READ]){...on IssuedCredential{publicKey secret}
  ...on Problem{code message}}}"""


async def pair(owner: SpecOwner) -> tuple[str, str]:
    """An API key, as a name and a password."""
    made = (await owner.gateway.ask(KEY, owner.bearer, label=str(uuid4())))["done"]
    return made["publicKey"], made["secret"]


async def publish(owner: SpecOwner, name: str, source: str, version: str | None = None) -> Any:
    """Put a version, and store what its build would deliver."""
    done = await owner.put(name, source, version)
    assert done["__typename"] == "SpecVersion", done
    services, key = owner.gateway.services, key_of("SpecVersion", done["id"])
    package = Package(canonicalize_name(name), done["name"], "Beams", "What a beam line has.")
    tables = tables_of(source, m.SpecLanguage.JSON)
    for filename, content in (wheel(package, tables), source_distribution(package, tables)):
        digest = await storing.place(services, content)
        async with services.database.write(as_system="test") as session:
            purpose = m.FilePurpose.SPEC_PACKAGE
            await storing.store(session, purpose, filename, digest, len(content), spec_version_id=key)
    return done
