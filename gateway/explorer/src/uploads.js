import { Upload } from 'tus-js-client';
import { dropFile, keepFile, keptFile } from './keptFiles.js';
import { ask } from './refusal.js';
import { session } from './session.js';
import { watch } from './watch.js';

const BEGIN = `
  mutation BeginUpload($input: NewUpload!) {
    result: createUpload(input: $input) {
      __typename
      ... on UploadBegun { grant upload { id url } }
      ... on Problem { code message details }
    }
  }
`;
const END = `
  mutation EndUpload($id: ID!) {
    result: deleteUpload(id: $id) { __typename ... on Problem { code message details } }
  }
`;
const WATCH = `
  subscription WatchUpload($id: ID!) {
    uploadUpdated(id: $id) { state refusal { message entry } file { id downloadUrl } }
  }
`;
const KEPT = 'torana:uploads';
const PAUSES_MS = [0, 1000, 3000, 5000, 10000, 20000, 30000];
const TARGETS = { Session: 'SESSION_ASSET', Project: 'DATASET', Submission: 'SUBMISSION_INPUT', Challenge: 'CHALLENGE_DATA' };

const same = (item, file) =>
  item.name === file.name && item.size === file.size && item.lastModified === file.lastModified;

/** What a file is for: the id of what it belongs to tells, or nothing is given. */
function purposeOf(target) {
  if (!target) return { purpose: 'DATASET' };
  const [type] = atob(target).split(':');
  if (!TARGETS[type]) throw new Error(`Give the id of one of these: ${Object.keys(TARGETS).join(', ')}.`);
  return { purpose: TARGETS[type], target };
}

/** The uploads of this page. Those under way are remembered, without any secret but the grant of each, until they end. */
class Uploads {
  #items = [];
  #running = new Map();
  #listeners = new Set();

  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = () => this.#items;

  /** Goes on with what was under way when the page was left. */
  async restore() {
    try {
      this.#items = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    } catch {
      this.#items = [];
    }
    for (const item of this.#items) {
      const file = await keptFile(item.id);
      if (file) this.#start(item.id, file);
      else this.#change(item.id, { state: 'CHOOSE', problem: 'Choose the file again to go on.' });
    }
  }

  async add(files, target) {
    for (const file of files) {
      const before = this.#items.find((item) => item.state !== 'READY' && same(item, file));
      if (before) this.#start(before.id, file);
      else await this.#begin(file, target);
    }
  }

  async remove(id) {
    const item = this.#items.find((one) => one.id === id);
    this.#running.get(id)?.abort();
    this.#running.delete(id);
    this.#publish(this.#items.filter((one) => one.id !== id));
    dropFile(id);
    if (item.state === 'READY' || !item.url) return;
    await ask(END, { id }, { authorization: await session.fresh() }).catch(() => {});
  }

  async #begin(file, target) {
    const shown = { name: file.name, size: file.size, lastModified: file.lastModified, sent: 0, problem: '' };
    try {
      const input = { name: file.name, size: String(file.size), ...purposeOf(target) };
      const { grant, upload } = await ask(BEGIN, { input }, { authorization: await session.fresh() });
      this.#publish([{ ...shown, id: upload.id, url: upload.url, grant, state: 'SENDING' }, ...this.#items]);
      await keepFile(upload.id, file);
      this.#start(upload.id, file);
    } catch ({ message }) {
      const id = `${file.name} ${Date.now()}`;
      this.#publish([{ ...shown, id, state: 'REFUSED', problem: message }, ...this.#items]);
    }
  }

  #start(id, file) {
    if (this.#running.has(id)) return;
    const item = this.#items.find((one) => one.id === id);
    this.#change(id, { state: 'SENDING', problem: '' });
    const upload = new Upload(file, {
      uploadUrl: new URL(new URL(item.url).pathname, location.origin).href,
      headers: { 'Upload-Grant': item.grant },
      retryDelays: PAUSES_MS,
      storeFingerprintForResuming: false,
      onProgress: (sent) => this.#change(id, { sent }),
      onSuccess: () => this.#check(id),
      onError: (error) => this.#failed(id, error),
    });
    this.#running.set(id, upload);
    upload.start();
  }

  #failed(id, error) {
    this.#running.delete(id);
    const body = error.originalResponse?.getBody();
    let message = error.originalResponse ? 'The gateway does not take it.' : 'The gateway does not answer.';
    try {
      [{ message }] = JSON.parse(body).errors;
    } catch {
      // no answer of the gateway's own
    }
    this.#change(id, { state: 'STOPPED', problem: message });
  }

  /** All bytes came: wait until they were checked. */
  async #check(id) {
    this.#running.delete(id);
    this.#change(id, { state: 'CHECKING' });
    dropFile(id);
    const authorization = await session.fresh();
    watch({ query: WATCH, variables: { id } }, { authorization }).subscribe({
      next: ({ data }) => data && this.#checked(id, data.uploadUpdated),
      error: () => this.#change(id, { problem: 'Whether it was taken is shown by the list of your files.' }),
      complete: () => {},
    });
  }

  #checked(id, { state, refusal, file }) {
    if (state === 'COMPLETE') this.#change(id, { state: 'READY', link: file.downloadUrl });
    else if (refusal) {
      const entry = refusal.entry ? ` (${refusal.entry})` : '';
      this.#change(id, { state: 'REFUSED', problem: `${refusal.message}${entry}` });
    }
  }

  #change(id, changes) {
    this.#publish(this.#items.map((item) => (item.id === id ? { ...item, ...changes } : item)));
  }

  #publish(items) {
    this.#items = items;
    const under = items.filter(({ state }) => state !== 'READY' && state !== 'REFUSED');
    localStorage.setItem(KEPT, JSON.stringify(under.map(({ link, ...item }) => item)));
    this.#listeners.forEach((listener) => listener());
  }
}

export const uploads = new Uploads();
