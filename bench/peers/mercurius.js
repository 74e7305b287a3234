// The same selections on Mercurius with graphql-jit: loaders written by hand over node-postgres, prepared statements,
// only the columns that are needed. No sign-in, no visibility, no limits.

import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, idleTimeoutMillis: 0 });

const SCHEMA = `
  scalar BigInt
  scalar DateTime

  enum SimulationType { SHIELDHIT TOPAS FLUKA DUMMY }
  enum JobState { UNKNOWN PENDING RUNNING MERGING_QUEUED MERGING_RUNNING CANCELED COMPLETED FAILED }
  enum ProjectSimulationOrder { NEWEST OLDEST }

  input ProjectFilter { name: String }

  type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }

  type User { id: ID! username: String }
  type Task { id: ID! ordinal: Int! state: JobState! requested: BigInt! done: BigInt! }
  type Job {
    id: ID!
    state: JobState!
    tasks(first: Int!, after: String): TaskConnection!
  }
  type Series { name: String! unit: String! values: [Float]! }
  type Page { id: ID! name: String! number: Int! data: Series! axis1: Series axis2: Series }
  type Estimator {
    id: ID!
    name: String!
    pages(first: Int!, after: String): PageConnection!
  }
  type Simulation {
    id: ID!
    title: String!
    simType: SimulationType!
    createdAt: DateTime!
    owner: User
    job: Job
    jobs(first: Int!, after: String): JobConnection!
    estimators(first: Int!, after: String): EstimatorConnection!
  }
  type Project {
    id: ID!
    name: String!
    simulations(first: Int!, after: String, order: ProjectSimulationOrder): SimulationConnection!
  }

  ${["Task", "Job", "Page", "Estimator", "Simulation", "Project"]
    .map(
      (name) => `
  type ${name}Edge { node: ${name}! cursor: String! }
  type ${name}Connection { nodes: [${name}!]! edges: [${name}Edge!]! pageInfo: PageInfo! totalCount: Int! }`,
    )
    .join("")}

  type Query {
    simulation(id: ID!): Simulation
    simulations(first: Int!, after: String): SimulationConnection!
    projects(first: Int!, after: String, filter: ProjectFilter): ProjectConnection!
  }
`;

// Ids and cursors -----------------------------------------------------------------------------------------------------

const globalId = (type) => (row) => Buffer.from(`${type}:${row.id}`).toString("base64");

const keyOf = (id, type) => {
  const [found, key] = Buffer.from(id, "base64").toString().split(":");
  return found === type ? key : null;
};

const encode = (...parts) => Buffer.from(JSON.stringify(parts)).toString("base64url");

const decode = (cursor) => JSON.parse(Buffer.from(cursor, "base64url").toString()).slice(1);

// Lists ---------------------------------------------------------------------------------------------------------------

const INSTANT = `to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at`;
const COLUMNS = {
  projects: "id, name",
  simulations: `id, user_id, title, sim_type, ${INSTANT}`,
  jobs: "id, attempt, state",
  tasks: "id, ordinal, state, requested, done",
  estimators: "id, name",
  pages: `id, name, number, unit, data_values, axis1_name, axis1_unit, axis1_values,
          axis2_name, axis2_unit, axis2_values`,
};

// A list of the rows of `table` (below `parent`, a column of it) in the order of `column` and the key.
const list = (name, table, column, type, descending = false, parent = null) => {
  const direction = descending ? "DESC" : "ASC";
  return {
    name: `${name}.${column}${descending ? "-" : "+"}`,
    table,
    parent,
    column,
    columns: COLUMNS[table],
    order: `ORDER BY ${table}.${column} ${direction}, ${table}.id ${direction}`,
    beyond: (n) => `(${table}.${column}, ${table}.id) ${descending ? "<" : ">"} ($${n}::${type}, $${n + 1}::uuid)`,
  };
};

const PROJECTS = list("Project", "projects", "name", "text");
const SIMULATIONS = list("Simulation", "simulations", "created_at", "timestamptz", true);
const SIMULATIONS_OF_PROJECT = {
  NEWEST: list("Simulation", "simulations", "created_at", "timestamptz", true, "project_id"),
  OLDEST: list("Simulation", "simulations", "created_at", "timestamptz", false, "project_id"),
};
const JOBS = list("Job", "jobs", "attempt", "int", true, "simulation_id");
const TASKS = list("Task", "tasks", "ordinal", "int", false, "job_id");
const ESTIMATORS = list("Estimator", "estimators", "name", "text", false, "simulation_id");
const PAGES = list("Page", "pages", "number", "int", false, "estimator_id");

// A page of a list: `rows` hold one more than asked for when the list goes on.
const connection = (of, rows, first, after, key) => ({
  of,
  key,
  more: rows.length > first,
  after,
  rows: rows.length > first ? rows.slice(0, first) : rows,
});

// The pages of many parents in one statement.
const loadPages = (list, parents, first, after) => {
  const beyond = after ? `AND ${list.beyond(3)}` : "";
  return pool
    .query({
      name: `${list.name} of ${list.parent}${after ? " after" : ""}`,
      text: `SELECT parent, found.*
             FROM unnest($1::uuid[]) AS parent
             CROSS JOIN LATERAL (
               SELECT ${list.columns} FROM ${list.table} WHERE ${list.parent} = parent ${beyond} ${list.order} LIMIT $2
             ) found`,
      values: [parents, first + 1, ...(after ? decode(after) : [])],
    })
    .then(({ rows }) => {
      const byParent = new Map(parents.map((parent) => [parent, []]));
      for (const row of rows) byParent.get(row.parent).push(row);
      return parents.map((parent) => connection(list, byParent.get(parent), first, after, parent));
    });
};

// A loader of pages. The queries of one batch may differ in their arguments.
const pagesOf = (choose) => ({
  opts: { cache: false },
  async loader(queries) {
    const groups = new Map();
    queries.forEach(({ obj, params }, n) => {
      const list = choose(params);
      const key = `${list.name} ${params.first} ${params.after}`;
      if (!groups.has(key)) groups.set(key, { list, params, places: [] });
      groups.get(key).places.push([n, obj.id]);
    });
    const answers = new Array(queries.length);
    await Promise.all(
      [...groups.values()].map(async ({ list, params, places }) => {
        const parents = places.map(([, parent]) => parent);
        const found = await loadPages(list, parents, params.first, params.after);
        places.forEach(([n], at) => (answers[n] = found[at]));
      }),
    );
    return answers;
  },
});

const totalCount = {
  opts: { cache: false },
  async loader(queries) {
    const { of: list, counted } = queries[0].obj;
    if (counted) return Promise.all(queries.map(({ obj }) => obj.counted()));
    const { rows } = await pool.query({
      name: `count of ${list.table}`,
      text: `SELECT ${list.parent} AS parent, count(*)::int AS total FROM ${list.table}
             WHERE ${list.parent} = ANY($1::uuid[]) GROUP BY 1`,
      values: [queries.map(({ obj }) => obj.key)],
    });
    const found = new Map(rows.map((row) => [row.parent, row.total]));
    return queries.map(({ obj }) => found.get(obj.key) ?? 0);
  },
};

const cursorOf = (list, row) => encode(list.name, row[list.column], row.id);

const CONNECTION = {
  nodes: (page) => page.rows,
  edges: ({ of, rows }) => rows.map((node) => ({ node, cursor: cursorOf(of, node) })),
  pageInfo: ({ of, rows, more, after }) => ({
    hasNextPage: more,
    hasPreviousPage: Boolean(after),
    startCursor: rows.length ? cursorOf(of, rows[0]) : null,
    endCursor: rows.length ? cursorOf(of, rows[rows.length - 1]) : null,
  }),
};

// Resolvers -----------------------------------------------------------------------------------------------------------

const series = (name, unit, values) => (row) =>
  row[values] === null ? null : { name: row[name], unit: row[unit], values: JSON.parse(row[values]) };

const resolvers = {
  Query: {
    async simulation(_, { id }) {
      const text = `SELECT ${COLUMNS.simulations} FROM simulations WHERE id = $1`;
      const { rows } = await pool.query({ name: "simulation", text, values: [keyOf(id, "Simulation")] });
      return rows[0] ?? null;
    },
    async simulations(_, { first, after }) {
      const condition = after ? `WHERE ${SIMULATIONS.beyond(2)}` : "";
      const { rows } = await pool.query({
        name: `simulations${after ? " after" : ""}`,
        text: `SELECT ${SIMULATIONS.columns} FROM simulations ${condition} ${SIMULATIONS.order} LIMIT $1`,
        values: [first + 1, ...(after ? decode(after) : [])],
      });
      const page = connection(SIMULATIONS, rows, first, after);
      page.counted = async () => (await pool.query("SELECT count(*)::int AS total FROM simulations")).rows[0].total;
      return page;
    },
    async projects(_, { first, after, filter }) {
      const named = `%${(filter?.name ?? "").toLowerCase().replace(/[\\%_]/g, "\\$&")}%`;
      const { rows } = await pool.query({
        name: `projects${after ? " after" : ""}`,
        text: `SELECT ${PROJECTS.columns} FROM projects
               WHERE lower(name) LIKE $2 ${after ? `AND ${PROJECTS.beyond(3)}` : ""} ${PROJECTS.order} LIMIT $1`,
        values: [first + 1, named, ...(after ? decode(after) : [])],
      });
      const page = connection(PROJECTS, rows, first, after);
      const text = "SELECT count(*)::int AS total FROM projects WHERE lower(name) LIKE $1";
      page.counted = async () => (await pool.query({ name: "projects counted", text, values: [named] })).rows[0].total;
      return page;
    },
  },
  User: { id: globalId("User") },
  Task: { id: globalId("Task") },
  Job: { id: globalId("Job") },
  Page: {
    id: globalId("Page"),
    data: series("name", "unit", "data_values"),
    axis1: series("axis1_name", "axis1_unit", "axis1_values"),
    axis2: series("axis2_name", "axis2_unit", "axis2_values"),
  },
  Estimator: { id: globalId("Estimator") },
  Simulation: {
    id: globalId("Simulation"),
    simType: (row) => row.sim_type,
    createdAt: (row) => row.created_at,
  },
  Project: { id: globalId("Project") },
  TaskConnection: CONNECTION,
  JobConnection: CONNECTION,
  PageConnection: CONNECTION,
  EstimatorConnection: CONNECTION,
  SimulationConnection: CONNECTION,
  ProjectConnection: CONNECTION,
};

const loaders = {
  Simulation: {
    owner: {
      opts: { cache: false },
      async loader(queries) {
        const { rows } = await pool.query({
          name: "owners",
          text: "SELECT id, username FROM users WHERE id = ANY($1::uuid[])",
          values: [[...new Set(queries.map(({ obj }) => obj.user_id))]],
        });
        const found = new Map(rows.map((row) => [row.id, row]));
        return queries.map(({ obj }) => found.get(obj.user_id) ?? null);
      },
    },
    job: {
      opts: { cache: false },
      async loader(queries) {
        const pages = await loadPages(
          JOBS,
          queries.map(({ obj }) => obj.id),
          1,
        );
        return pages.map(({ rows }) => rows[0] ?? null);
      },
    },
    jobs: pagesOf(() => JOBS),
    estimators: pagesOf(() => ESTIMATORS),
  },
  Project: { simulations: pagesOf(({ order }) => SIMULATIONS_OF_PROJECT[order ?? "NEWEST"]) },
  Job: { tasks: pagesOf(() => TASKS) },
  Estimator: { pages: pagesOf(() => PAGES) },
  TaskConnection: { totalCount },
  JobConnection: { totalCount },
  PageConnection: { totalCount },
  EstimatorConnection: { totalCount },
  SimulationConnection: { totalCount },
  ProjectConnection: { totalCount },
};

const app = Fastify({ bodyLimit: 1_000_000 });
await app.register(mercurius, { schema: SCHEMA, resolvers, loaders, jit: 1 });
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
