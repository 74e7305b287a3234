import { useGraphiQL } from '@graphiql/react';
import { useEffect, useRef } from 'react';
import { useSession } from './useSession.js';

let tabLeaves = false;

/** Where the keyboard is: it leaves editors by Tab, and goes on somewhere when the form that it was in is gone. */
export function Focus() {
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const { viewer, duties } = useSession();
  const ready = viewer !== null && duties.length === 0;
  const before = useRef(ready);

  useEffect(() => {
    if (!queryEditor || tabLeaves) return;
    tabLeaves = true;
    // What Ctrl+M does, for all editors.
    queryEditor.trigger('page', 'editor.action.toggleTabFocusMode');
  }, [queryEditor]);

  useEffect(() => {
    if (before.current === ready) return;
    before.current = ready;
    // A renewal in the background takes nobody's focus, nor does the end of a session while one writes.
    if (document.activeElement !== document.body) return;
    if (ready) queryEditor?.focus();
    else document.querySelector('.torana-sign-in input')?.focus();
  }, [ready, queryEditor]);

  return null;
}
