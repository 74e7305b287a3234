// Runs one operation with urql: every result that it gives.
import { Client, fetchExchange } from '@urql/core';
import { given, tell } from './told.mjs';

const { url, authorization, kind, query, variables } = given;
const accepts = [];
const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetch: (input, init) => {
    accepts.push(init.headers.accept);
    return fetch(input, init);
  },
  fetchOptions: { headers: authorization ? { authorization } : {} },
  fetchSubscriptions: true,
  preferGetMethod: false,
});

const results = [];
await new Promise((resolve) => {
  client[kind](query, variables).subscribe(({ data, error, hasNext }) => {
    results.push({ data, errors: error?.graphQLErrors, failure: error?.networkError?.message });
    if (!hasNext) resolve();
  });
});
tell({ accept: accepts.at(-1), results });
process.exit();
