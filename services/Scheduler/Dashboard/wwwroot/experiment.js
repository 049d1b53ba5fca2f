import { makeOverlay } from './charts.js';
import { openStream } from './stream.js';
import { cells, decimal, duration, link, percent, shortId, stateBadge, stepsBar } from './format.js';

/** One experiment: its jobs' curves over each other and a table, live. Returns the way to leave. */
export function showExperiment(page, id) {
  page.replaceChildren(document.getElementById('experiment').content.cloneNode(true));
  const choices = page.querySelector('.choices');
  const host = page.querySelector('.overlay');
  const body = page.querySelector('.variants tbody');
  // By job, in the file's order: the job, its row in the table, and its points by series.
  const members = new Map();
  let overlay = null;

  choices.addEventListener('change', redraw);
  const close = openStream(`api/experiments/${id}/stream`, clear, {
    experiment(update) {
      page.querySelector('h1').textContent = `${update.experiment.name} · ${shortId(update.experiment.id)}`;
      page.querySelector('.states').replaceChildren(...(update.experiment.states ?? []).map(count => stateBadge(count, count.jobs)));
      update.jobs?.forEach(fill);
      if (!overlay) redraw();
    },
    metrics({ job, points }) {
      const { series } = members.get(job);
      for (const point of points) {
        if (!series.has(point.name)) series.set(point.name, new Map());
        series.get(point.name).set(point.step, point);
      }
      overlay.show(curves());
    },
  });

  function fill(job) {
    if (!members.has(job.id)) {
      members.set(job.id, { job, row: document.createElement('tr'), series: new Map() });
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
    overlay.show(curves());
  }

  function curves() {
    const { quantity, part, by } = choices.elements;
    return [...members.values()].map(({ series }) => {
      const points = [...series.get(`${part.value}/${quantity.value}`)?.values() ?? []];
      return by.value === 'step' ? new Map(points.map(point => [point.step, point.value])) : meansByEpoch(points);
    });
  }

  function clear() {
    members.clear();
    body.replaceChildren();
    overlay?.destroy();
    overlay = null;
  }

  return () => { close(); overlay?.destroy(); };
}

function meansByEpoch(points) {
  const sums = new Map();
  for (const { epoch, value } of points) {
    const { sum, count } = sums.get(epoch) ?? { sum: 0, count: 0 };
    sums.set(epoch, { sum: sum + value, count: count + 1 });
  }
  return new Map([...sums].map(([epoch, { sum, count }]) => [epoch, sum / count]));
}

function rowCells(job) {
  const progress = job.progress ?? {};
  return [
    [link(job.variant, `#/jobs/${job.id}`)], [stateBadge(job)], [stepsBar(job)],
    [progress.epochs ? `${progress.epoch ?? 0}/${progress.epochs}` : '', 'number'],
    [percent(progress.trainAccuracy), 'number'], [percent(progress.validationAccuracy), 'number'], [percent(progress.testAccuracy), 'number'],
    [decimal(progress.trainLoss, 4), 'number'], [decimal(progress.validationLoss, 4), 'number'], [decimal(progress.testLoss, 4), 'number'],
    [duration(job.startedAt, job.finishedAt), 'number'], [decimal(progress.samplesPerSecond, 0), 'number'],
  ];
}
