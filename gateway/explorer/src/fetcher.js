import { getOperationAST, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { post, socketUrl } from './endpoint.js';
import { noteIds } from './lastIds.js';

function selectedOperation(query, operationName) {
  try {
    const document = parse(query);
    // Just after a tab was opened GraphiQL still gives the former tab's operation name.
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null;
  }
}

/** The errors to show for a failed subscription: graphql-ws gives a bare event for a lost socket. */
function errorsOf(cause) {
  if (Array.isArray(cause)) return cause;
  const reason = cause.message || [cause.code, cause.reason].filter(Boolean).join(' ') || 'no connection';
  return [{ message: `The subscription's WebSocket failed: ${reason}` }];
}

/** One socket for each subscription, so that each carries the credentials of its own tab. */
function subscribe(operation, headers) {
  const authorization = new Headers(headers).get('authorization');
  const client = createClient({
    url: socketUrl,
    connectionParams: authorization ? { authorization } : undefined,
    retryAttempts: 0,
  });
  return {
    subscribe(observer) {
      const unsubscribe = client.subscribe(operation, {
        next: (result) => {
          noteIds(result);
          observer.next(result);
        },
        error: (cause) => observer.error(errorsOf(cause)),
        complete: () => observer.complete(),
      });
      return { unsubscribe };
    },
  };
}

export async function fetcher({ query, variables, operationName }, { headers } = {}) {
  const selected = selectedOperation(query, operationName);
  const operation = { query, variables, operationName: selected?.name?.value };
  if (selected?.operation === 'subscription') return subscribe(operation, headers);

  try {
    const result = await post(operation, headers);
    noteIds(result);
    return result;
  } catch ({ message }) {
    return { errors: [{ message }] };
  }
}
