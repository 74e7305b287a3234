import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';
import { withAuthorization } from './headers.js';
import { session } from './session.js';
import { useSession } from './useSession.js';

/** Keeps the session's Authorization in the header editor of whichever tab is open. */
export function AuthorizationHeader() {
  const headerEditor = useGraphiQL((state) => state.headerEditor);
  const { authorization } = useSession();

  useEffect(() => {
    if (!headerEditor) return undefined;
    function fill() {
      const text = headerEditor.getValue();
      const filled = withAuthorization(text, authorization, (value) => session.issued(value));
      if (filled !== text) headerEditor.setValue(filled);
    }
    fill();
    // Another tab or a history entry replaces the text; what a person types is left alone.
    // The editor breaks if its text is set while it still tells its listeners of a change.
    const listener = headerEditor.onDidChangeModelContent(() => {
      if (!headerEditor.hasTextFocus()) queueMicrotask(fill);
    });
    return () => listener.dispose();
  }, [headerEditor, authorization]);

  return null;
}
