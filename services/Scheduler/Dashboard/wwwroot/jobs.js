import { openStream } from './stream.js';
import { accuracy, decimal, element, fillState, percent, shortId, when } from './format.js';

/** The table of jobs, newest first. Returns the way to leave. */
export function showJobs(page) {
  page.replaceChildren(document.getElementById('jobs').content.cloneNode(true));
  const body = page.querySelector('tbody');
  const empty = page.querySelector('.empty');
  const rows = new Map();
  empty.hidden = true;

  return openStream('api/jobs/stream', () => { rows.clear(); body.replaceChildren(); empty.hidden = true; }, {
    job(job) {
      const row = fill(rows.get(job.id) ?? document.createElement('tr'), job);
      if (!rows.has(job.id)) {
        rows.set(job.id, row);
        const next = [...body.children].find(other => other.dataset.created < row.dataset.created);
        body.insertBefore(row, next ?? null);
      }
      empty.hidden = true;
    },
    ready() { empty.hidden = rows.size > 0; },
  });
}

function fill(row, job) {
  const progress = job.progress ?? {};
  row.dataset.created = job.createdAt;
  const link = element('a', `${job.spec.name} · ${shortId(job.id)}`);
  link.href = `#/jobs/${job.id}`;
  const state = element('span', '', 'state');
  fillState(state, job);
  const bar = element('progress');
  bar.max = Number(progress.steps ?? 0) || 1;
  bar.value = Number(progress.step ?? 0);
  bar.title = `epoch ${progress.epoch ?? 0} of ${progress.epochs ?? job.spec.hyperparameters.epochs}`;
  const cells = [
    [link], [state], [job.reason ?? '', 'why'], [job.spec.model.name], [`${job.spec.resources.devices}`], [bar],
    [decimal(progress.trainLoss, 4), 'number'], [percent(accuracy(progress)), 'number'],
    [decimal(progress.samplesPerSecond, 0), 'number'], [when(job.createdAt)],
  ];
  row.replaceChildren(...cells.map(([content, className]) => {
    const cell = element('td', undefined, className);
    cell.append(content);
    return cell;
  }));
  return row;
}
