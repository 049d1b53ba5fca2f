import { openStream } from './stream.js';
import { accuracy, cells, decimal, link, percent, shortId, stateBadge, stepsBar, when } from './format.js';

/** The tables of experiments and of jobs, newest first. Returns the way to leave. */
export function showJobs(page) {
  page.replaceChildren(document.getElementById('jobs').content.cloneNode(true));
  const section = page.querySelector('.experiments');
  const experiments = newestFirst(section.querySelector('tbody'), experimentCells);
  const jobs = newestFirst(page.querySelector('.jobs tbody'), jobCells);
  const empty = page.querySelector('.empty');
  clear();

  return openStream('api/jobs/stream', clear, {
    experiment(experiment) { experiments.put(experiment); section.hidden = false; },
    job(job) { jobs.put(job); empty.hidden = true; },
    ready() { empty.hidden = jobs.size() > 0; },
  });

  function clear() {
    experiments.clear();
    jobs.clear();
    section.hidden = empty.hidden = true;
  }
}

/** Rows that are made or filled anew by `put`, each where its time of creation belongs. */
function newestFirst(body, fill) {
  const rows = new Map();
  return {
    put(item) {
      const row = rows.get(item.id) ?? document.createElement('tr');
      row.dataset.created = item.createdAt;
      row.replaceChildren(...cells(fill(item)));
      if (rows.has(item.id)) return;
      rows.set(item.id, row);
      body.insertBefore(row, [...body.children].find(other => other.dataset.created < row.dataset.created) ?? null);
    },
    size: () => rows.size,
    clear() { rows.clear(); body.replaceChildren(); },
  };
}

function experimentCells(experiment) {
  const badges = document.createElement('span');
  badges.className = 'states';
  badges.append(...(experiment.states ?? []).map(count => stateBadge(count, count.jobs)));
  return [
    [link(`${experiment.name} · ${shortId(experiment.id)}`, `#/experiments/${experiment.id}`)], [badges],
    [experiment.owner ?? ''], [when(experiment.createdAt)],
  ];
}

function jobCells(job) {
  const progress = job.progress ?? {};
  return [
    [link(`${job.spec.name} · ${shortId(job.id)}`, `#/jobs/${job.id}`)], [stateBadge(job)], [job.reason ?? '', 'why'],
    [job.spec.model.name], [`${job.spec.resources.devices}`], [stepsBar(job)],
    [decimal(progress.trainLoss, 4), 'number'], [percent(accuracy(progress)), 'number'],
    [decimal(progress.samplesPerSecond, 0), 'number'], [when(job.createdAt)],
  ];
}
