import { SignIn } from './SignIn.jsx';
import { SignOut } from './SignOut.jsx';
import { useSession } from './useSession.js';

const favicon = `${import.meta.env.BASE_URL}favicon.svg`;

export function Bar() {
  const { viewer, restoring, problem } = useSession();
  // GraphiQL defines its colours and sizes on this class only.
  return (
    <header className="graphiql-container torana-bar">
      <div className="torana-brand">
        <img src={favicon} alt="" width="24" height="24" />
        <h1>Torana</h1>
        <span>GraphQL explorer</span>
      </div>
      {viewer ? <SignOut viewer={viewer} /> : restoring ? <span role="status">Signing in…</span> : <SignIn />}
      <p className="torana-problem" role="alert">
        {problem}
      </p>
    </header>
  );
}
