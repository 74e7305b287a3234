import { useEffect, useState } from 'react';
import { session } from '../session.js';
import { useSession } from '../useSession.js';
import { DutyForm } from './DutyForm.jsx';

const RESEND = `
  mutation ResendVerification($email: String!) {
    result: resendVerification(email: $email) { __typename ... on Problem { code message details } }
  }
`;

async function look() {
  await session.renew();
  if (session.snapshot().duties.includes('VERIFY_EMAIL')) throw new Error('The address is not confirmed yet.');
}

export function VerifyEmail() {
  const { email } = useSession();
  const [told, setTold] = useState('');

  // The link opens in another tab; whoever comes back from there goes on.
  useEffect(() => {
    const back = () => document.visibilityState === 'visible' && session.renew();
    document.addEventListener('visibilitychange', back);
    return () => document.removeEventListener('visibilitychange', back);
  }, []);

  async function resend() {
    try {
      await session.change(RESEND, { email });
      setTold('Another link is on its way.');
    } catch (error) {
      setTold(error.message);
    }
  }

  const why = `A link was mailed to ${email ?? 'your address'}, so that nobody uses an address of others. Open it, then come back.`;
  return (
    <DutyForm title="Confirm the e-mail address" why={why} button="I have confirmed it" act={look}>
      {email && (
        <p>
          <button type="button" className="torana-button" onClick={resend}>
            Mail another link
          </button>{' '}
          <span role="status">{told}</span>
        </p>
      )}
    </DutyForm>
  );
}
