import { useState, useSyncExternalStore } from 'react';
import { uploads } from './uploads.js';
import { useSession } from './useSession.js';

const SAID = {
  SENDING: 'sending',
  CHECKING: 'being checked',
  READY: 'ready',
  REFUSED: 'refused',
  STOPPED: 'stopped',
  CHOOSE: 'waiting for the file',
};
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

function sizeOf(bytes) {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step && 1)} ${UNITS[step]}`;
}

function Item({ item }) {
  const { id, name, size, sent, state, problem, link } = item;
  const done = state === 'CHECKING' || state === 'READY' ? size : sent;
  return (
    <li className={`torana-upload torana-upload-${state.toLowerCase()}`}>
      <strong>{name}</strong>
      <button type="button" aria-label={`Remove ${name}`} onClick={() => uploads.remove(id)}>
        ×
      </button>
      <progress max={size} value={done} aria-label={`${name}: sent`} />
      <small role="status">
        {SAID[state]} · {sizeOf(done)} of {sizeOf(size)}
      </small>
      {problem && <p role="alert">{problem}</p>}
      {link && <a href={link}>Download</a>}
    </li>
  );
}

function Uploads() {
  const { viewer } = useSession();
  const items = useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  const [target, setTarget] = useState('');
  const [over, setOver] = useState(false);

  function drop(event) {
    event.preventDefault();
    setOver(false);
    uploads.add(event.dataTransfer.files, target.trim());
  }

  return (
    <section className="torana-uploads" aria-label="Uploads">
      <h2>Uploads</h2>
      {viewer ? (
        <>
          <p>A reload of the page goes on where it was. Files are data of your own, unless they belong to something.</p>
          <label>
            Belongs to
            <input
              value={target}
              onChange={(event) => setTarget(event.target.value)}
              placeholder="id of a submission, session, …"
            />
          </label>
          <label
            className={over ? 'torana-drop torana-drop-over' : 'torana-drop'}
            onDragOver={(event) => {
              event.preventDefault();
              setOver(true);
            }}
            onDragLeave={() => setOver(false)}
            onDrop={drop}
          >
            Drop files here, or choose some
            <input
              type="file"
              multiple
              onChange={(event) => {
                uploads.add([...event.target.files], target.trim());
                event.target.value = '';
              }}
            />
          </label>
        </>
      ) : (
        <p>Sign in to upload files.</p>
      )}
      <ul>
        {items.map((item) => (
          <Item key={item.id} item={item} />
        ))}
      </ul>
    </section>
  );
}

function UploadsIcon() {
  return (
    <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M10 13V3.5M6 7l4-3.5L14 7M3.5 12v4.5h13V12" />
    </svg>
  );
}

export const uploadsPlugin = { title: 'Uploads', icon: UploadsIcon, content: Uploads };
