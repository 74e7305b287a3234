import { jobId } from './lastJob.js';

const LAST_JOB = '<id of the job>';

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

/** An example's variables, with the job last seen in place of the mark that asks for one. */
export function variablesOf(example) {
  return example.variables.replace(LAST_JOB, jobId() ?? LAST_JOB);
}
