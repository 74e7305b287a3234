// Runs one operation with graphql-sse, a connection for each operation: every result until it completes.
import { createClient } from 'graphql-sse';
import { given, tell } from './told.mjs';

const { url, authorization, query, variables } = given;
const client = createClient({ url, headers: authorization ? { authorization } : {}, retryAttempts: 0 });

const results = [];
for await (const result of client.iterate({ query, variables })) results.push(result);
tell({ results, completed: true });
