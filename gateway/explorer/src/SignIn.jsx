import { useState } from 'react';
import { session } from './session.js';

export function SignIn() {
  const [busy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    const { username, password } = event.currentTarget.elements;
    setBusy(true);
    const signedIn = await session.signIn(username.value, password.value);
    if (!signedIn) {
      setBusy(false);
      password.select();
    }
  }

  return (
    <form className="torana-sign-in" aria-label="Sign in" aria-busy={busy} onSubmit={submit}>
      <label>
        <span>Username or e-mail</span>
        <input name="username" autoComplete="username" autoCapitalize="none" spellCheck="false" required />
      </label>
      <label>
        <span>Password</span>
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button className="torana-button torana-button-main" disabled={busy}>
        Sign in
      </button>
    </form>
  );
}
