import { codesOf, post } from './endpoint.js';

/** The codes of what may be tried again as it is. */
const AGAIN = new Set(['RATE_LIMITED', 'TIMEOUT', 'UNAVAILABLE']);

/** What the server says no to; `again` has the seconds after which it may be asked again, null for never. */
export class Refusal extends Error {
  constructor(message, code, details) {
    super(message);
    this.code = code;
    this.again = AGAIN.has(code) ? (details?.retryAfterSeconds ?? 2) : null;
  }
}

/** The `result` of an operation on the account, which goes on when the page is left; throws a Refusal for errors and for a Problem. */
export async function ask(query, variables, headers) {
  const { data, errors } = await post({ query, variables }, headers, { keepalive: true });
  if (errors) throw new Refusal(errors[0].message, codesOf(errors)[0], errors[0].extensions);
  const { result } = data;
  if (result?.__typename === 'Problem') throw new Refusal(result.message, result.code, result.details);
  return result;
}
