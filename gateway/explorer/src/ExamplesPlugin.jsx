import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { examples, variablesOf } from './examples.js';

/** GraphiQL has no action for this: its "Variables" button is the only way to show them. */
function showVariables() {
  document.querySelector('.graphiql-editor-tools [data-name="variables"]').click();
}

function showActiveTab() {
  document.querySelector('.graphiql-tab-active').scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function Examples() {
  const { addTab, stop, updateActiveTabValues } = useGraphiQLActions();
  const { queryEditor, variableEditor } = useGraphiQL(pick('queryEditor', 'variableEditor'));

  function open(example) {
    const { query } = example;
    const variables = variablesOf(example);
    stop();
    addTab();
    updateActiveTabValues({ query, variables });
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
    if (variables) showVariables();
    requestAnimationFrame(showActiveTab);
  }

  return (
    <section className="torana-examples" aria-label="Examples">
      <h2>Examples</h2>
      <p>Choose one to open it in a new tab, then run it with Ctrl+Enter.</p>
      <ul>
        {examples.map((example) => (
          <li key={example.title}>
            <button type="button" onClick={() => open(example)}>
              <span>{example.title}</span>
              <small className={`torana-kind torana-kind-${example.kind}`}>{example.kind}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ExamplesIcon() {
  return (
    <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M3 3.5h14v13H3zM3 7.5h14M6 11l2 1.5L6 14M10.5 14H14" />
    </svg>
  );
}

export const examplesPlugin = { title: 'Examples', icon: ExamplesIcon, content: Examples };
