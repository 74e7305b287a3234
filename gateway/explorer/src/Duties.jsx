import { ChangePassword } from './duties/ChangePassword.jsx';
import { SetUpTwoFactor } from './duties/SetUpTwoFactor.jsx';
import { VerifyEmail } from './duties/VerifyEmail.jsx';

/** In the order in which one can be done after the other: codes by e-mail need an address that is confirmed. */
const FORMS = [
  ['VERIFY_EMAIL', VerifyEmail],
  ['CHANGE_PASSWORD', ChangePassword],
  ['SET_UP_TWO_FACTOR', SetUpTwoFactor],
];

/** What the user must do first, one after the other, in place of an explorer that shows nothing. */
export function Duties({ duties }) {
  const [duty, Form] = FORMS.find(([name]) => duties.includes(name)) ?? [];

  if (!duty) return null;
  return (
    <main className="graphiql-container torana-duties">
      <p role="status">
        The gateway shows you nothing and takes nothing from you until this is done
        {duties.length > 1 && `, and ${duties.length - 1} more after it`}:
      </p>
      <Form key={duty} />
    </main>
  );
}
