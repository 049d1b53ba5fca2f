import { Curve, makeOverlay } from './charts.js';
import { openStream } from './stream.js';
import { cells, decimal, duration, link, percent, shortId, stateBadge, stepsBar } from './format.js';

/** One experiment: its jobs' curves over each other and a table, live. Returns the way to leave. */
export function showExperiment(page, id) {
  page.replaceChildren(document.getElementById('experiment').content.cloneNode(true));
  const choices = page.querySelector('.choices');
  const host = page.querySelector('.overlay');
  const body = page.querySelector('.variants tbody');
  // By job, in the file's order: the job, its row in the table, and its curves by series, over steps and over epochs.
  const members = new Map();
  let overlay = null;
  // How many of them the chart was made for.
  let overlaid = 0;

  choices.addEventListener('change', redraw);
  const close = openStream(`api/experiments/${id}/stream`, clear, {
    experiment(update) {
      page.querySelector('h1').textContent = `${update.experiment.name} · ${shortId(update.experiment.id)}`;
      page.querySelector('.states').replaceChildren(...(update.experiment.states ?? []).map(count => stateBadge(count, count.jobs)));
      update.jobs?.forEach(fill);
      if (overlaid < members.size) redraw();
    },
    thin({ job, what, name, from, to }) {
      if (what === undefined) members.get(job).curves.clear();
      else curveOf(job, what, name).remove(from, to);
    },
    metrics({ job, points }) {
      for (const point of points) curveOf(job, 'metrics', point.name).set(point.step, point.value);
      overlay.show(shown);
    },
    epochs({ job, points }) {
      for (const point of points) curveOf(job, 'epochs', point.name).set(point.epoch, point.value);
      overlay.show(shown);
    },
  });

  function curveOf(job, what, name) {
    const { curves } = members.get(job);
    const key = `${what} ${name}`;
    if (!curves.has(key)) curves.set(key, new Curve());
    return curves.get(key);
  }

  function fill(job) {
    if (!members.has(job.id)) {
      members.set(job.id, { job, row: document.createElement('tr'), curves: new Map() });
      body.append(members.get(job.id).row);
    }
    const member = members.get(job.id);
    member.job = job;
    member.row.replaceChildren(...cells(rowCells(job)));
  }

  /** The axis has another meaning, or there are other curves: uPlot wants a new chart. */
  function redraw() {
    overlay?.destroy();
    overlay = makeOverlay(host, [...members.values()].map(({ job }) => job.variant), choices.elements.by.value);
    overlaid = members.size;
    overlay.show(shown);
  }

  function shown() {
    const { quantity, part, by } = choices.elements;
    const key = `${by.value === 'step' ? 'metrics' : 'epochs'} ${part.value}/${quantity.value}`;
    return [...members.values()].map(({ curves }) => curves.get(key) ?? new Curve());
  }

  function clear() {
    members.clear();
    body.replaceChildren();
    overlay?.destroy();
    overlay = null;
    overlaid = 0;
  }

  return () => { close(); overlay?.destroy(); };
}

function rowCells(job) {
  const progress = job.progress ?? {};
  return [
    [link(job.variant, `#/jobs/${job.id}`)], [stateBadge(job)], [stepsBar(job)],
    [progress.epochs ? `${progress.epoch ?? 0}/${progress.epochs}` : '', 'number'],
    [percent(progress.trainAccuracy), 'number'], [percent(progress.validationAccuracy), 'number'],
    [percent(progress.testAccuracy), 'number'],
    [decimal(progress.trainLoss, 4), 'number'], [decimal(progress.validationLoss, 4), 'number'], [decimal(progress.testLoss, 4), 'number'],
    [duration(job.startedAt, job.finishedAt), 'number'], [decimal(progress.samplesPerSecond, 0), 'number'],
  ];
}
