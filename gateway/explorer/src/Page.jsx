import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { AuthorizationHeader } from './AuthorizationHeader.jsx';
import { Bar } from './Bar.jsx';
import { examples } from './examples.js';
import { examplesPlugin } from './ExamplesPlugin.jsx';
import { fetcher } from './fetcher.js';
import { storage } from './storage.js';

const plugins = [HISTORY_PLUGIN, explorerPlugin(), examplesPlugin];
const [welcome] = examples;
const anyJson = {};
const customScalarSchemas = { JSON: anyJson };

export function Page() {
  return (
    <>
      <Bar />
      <main className="torana-main">
        <GraphiQL
          fetcher={fetcher}
          plugins={plugins}
          visiblePlugin={examplesPlugin}
          defaultQuery={welcome.query}
          defaultEditorToolsVisibility="headers"
          shouldPersistHeaders={false}
          storage={storage}
          customScalarSchemas={customScalarSchemas}
          inputValueDeprecation
          schemaDescription
        >
          <AuthorizationHeader />
        </GraphiQL>
      </main>
    </>
  );
}
