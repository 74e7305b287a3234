const form = document.querySelector('form');
const status = document.querySelector('[role=status]');
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
// Neither the history nor whoever looks over a shoulder needs it.
history.replaceState(null, '', location.pathname);

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle('wrong', wrong);
}

async function send(variables) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ query: form.dataset.document, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  if (data.result.__typename === 'Problem') throw new Error(data.result.message);
}

if (!token) {
  form.hidden = true;
  say('This address lacks its end. Open the link from the mail once more.', true);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { password, again } = Object.fromEntries(new FormData(form));
  if (password !== again) return say('The two passwords differ.', true);
  form.querySelector('button').disabled = true;
  try {
    await send(password === undefined ? { token } : { token, password });
    form.hidden = true;
    say(`${form.dataset.done} You can sign in now.`);
  } catch (error) {
    form.querySelector('button').disabled = false;
    say(error.message, true);
  }
});
