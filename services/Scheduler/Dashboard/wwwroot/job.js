import { makeChart } from './charts.js';
import { openStream } from './stream.js';
import { accuracy, decimal, duration, element, fillState, link, percent, state, when } from './format.js';

// The browser keeps this many log lines; the command line shows them all.
const logLines = 2000;

/** One job: its curves, events and log, live. Returns the way to leave. */
export function showJob(page, id) {
  page.replaceChildren(document.getElementById('job').content.cloneNode(true));
  const charts = [
    makeChart(page.querySelector('[data-chart=loss]'), ['train/loss', 'validation/loss', 'test/loss']),
    makeChart(page.querySelector('[data-chart=accuracy]'), ['train/accuracy', 'validation/accuracy', 'test/accuracy']),
  ];
  const events = page.querySelector('.events tbody');
  const log = page.querySelector('.log');

  const close = openStream(`api/jobs/${id}/stream`, clear, {
    job: fillJob,
    event: event => events.prepend(eventRow(event)),
    thin: ({ name, from, to }) => charts.forEach(chart => name === undefined ? chart.clear() : chart.thin(name, from, to)),
    metrics: ({ points }) => charts.forEach(chart => chart.add(points)),
    log: batch => appendLog(batch.lines ?? []),
  });

  function clear() {
    charts.forEach(chart => chart.clear());
    events.replaceChildren();
    log.replaceChildren();
  }

  let shown = null;

  function fillJob(news) {
    const job = shown = withWhatDoesNotChange(news, shown);
    page.querySelector('h1').textContent = job.spec.name;
    fillState(page.querySelector('.title .state'), job);
    page.querySelector('.reason').textContent = job.reason ?? '';
    page.querySelector('.facts').replaceChildren(...facts(job).filter(([, value]) => value).flatMap(
      ([name, value]) => [wrap(element('dt', name), wrapIn('dd', value))]));
  }

  function appendLog(lines) {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(...lines.map(line => `${`${line.attempt ?? 0}/${line.rank ?? 0}`.padEnd(5)} ${line.text ?? ''}\n`));
    while (log.childNodes.length > logLines) log.firstChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  return () => { close(); charts.forEach(chart => chart.destroy()); };
}

/** After the first time a job comes without its file, and without its placement while the attempt is the same. */
function withWhatDoesNotChange(job, before) {
  if (job.spec) return job;
  const isSameAttempt = (job.attempt ?? 0) === (before.attempt ?? 0);
  return { ...job, spec: before.spec, placement: isSameAttempt ? before.placement : job.placement };
}

function facts(job) {
  const progress = job.progress ?? {};
  const placement = (job.placement ?? []).map(place => `${place.rank ?? 0}: ${place.nodeName}/${place.device}`).join(', ');
  return [
    ['Id', job.id],
    ['Experiment', job.experimentId && link(job.variant, `#/experiments/${job.experimentId}`)],
    ['Owner', job.owner],
    ['Model', `${job.spec.model.name} on ${job.spec.data.name}`],
    ['Split', job.spec.parallelism.replace('PARALLELISM_', '').toLowerCase()],
    ['Ranks', placement],
    ['Memory', job.memory && `about ${(Number(job.memory.total) / 2 ** 30).toFixed(2)} GiB a rank`],
    ['Attempt', job.attempt ? `${job.attempt} (${job.restarts ?? 0} restarts)` : ''],
    ['Queue', job.queue
      ? `position ${job.queue.position}${job.queue.orLater ? ' or later' : ''}`
        + (job.queue.estimatedStart ? `, about ${when(job.queue.estimatedStart)}` : '')
      : ''],
    ['Submitted', when(job.createdAt)],
    ['Time', duration(job.startedAt, job.finishedAt)],
    ['Epoch', progress.epochs ? `${progress.epoch ?? 0} of ${progress.epochs}` : ''],
    ['Step', progress.steps ? `${progress.step ?? 0} of ${progress.steps}` : ''],
    ['Loss', decimal(progress.trainLoss, 4)],
    ['Accuracy', percent(accuracy(progress))],
    ['Images/s', decimal(progress.samplesPerSecond, 0)],
  ];
}

function eventRow(event) {
  const row = element('tr');
  const badge = element('span', '', 'state');
  fillState(badge, { state: event.toState });
  const cell = element('td');
  cell.append(badge);
  row.append(element('td', when(event.time)), cell, element('td', event.reason ?? state(event)));
  return row;
}

const wrap = (...children) => wrapIn('div', ...children);

function wrapIn(tag, ...children) {
  const made = element(tag);
  made.append(...children);
  return made;
}
