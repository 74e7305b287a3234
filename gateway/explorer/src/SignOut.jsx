import { session } from './session.js';

export function SignOut({ viewer }) {
  return (
    <div className="torana-sign-out">
      <span role="status">
        Signed in as <strong>{viewer}</strong>
      </span>
      <button type="button" className="torana-button" onClick={() => session.signOut()}>
        Sign out
      </button>
    </div>
  );
}
