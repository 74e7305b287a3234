// The audits of graphql-http: each one's id, name, outcome ("ok", "warn", "notice", "error") and why.
import { auditServer } from 'graphql-http';
import { given, tell } from './told.mjs';

const { url } = given;
const results = await auditServer({ url, fetchFn: fetch });
tell(results.map(({ id, name, status, reason }) => ({ id, name, status, reason: reason ?? null })));
