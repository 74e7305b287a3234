import { useState } from 'react';
import { session } from '../session.js';
import { DutyForm, Field } from './DutyForm.jsx';

const SET_UP = `
  mutation SetUpTwoFactor($method: TwoFactor!, $password: String!) {
    result: setUpTwoFactor(method: $method, password: $password) {
      __typename ... on TwoFactorSetup { method uri key } ... on Problem { code message details }
    }
  }
`;
const CONFIRM = `
  mutation ConfirmTwoFactor($code: String!) {
    result: confirmTwoFactor(code: $code) {
      __typename ... on RecoveryCodes { codes } ... on Problem { code message details }
    }
  }
`;
const TITLE = 'Set up a second factor';

/** Three steps: how codes come, the first code, and what to keep for the day on which none comes. */
export function SetUpTwoFactor() {
  const [begun, setBegun] = useState(null);
  const [codes, setCodes] = useState(null);

  if (codes) {
    const why = 'Keep these codes in a safe place: each stands in for the second factor once. They are shown only now.';
    return (
      <DutyForm key="codes" title={TITLE} why={why} button="I have kept them" act={() => session.renew()}>
        <pre className="torana-codes">{codes.join('\n')}</pre>
      </DutyForm>
    );
  }
  if (begun) {
    const why = begun.key
      ? 'Give this key to your authenticator, then the code that it shows.'
      : 'Give the code that was mailed to you.';
    const confirm = async ({ code }) => setCodes((await session.change(CONFIRM, { code: code.value.trim() })).codes);
    return (
      <DutyForm key="code" title={TITLE} why={why} button="Confirm" act={confirm}>
        {begun.key && (
          <p>
            <code className="torana-codes">{begun.key}</code> <a href={begun.uri}>Open in an authenticator</a>
          </p>
        )}
        <Field label="Code" name="code" autoComplete="one-time-code" inputMode="numeric" />
      </DutyForm>
    );
  }
  const begin = async ({ method, password }) =>
    setBegun(await session.change(SET_UP, { method: method.value, password: password.value }));
  return (
    <DutyForm
      key="method"
      title={TITLE}
      why="A site that you have a part in wants one: after the password, a code is asked for."
      button="Go on"
      act={begin}
    >
      <label>
        <span>Codes come from</span>
        <select name="method">
          <option value="TOTP">an authenticator</option>
          <option value="EMAIL">an e-mail to you</option>
        </select>
      </label>
      <Field label="Password" name="password" type="password" autoComplete="current-password" />
    </DutyForm>
  );
}
