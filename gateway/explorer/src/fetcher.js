import { getOperationAST, parse } from 'graphql';
import { noteIds } from './lastIds.js';
import { session } from './session.js';
import { watch } from './watch.js';

function selectedOperation(query, operationName) {
  try {
    const document = parse(query);
    // Just after a tab was opened GraphiQL still gives the former tab's operation name.
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null;
  }
}

export async function fetcher({ query, variables, operationName }, { headers } = {}) {
  const selected = selectedOperation(query, operationName);
  const operation = { query, variables, operationName: selected?.name?.value };
  if (selected?.operation === 'subscription') return watch(operation, headers);

  try {
    const result = await session.post(operation, headers);
    noteIds(result);
    return result;
  } catch ({ message }) {
    return { errors: [{ message }] };
  }
}
