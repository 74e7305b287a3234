import { post } from './endpoint.js';

const TOKENS = `
  ... on Tokens { accessToken refreshToken expiresIn viewer { username } }
  ... on Problem { message }
`;
const LOG_IN = `
  mutation LogIn($username: String!, $password: String!, $code: String) {
    result: logIn(username: $username, password: $password, code: $code) {
      __typename ${TOKENS} ... on TwoFactorNeeded { method }
    }
  }
`;
const REFRESH = `
  mutation Refresh($refreshToken: String!) {
    result: refresh(refreshToken: $refreshToken) { __typename ${TOKENS} }
  }
`;
const LOG_OUT = `
  mutation LogOut {
    result: logOut { __typename ... on Problem { message } }
  }
`;

const RENEW_BEFORE_EXPIRY_S = 60;
const RETRY_RENEWAL_S = 5;
const SIGNED_OUT = { viewer: null, authorization: '', problem: '' };

class Refusal extends Error {}

async function mutate(query, variables, headers) {
  const { data, errors } = await post({ query, variables }, headers);
  if (errors) throw new Refusal(errors[0].message);
  if (data.result.__typename === 'Problem') throw new Refusal(data.result.message);
  return data.result;
}

/** Who is signed in. Tokens live in this object only, so a reload signs out. */
class Session {
  #tokens = null;
  #timer;
  #issued = new Set();
  #state = SIGNED_OUT;
  #listeners = new Set();

  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = () => this.#state;

  /** Whether an Authorization value was issued here, rather than typed by the person. */
  issued(authorization) {
    return this.#issued.has(authorization);
  }

  /** Whether it worked, or the method of the second factor whose code is needed. */
  async signIn(username, password, code) {
    this.#publish(SIGNED_OUT);
    try {
      const found = await mutate(LOG_IN, { username, password, code });
      if (found.__typename === 'TwoFactorNeeded') return found.method;
      this.#keep(found);
      return true;
    } catch (error) {
      this.#publish({ ...SIGNED_OUT, problem: `Could not sign in: ${error.message}` });
      return false;
    }
  }

  async signOut() {
    const { authorization } = this.#state;
    this.#forget();
    try {
      await mutate(LOG_OUT, {}, { authorization });
    } catch (error) {
      const problem = `Signed out on this page, but the server did not end the session: ${error.message}`;
      if (!this.#tokens) this.#publish({ ...SIGNED_OUT, problem });
    }
  }

  async #renew() {
    const { refreshToken } = this.#tokens;
    const current = () => this.#tokens?.refreshToken === refreshToken;
    try {
      const tokens = await mutate(REFRESH, { refreshToken });
      if (current()) this.#keep(tokens);
    } catch (error) {
      if (!current()) return;
      if (error instanceof Refusal) {
        this.#forget(`The session has ended: ${error.message}`);
      } else {
        this.#publish({ ...this.#state, problem: `Could not renew the session: ${error.message}` });
        this.#renewIn(RETRY_RENEWAL_S);
      }
    }
  }

  #keep(tokens) {
    const authorization = `Bearer ${tokens.accessToken}`;
    this.#tokens = tokens;
    this.#issued.add(authorization);
    this.#renewIn(Math.max(tokens.expiresIn - RENEW_BEFORE_EXPIRY_S, tokens.expiresIn / 2));
    this.#publish({ viewer: tokens.viewer.username, authorization, problem: '' });
  }

  #forget(problem = '') {
    clearTimeout(this.#timer);
    this.#tokens = null;
    this.#publish({ ...SIGNED_OUT, problem });
  }

  #renewIn(seconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), seconds * 1000);
  }

  #publish(state) {
    this.#state = state;
    this.#listeners.forEach((listener) => listener());
  }
}

export const session = new Session();
