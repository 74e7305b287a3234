import { useState } from 'react';
import { Providers } from './Providers.jsx';
import { session } from './session.js';

const CODE = { TOTP: 'Code of your authenticator', EMAIL: 'Code that was mailed to you' };

export function SignIn() {
  const [busy, setBusy] = useState(false);
  const [method, setMethod] = useState('');

  async function submit(event) {
    event.preventDefault();
    const { username, password, code } = event.currentTarget.elements;
    setBusy(true);
    const found = await session.signIn(username.value, password.value, code?.value || null);
    if (found === true) return;
    setBusy(false);
    if (found) setMethod(found);
    else (code ?? password).select();
  }

  return (
    <div className="torana-sign-in">
      <form aria-label="Sign in" aria-busy={busy} onSubmit={submit}>
        <label>
          <span>Username or e-mail</span>
          <input name="username" autoComplete="username" autoCapitalize="none" spellCheck="false" required />
        </label>
        <label>
          <span>Password</span>
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        {method && (
          <label>
            <span>{CODE[method]}</span>
            <input name="code" autoComplete="one-time-code" autoFocus required />
          </label>
        )}
        <button className="torana-button torana-button-main" disabled={busy}>
          Sign in
        </button>
      </form>
      <Providers />
    </div>
  );
}
