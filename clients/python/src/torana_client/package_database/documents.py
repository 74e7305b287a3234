"""The operations that the facade sends."""

PAGE = "pageInfo { hasNextPage endCursor }"
PROBLEM = "... on Problem { code message field details }"
INFO = "name title description modelCount updatedAt"

MODELS = """
query CountModels($owner: UserFilter!) {
  users(first: 1, filter: $owner) { nodes { specModelCount } }
}"""

SPECS = f"""
query ListSpecs($filter: SpecFilter!, $after: String) {{
  specs(first: 100, after: $after, filter: $filter) {{
    nodes {{ id name canonicalName latestVersion {{ {INFO} }} }}
    {PAGE}
  }}
}}"""

VERSIONS = f"""
query ListSpecVersions($filter: SpecVersionFilter!, $after: String) {{
  specVersions(first: 100, after: $after, filter: $filter) {{
    nodes {{ {INFO} spec {{ name canonicalName }} }}
    {PAGE}
  }}
}}"""

SOURCE = """
query ReadSource($filter: SpecFilter!) {
  specs(first: 1, filter: $filter) { nodes { version latestVersion { source } } }
}"""

PUT = f"""
mutation PutSpec(
  $name: String!, $source: SpecSource!, $language: SpecLanguage!, $version: String!, $expectedVersion: Int,
  $owner: Owner!
) {{
  putSpec(
    name: $name, source: $source, language: $language, version: $version,
    expectedVersion: $expectedVersion, owner: $owner
  ) {{
    ... on SpecVersion {{ id }}
    {PROBLEM}
  }}
}}"""

DELETE = f"""
mutation DeleteSpec($id: ID!) {{
  deleteSpec(id: $id) {{ __typename {PROBLEM} }}
}}"""

DELETE_ALL = f"""
mutation DeleteAllSpecs($owner: Owner!) {{
  deleteAllSpecs(owner: $owner) {{ __typename {PROBLEM} }}
}}"""

CREDENTIALS = f"""
query ListCredentials($filter: CredentialFilter!, $after: String) {{
  credentials(first: 100, after: $after, orderBy: {{ field: ID, direction: ASC }}, filter: $filter) {{
    nodes {{ id label publicKey expiresAt }}
    {PAGE}
  }}
}}"""

CREATE_KEY = f"""
mutation CreateKey($label: String!, $scopes: [KeyScope!]!, $owner: Owner!) {{
  createApiKey(label: $label, scopes: $scopes, replace: true, owner: $owner) {{
    ... on IssuedCredential {{ secret publicKey }}
    {PROBLEM}
  }}
}}"""

USER = """
query FindUser($filter: CredentialFilter!) {
  credentials(first: 1, filter: $filter) { nodes { user { externalSubject authProvider } expiresAt } }
}"""

VIEWER = """
query WhoAsks { viewer { externalSubject authProvider } }"""

REVOKE = f"""
mutation RevokeKey($id: ID!) {{
  revokeCredential(id: $id) {{ __typename {PROBLEM} }}
}}"""

REVOKE_ALL = f"""
mutation RevokeAllKeys($owner: Owner!) {{
  revokeAllCredentials(owner: $owner) {{ __typename {PROBLEM} }}
}}"""
