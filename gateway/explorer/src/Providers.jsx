import { useEffect, useState } from 'react';
import { post } from './endpoint.js';
import { session } from './session.js';

const OPTIONS = '{ signInOptions { providers { name path } } }';
let asked;

/** The identity providers of the gateway, asked for once; none where it does not tell. */
function providers() {
  asked ??= post({ query: OPTIONS }).then(
    ({ data }) => data?.signInOptions.providers ?? [],
    () => [],
  );
  return asked;
}

/** A link for each identity provider: signing in there leads back to this page. */
export function Providers() {
  const [found, setFound] = useState([]);

  useEffect(() => {
    let here = true;
    providers().then((list) => here && setFound(list));
    return () => {
      here = false;
    };
  }, []);

  const next = encodeURIComponent(location.pathname + location.search);
  return found.map(({ name, path }) => (
    <a key={name} className="torana-button" href={`${path}?next=${next}`} onClick={() => session.leaving()}>
      Sign in with {name}
    </a>
  ));
}
