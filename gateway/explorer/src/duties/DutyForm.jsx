import { useEffect, useId, useRef, useState } from 'react';

/** One step of a duty: `act` is given the form's elements, and what it throws is told. */
export function DutyForm({ title, why, button, act, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const heading = useId();
  const form = useRef(null);

  useEffect(() => form.current.querySelector('input, select, .torana-button-main').focus(), []);

  async function submit(event) {
    event.preventDefault();
    const { elements } = event.currentTarget;
    setBusy(true);
    setProblem('');
    try {
      await act(elements);
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  }

  return (
    <form ref={form} aria-labelledby={heading} aria-busy={busy} onSubmit={submit}>
      <h2 id={heading}>{title}</h2>
      <p>{why}</p>
      {children}
      <p className="torana-problem" role="alert">
        {problem}
      </p>
      <button className="torana-button torana-button-main" disabled={busy}>
        {button}
      </button>
    </form>
  );
}

export function Field({ label, ...given }) {
  return (
    <label>
      <span>{label}</span>
      <input required {...given} />
    </label>
  );
}
