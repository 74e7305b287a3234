import { createClient } from 'graphql-ws';
import { codesOf, socketUrl } from './endpoint.js';
import { noteIds } from './lastIds.js';
import { session } from './session.js';

const FORBIDDEN = 4403;
/** Closes after which one connects again: the network was lost, the gateway restarts, or something it needs is away. */
const PASSING = new Set([1006, 1012, 1013]);
const ATTEMPTS = 5;

const expired = ({ code, reason }) => code === FORBIDDEN && reason.startsWith('TOKEN_EXPIRED');

/** The errors to show for a failed subscription: graphql-ws gives a bare event for a lost socket. */
function errorsOf(cause) {
  if (Array.isArray(cause)) return cause;
  const reason = cause.message || cause.reason || cause.code || 'no connection';
  return [{ message: `The subscription's WebSocket failed: ${reason}` }];
}

async function ownParams() {
  const authorization = await session.fresh();
  if (!authorization) throw new Error('the session has ended');
  return { authorization };
}

/**
 * Follows a subscription on a socket of its own, so that each carries the credentials of its own tab. With the session's
 * token it goes on when that ends: it connects again with a fresh one.
 */
export function watch(operation, headers) {
  const authorization = new Headers(headers).get('authorization');
  const own = session.issued(authorization);
  return {
    subscribe(observer) {
      let failures = 0;
      let again = own;
      let stop = () => {};
      let stopped = false;

      function start() {
        const client = createClient({
          url: socketUrl,
          connectionParams: own ? ownParams : authorization && { authorization },
          retryAttempts: ATTEMPTS,
          shouldRetry: (closed) => {
            if (own && expired(closed)) return true;
            failures += 1;
            return PASSING.has(closed.code) && failures <= ATTEMPTS;
          },
          retryWait: () => new Promise((resolve) => setTimeout(resolve, failures && 500 * 2 ** failures)),
        });
        stop = client.subscribe(operation, {
          next: (result) => {
            failures = 0;
            again = own;
            noteIds(result);
            observer.next(result);
          },
          error: async (cause) => {
            if (again && Array.isArray(cause) && codesOf(cause).includes('TOKEN_EXPIRED')) {
              again = false;
              await session.renew();
              if (!stopped) start();
              return;
            }
            if (own && cause.code === FORBIDDEN) session.renew();
            observer.error(errorsOf(cause));
          },
          complete: () => observer.complete(),
        });
      }

      start();
      return {
        unsubscribe() {
          stopped = true;
          stop();
        },
      };
    },
  };
}
