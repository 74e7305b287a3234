import { lastId, TYPES } from './lastIds.js';

const operations = import.meta.glob('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });
const variables = import.meta.glob('./examples/*.json', { query: '?raw', import: 'default', eager: true });

/** The operations to choose from, by file name. A file's first comment line is its title. */
export const examples = Object.keys(operations)
  .sort()
  .map((path) => ({
    title: operations[path].match(/^# *(.*)/)[1],
    kind: operations[path].match(/^(query|mutation|subscription)\b/m)[1],
    query: operations[path],
    variables: variables[path.replace(/graphql$/, 'json')] ?? '',
  }));

/** An example's variables, with what was last seen in place of the marks that ask for it. */
export function variablesOf(example) {
  return TYPES.reduce((text, type) => {
    const mark = `<id of the ${type.toLowerCase()}>`;
    return text.replace(mark, lastId(type) ?? mark);
  }, example.variables);
}
