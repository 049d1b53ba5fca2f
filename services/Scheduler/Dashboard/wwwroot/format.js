// How protobuf's JSON reads to a person. In it 64-bit integers are strings, as are numbers that are not finite, and fields at their default
// are absent.
export const state = job => (job.state ?? '').replace('JOB_STATE_', '');
export const percent = value => value === undefined ? '' : Number.isFinite(value) ? `${(100 * value).toFixed(2)} %` : value;
export const decimal = (value, digits) => value === undefined ? '' : Number(value).toFixed(digits);
export const when = timestamp => timestamp ? new Date(timestamp).toLocaleString() : '';
export const shortId = id => id.slice(0, 8);

/** Best known accuracy of a run: test, else validation, else training. */
export const accuracy = progress => progress.testAccuracy ?? progress.validationAccuracy ?? progress.trainAccuracy;

export function duration(from, to) {
  if (!from) return '';
  const seconds = Math.max(0, Math.round(((to ? new Date(to) : new Date()) - new Date(from)) / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function fillState(element, job) {
  element.textContent = state(job).toLowerCase();
  element.dataset.state = state(job);
}

/** A badge for a job's state; with `count`, for so many jobs in it. */
export function stateBadge(job, count) {
  const badge = element('span', '', 'state');
  fillState(badge, job);
  if (count) badge.textContent = `${count} ${badge.textContent}`;
  return badge;
}

/** A bar of the steps done of those to do. */
export function stepsBar(job) {
  const progress = job.progress ?? {};
  const bar = element('progress');
  bar.max = Number(progress.steps ?? 0) || 1;
  bar.value = Number(progress.step ?? 0);
  bar.title = `epoch ${progress.epoch ?? 0} of ${progress.epochs ?? job.spec.hyperparameters.epochs}`;
  return bar;
}

/** Table cells of pairs (content, class name). */
export function cells(pairs) {
  return pairs.map(([content, className]) => {
    const cell = element('td', undefined, className);
    cell.append(content);
    return cell;
  });
}

export function link(text, href) {
  const made = element('a', text);
  made.href = href;
  return made;
}

export function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
