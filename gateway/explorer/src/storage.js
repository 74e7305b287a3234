const PREFIX = 'graphiql:';
const ownKeys = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));

/** GraphiQL writes each run's headers into its history: they hold tokens, so they are left out. */
function withoutHeaders(json) {
  return JSON.stringify(JSON.parse(json, (name, value) => (name === 'headers' ? undefined : value)));
}

export const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem(key, value) {
    const isHistory = key === `${PREFIX}queries` || key === `${PREFIX}favorites`;
    localStorage.setItem(key, isHistory ? withoutHeaders(value) : value);
  },
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};
