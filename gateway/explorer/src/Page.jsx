import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { AuthorizationHeader } from './AuthorizationHeader.jsx';
import { Bar } from './Bar.jsx';
import { Duties } from './Duties.jsx';
import { examples } from './examples.js';
import { examplesPlugin } from './ExamplesPlugin.jsx';
import { fetcher } from './fetcher.js';
import { Focus } from './Focus.jsx';
import { storage } from './storage.js';
import { uploadsPlugin } from './UploadsPlugin.jsx';
import { useSession } from './useSession.js';

const plugins = [HISTORY_PLUGIN, explorerPlugin(), examplesPlugin, uploadsPlugin];
const [welcome] = examples;
const anyJson = {};
const customScalarSchemas = { JSON: anyJson };
/** Where there is room for one thing only, it is the editor. */
const wide = matchMedia('(min-width: 48rem)').matches;

export function Page() {
  const { duties } = useSession();
  return (
    <>
      <Bar />
      <Duties duties={duties} />
      <main className="torana-main" hidden={duties.length > 0}>
        <GraphiQL
          fetcher={fetcher}
          plugins={plugins}
          visiblePlugin={wide ? examplesPlugin : undefined}
          defaultQuery={welcome.query}
          defaultEditorToolsVisibility={wide ? 'headers' : false}
          shouldPersistHeaders={false}
          storage={storage}
          customScalarSchemas={customScalarSchemas}
          inputValueDeprecation
          schemaDescription
        >
          <AuthorizationHeader />
          <Focus />
        </GraphiQL>
      </main>
    </>
  );
}
