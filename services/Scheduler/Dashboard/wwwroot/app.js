// Which page is shown follows the address: "#/" the jobs, "#/jobs/<id>" one job, "#/experiments/<id>" one experiment;
// "#token=…" signs in first.
import { showJobs } from './jobs.js';
import { showJob } from './job.js';
import { showExperiment } from './experiment.js';

const page = document.getElementById('page');
let leave = () => {};

async function route() {
  leave();
  leave = () => {};
  const token = /^#token=(.+)$/.exec(location.hash);
  if (token) {
    // The token leaves the address bar and the history at once.
    history.replaceState(null, '', '#/');
    if (!await signIn(token[1])) return askForToken('That token is not valid.');
  }
  const session = await fetch('api/session');
  if (session.status === 401) return askForToken('');

  const [, kind, id] = /^#\/(jobs|experiments)\/([0-9a-f-]+)$/.exec(location.hash) ?? [];
  leave = kind === 'jobs' ? showJob(page, id) : kind === 'experiments' ? showExperiment(page, id) : showJobs(page);
}

async function signIn(token) {
  const answer = await fetch('api/session', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }),
  });
  return answer.ok;
}

function askForToken(fault) {
  page.replaceChildren(document.getElementById('sign-in').content.cloneNode(true));
  const form = page.querySelector('form');
  form.querySelector('.fault').textContent = fault;
  form.addEventListener('submit', async event => {
    event.preventDefault();
    if (await signIn(form.elements.token.value)) route();
    else form.querySelector('.fault').textContent = 'That token is not valid.';
  });
}

addEventListener('hashchange', route);
route();
