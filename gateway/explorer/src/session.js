import { post, codesOf } from './endpoint.js';
import { Refusal, ask } from './refusal.js';

const TOKENS = `
  ... on Tokens { accessToken expiresIn duties viewer { username email } }
  ... on Problem { code message details }
`;
const LOG_IN = `
  mutation LogIn($username: String!, $password: String!, $code: String) {
    result: logIn(username: $username, password: $password, code: $code) {
      __typename ${TOKENS} ... on TwoFactorNeeded { method }
    }
  }
`;
const REFRESH = `mutation Refresh { result: refresh { __typename ${TOKENS} } }`;
const LOG_OUT = `
  mutation LogOut { result: logOut { __typename ... on Problem { code message details } } }
`;

/** The gateway keeps the refresh token in a cookie that no script reads. */
const COOKIE = { 'X-Torana-Session': 'cookie' };
/** Says that there is such a cookie; it is no secret. */
const KEPT = 'torana:signed-in';

const RENEW_BEFORE_EXPIRY_S = 60;
const FRESH_FOR_S = 10;
const RETRY_RENEWAL_S = 5;
const CROSSED_PAUSES_MS = [100, 300, 900, 2700];
const SIGNED_OUT = { viewer: null, email: null, authorization: '', duties: [], problem: '', restoring: false };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The next tokens. Another page of this browser may have spent the cookie just now: the one that followed is there soon. */
async function refreshed() {
  for (const ms of CROSSED_PAUSES_MS) {
    try {
      return await ask(REFRESH, {}, COOKIE);
    } catch (error) {
      if (error.code !== 'CONFLICT') throw error;
      await pause(ms);
    }
  }
  return ask(REFRESH, {}, COOKIE);
}

/** Who is signed in. The access token lives in this object only; a reload asks for another by the cookie. */
class Session {
  #freshUntil = 0;
  #renewing = null;
  #signIns = 0;
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

  /** Goes on with the session that this browser has; the page was just loaded. */
  async restore() {
    addEventListener('storage', ({ key, newValue }) => {
      if (key === KEPT && newValue === null && this.#state.viewer) this.#forget('Signed out in another tab.');
    });
    if (localStorage.getItem(KEPT) === null) return;
    this.#publish({ ...SIGNED_OUT, restoring: true });
    await this.renew();
  }

  /** The browser is led to an identity provider, and comes back with a cookie, or without. */
  leaving() {
    localStorage.setItem(KEPT, 'cookie');
  }

  /** Whether it worked, or the method of the second factor whose code is needed. */
  async signIn(username, password, code) {
    this.#publish(SIGNED_OUT);
    try {
      const found = await ask(LOG_IN, { username, password, code }, COOKIE);
      if (found.__typename === 'TwoFactorNeeded') return found.method;
      this.#signIns += 1;
      this.#keep(found);
      return true;
    } catch (error) {
      this.#publish({ ...SIGNED_OUT, problem: `Could not sign in: ${error.message}` });
      return false;
    }
  }

  async signOut() {
    const authorization = await this.fresh();
    if (!authorization) return;
    this.#forget();
    try {
      await ask(LOG_OUT, {}, { ...COOKIE, authorization });
    } catch (error) {
      const problem = `Signed out on this page, but the server did not end the session: ${error.message}`;
      if (!this.#state.viewer) this.#publish({ ...SIGNED_OUT, problem });
    }
  }

  /** An Authorization that holds for a while yet; empty for who is signed out. */
  async fresh() {
    if (this.#state.authorization && Date.now() >= this.#freshUntil) await this.renew();
    return this.#state.authorization;
  }

  /** Asks for the next tokens, once for all who want them now. */
  renew() {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  /** The answer to an operation with these headers; asked once more when a token of this session had ended. */
  async post(operation, headers) {
    const sent = new Headers(headers);
    if (!this.issued(sent.get('authorization'))) return post(operation, sent);
    sent.set('authorization', await this.fresh());
    const answer = await post(operation, sent);
    const codes = codesOf(answer.errors);
    // A refresh tells whether the session has ended, or something else was wrong.
    if (codes.includes('UNAUTHENTICATED')) await this.renew();
    if (!codes.includes('TOKEN_EXPIRED')) return answer;
    await this.renew();
    if (!this.#state.authorization) return answer;
    sent.set('authorization', this.#state.authorization);
    return post(operation, sent);
  }

  /** The `result` of a mutation about the account of who is signed in. */
  async change(query, variables) {
    return ask(query, variables, { ...COOKIE, authorization: await this.fresh() });
  }

  async #renew() {
    const signIns = this.#signIns;
    try {
      const tokens = await refreshed();
      if (signIns === this.#signIns) this.#keep(tokens);
    } catch (error) {
      if (signIns !== this.#signIns) return;
      const restoring = this.#state.restoring;
      if (error instanceof Refusal && error.again === null) {
        this.#forget(restoring ? '' : `The session has ended: ${error.message}`);
      } else {
        this.#publish({ ...this.#state, problem: `Could not renew the session: ${error.message}` });
        this.#renewIn(error.again ?? RETRY_RENEWAL_S);
      }
    }
  }

  #keep({ accessToken, expiresIn, duties, viewer }) {
    const authorization = `Bearer ${accessToken}`;
    this.#issued.add(authorization);
    localStorage.setItem(KEPT, 'cookie');
    this.#freshUntil = Date.now() + Math.max(expiresIn - FRESH_FOR_S, expiresIn / 2) * 1000;
    this.#renewIn(Math.max(expiresIn - RENEW_BEFORE_EXPIRY_S, expiresIn / 2));
    const { username = 'a participant', email = null } = viewer ?? {};
    this.#publish({ ...SIGNED_OUT, viewer: username, email, authorization, duties });
  }

  #forget(problem = '') {
    clearTimeout(this.#timer);
    this.#signIns += 1;
    localStorage.removeItem(KEPT);
    this.#publish({ ...SIGNED_OUT, problem });
  }

  #renewIn(seconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.renew(), seconds * 1000);
  }

  #publish(state) {
    this.#state = state;
    this.#listeners.forEach((listener) => listener());
  }
}

export const session = new Session();
