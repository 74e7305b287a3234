"""Who may call the facade, and who may not: a superadmin, who signed in or by an API key, services, an ordinary user."""

from dataclasses import dataclass
from typing import Any

from torana_client import Client
from torana_client.package_database import Database
from torana_client.package_database.types import TProvider

from tests.support.serving import Served

KEY = """mutation{done:createApiKey(label:"facade",scopes:[READ,WRITE],replace:true){
  ...on IssuedCredential{secret} ...on Problem{code message}}}"""
SERVICE = """mutation($input:NewService!){done:createService(input:$input){
  ...on Service{id} ...on Problem{code message field}}}"""
TOKEN = """mutation($service:ID!){done:createServiceToken(service:$service){
  ...on IssuedCredential{secret} ...on Problem{code message}}}"""


@dataclass(frozen=True)
class Callers:
    gateway: Served
    tokens: dict[str, str]

    def database(self, who: str = "service", provider: TProvider = "COGNITO") -> Database:
        return Database(Client(self.gateway.url, token=self.tokens[who]), provider)


async def callers(gateway: Served) -> Callers:
    root = await gateway.log_in("root")
    tokens = {"superadmin": root.removeprefix("Bearer ")}
    for who, name in (("superadmin's key", "root"), ("user", "tom")):
        tokens[who] = (await gateway.ask(KEY, await gateway.log_in(name)))["done"]["secret"]
    told: dict[str, Any] = {"name": "Packages", "key": "packages", "hostname": "127.0.0.1", "port": 1, "enabled": True}
    for who, acts in (("service", {"actsFor": "COGNITO"}), ("other service", {})):
        given = {**told, "key": who.replace(" ", "-"), "endpoint": "/", "clientEndpoint": "/", **acts}
        service = (await gateway.ask(SERVICE, root, input=given))["done"]["id"]
        tokens[who] = (await gateway.ask(TOKEN, root, service=service))["done"]["secret"]
    return Callers(gateway, tokens)
