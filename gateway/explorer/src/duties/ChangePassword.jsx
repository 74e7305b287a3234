import { session } from '../session.js';
import { DutyForm, Field } from './DutyForm.jsx';

const CHANGE = `
  mutation ChangePassword($old: String!, $new: String!) {
    result: changePassword(oldPassword: $old, newPassword: $new) {
      __typename ... on Problem { code message details }
    }
  }
`;

async function change({ present, chosen, again }) {
  if (chosen.value !== again.value) throw new Error('The two new passwords differ.');
  await session.change(CHANGE, { old: present.value, new: chosen.value });
  await session.renew();
}

export function ChangePassword() {
  const why = 'An administrator gave you a password. Choose one that only you know; your other sign-ins end.';
  return (
    <DutyForm title="Change the password" why={why} button="Change the password" act={change}>
      <Field label="Present password" name="present" type="password" autoComplete="current-password" />
      <Field label="New password" name="chosen" type="password" autoComplete="new-password" minLength={12} />
      <Field label="The same again" name="again" type="password" autoComplete="new-password" />
    </DutyForm>
  );
}
