// Runs one operation with graphql-ws: every result until it completes, or the code of the socket's close.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { given, tell } from './told.mjs';

const { url, authorization, query, variables } = given;
const client = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
  retryAttempts: 0,
});

const results = [];
try {
  for await (const result of client.iterate({ query, variables })) results.push(result);
  tell({ results, completed: true });
} catch (problem) {
  const { code, reason } = problem;
  tell({ results, completed: false, code, reason, errors: Array.isArray(problem) ? problem : undefined });
}
