const endpoint = location.origin + location.pathname;

export const socketUrl = endpoint.replace(/^http/, 'ws');

/** The codes of an answer's errors, by which docs/clients.md says what to do. */
export const codesOf = (errors) => (errors ?? []).map((error) => error.extensions?.code);

/** The answer to an operation. With `keepalive` it is sent to its end also when the page goes away meanwhile. */
export async function post(operation, headers, { keepalive = false } = {}) {
  const sent = new Headers(headers);
  sent.set('Accept', 'application/graphql-response+json, application/json;q=0.9');
  sent.set('Content-Type', 'application/json');
  const body = JSON.stringify(operation);
  const response = await fetch(endpoint, { method: 'POST', headers: sent, body, keepalive }).catch(() => {
    throw new Error('The server cannot be reached.');
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The server answered ${response.status}: ${text.slice(0, 300)}`);
  }
}
