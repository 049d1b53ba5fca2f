// Curves, drawn by uPlot. The server has thinned them, so that there is a bound to their number of points.
const palette = ['#7fa8e8', '#d9730d', '#1a7f4b', '#8e44ad', '#0e8fa8'];

// There is no half step.
const wholeIncrements = increments([1, 2, 5], 0, 16);

// uPlot's own end before the largest number of single precision, which a loss may pass on its way.
const valueIncrements = increments([1, 2, 2.5, 5], -20, 300);

// Of larger ones the differences overflow, and nothing could be drawn.
const largest = 1e300;

// A remark names no more curves than this; the chart marks them all.
const curvesNamed = 4;

// More points than this are a line; fewer, such as one an epoch, show their marks.
const dense = 60;

/** A chart in `host`; `show(about, bytes)` draws other curves in place of those before. */
export function makeChart(host, height) {
  // The page was left on the way here.
  if (!host) return { show() {}, dispose() {} };
  let plot = null;
  let made = '';
  return {
    show(about, bytes) {
      const wanted = JSON.stringify([about.labels, about.xLabel, about.isLogarithmic, about.isLogarithmicAlong]);
      if (wanted !== made) {
        plot?.destroy();
        plot = makePlot(host, height, about);
        made = wanted;
      }
      plot.draw(curvesOf(about.counts, bytes));
    },
    dispose() { plot?.destroy(); },
  };
}

/** Of each series its x, then its y, as 64-bit floats: a `Map` of points by x each. */
function curvesOf(counts, bytes) {
  const values = new Float64Array(bytes.slice().buffer);
  let at = 0;
  return counts.map(count => {
    const begin = at;
    at += 2 * count;
    return new Map(Array.from({ length: count }, (_, index) => [values[begin + index], values[begin + count + index]]));
  });
}

function makePlot(host, height, about) {
  const { labels, xLabel, isWhole, isTime, isLogarithmic, isLogarithmicAlong, isStacked, isStepped, isFirstThin } = about;
  const isOdd = value => value !== undefined && !(Math.abs(value) <= largest && (value > 0 || !isLogarithmic));
  // Asked for at each drawing, since light may become dark.
  const ink = name => () => getComputedStyle(document.documentElement).getPropertyValue(name);
  const axis = { stroke: ink('--quiet'), grid: { stroke: ink('--line'), width: 1 }, ticks: { stroke: ink('--line') } };
  // The golden angle keeps neighbours apart, however many there are.
  const strokes = labels.map((_, index) => index < palette.length ? palette[index] : `hsl(${(index * 137.5) % 360} 65% 50%)`);
  // What has no place on the axis, of each curve by its place among the x.
  let odd = labels.map(() => new Map());
  // Of a stack, the values of each curve by itself.
  let own = [];
  let waiting = null;
  let scheduled = 0;
  const remark = document.createElement('p');
  remark.className = 'odd';
  const plot = new uPlot({
    width: host.clientWidth, height,
    scales: {
      x: { time: isTime, distr: isLogarithmicAlong ? 3 : 1 },
      y: { distr: isLogarithmic ? 3 : 1, ...(isStacked ? { range: (_, __, high) => [0, (high || 1) * 1.05] } : {}) },
    },
    axes: [
      {
        ...axis, label: xLabel, labelSize: 18, ...(isWhole && !isLogarithmicAlong ? { incrs: wholeIncrements } : {}),
        ...(isTime ? { values: (_, splits) => splits.map(split => moment(split).slice(5, 16)), space: 90 } : {}),
      },
      { ...axis, size: 60, ...(isLogarithmic ? {} : { incrs: valueIncrements }), values: (_, splits) => splits.map(shortly) },
    ],
    series: [{ label: xLabel, value: (_, value) => isTime ? moment(value) : legible(value) }, ...labels.map((label, index) => ({
      label, stroke: strokes[index], ...(isStepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
      width: isFirstThin && index === 0 ? 1 : 2,
      ...(isStacked && index === 0 ? { fill: faint(strokes[0]) } : {}),
      // What a curve of a stack adds to those below it, and not how high it stands.
      value: (u, value, at, place) => legible((isStacked ? own[at - 1]?.[place] : value) ?? odd[at - 1].get(place)),
      points: {
        show: (_, at, first, last) => last - first < dense,
        // Between two gaps a point has no line to be seen by.
        filter: (u, at, isShown) => isShown ? null : lonely(u.data[at]),
      },
    }))],
    bands: isStacked ? labels.slice(1).map((_, index) => ({ series: [index + 2, index + 1], fill: faint(strokes[index + 1]) })) : [],
    hooks: { draw: [u => strokes.forEach((stroke, index) => u.series[index + 1].show && drawMarks(u, stroke, odd[index]))] },
  }, [[], ...labels.map(() => [])], host);
  host.append(remark);
  steerLegend(plot.root.querySelectorAll('.u-series:not(:first-child) th'));
  const resize = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
  resize.observe(host);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => plot.redraw(false);
  dark.addEventListener('change', redraw);

  function show() {
    scheduled = 0;
    const xs = [...new Set(waiting.flatMap(curve => [...curve.keys()]))].filter(x => x > 0 || !isLogarithmicAlong).sort((a, b) => a - b);
    const columns = waiting.map(curve => xs.map(x => curve.get(x)));
    odd = columns.map(column => new Map(column.flatMap((value, place) => isOdd(value) ? [[place, value]] : [])));
    // uPlot draws on over what is undefined, and leaves a gap where there is null.
    own = columns.map(column => column.map(value => isOdd(value) ? null : value));
    plot.setData([xs, ...(isStacked ? stacked(own) : own)]);
    remark.textContent = described(labels.map((label, index) => ({ label, odd: odd[index] })), xs, xLabel, isTime ? moment : legible);
  }

  return {
    // A burst is drawn once, as of the last.
    draw(curves) {
      waiting = curves;
      scheduled ||= requestAnimationFrame(show);
    },
    destroy() {
      cancelAnimationFrame(scheduled);
      resize.disconnect();
      dark.removeEventListener('change', redraw);
      remark.remove();
      plot.destroy();
    },
  };
}

/** Curves are hidden and shown in the legend: one stop of the tab key, and from there by arrows. */
function steerLegend(names) {
  names.forEach((name, index) => {
    name.setAttribute('role', 'button');
    name.setAttribute('aria-pressed', 'true');
    name.tabIndex = index === 0 ? 0 : -1;
    name.addEventListener('click', () => name.setAttribute('aria-pressed', String(name.getAttribute('aria-pressed') === 'false')));
    name.addEventListener('keydown', event => {
      const next = names[index + (['ArrowRight', 'ArrowDown'].includes(event.key) - ['ArrowLeft', 'ArrowUp'].includes(event.key))];
      if (event.key === 'Enter' || event.key === ' ') name.click();
      else if (next && next !== name) [name.tabIndex, next.tabIndex] = [-1, 0];
      else return;
      event.preventDefault();
      next?.focus();
    });
  });
}

function increments(digits, from, to) {
  return Array.from({ length: to - from }, (_, index) => digits.map(digit => Number(`${digit}e${from + index}`))).flat();
}

/** Each column on those before it. */
function stacked(columns) {
  const heights = (columns[0] ?? []).map(() => 0);
  return columns.map(column => column.map((value, place) => heights[place] += value ?? 0));
}

const faint = colour => colour.startsWith('#') ? `${colour}66` : colour.replace(')', ' / .4)');

// As tables show times, and not as the browser's language has them.
function moment(seconds) {
  if (seconds === undefined || seconds === null) return '--';
  const date = new Date(seconds * 1000);
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** What has no place on the axis stands at the edge that it left by, beside the gap in its curve. */
const markOf = value => Number.isNaN(value) ? '×' : value > 0 ? '▲' : '▼';

// On a logarithmic axis uPlot leaves some marks without a value.
const shortly = value => value === null ? '' : legible(value);

function legible(value) {
  if (value === undefined || value === null) return '--';
  const size = Math.abs(value);
  return Number.isFinite(value) && size !== 0 && (size >= 1e7 || size < 1e-4)
    ? value.toExponential(3).replace(/\.?0*e/, 'e')
    : value.toLocaleString('en', { maximumSignificantDigits: 5 });
}

/** Places of points that have a gap, or nothing, on either side. */
function lonely(column) {
  const places = [];
  let before = null;
  let candidate = null;
  column.forEach((value, place) => {
    if (value === undefined) return;
    if (value === null && candidate !== null) places.push(candidate);
    candidate = value !== null && before === null ? place : null;
    before = value;
  });
  if (candidate !== null) places.push(candidate);
  return places;
}

function drawMarks({ ctx, bbox, data, valToPos }, stroke, odd) {
  ctx.save();
  Object.assign(ctx, { fillStyle: stroke, textAlign: 'center', font: `${12 * devicePixelRatio}px sans-serif` });
  for (const [place, value] of odd) {
    const x = valToPos(data[0][place], 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.textBaseline = value > 0 ? 'top' : 'bottom';
    ctx.fillText(markOf(value), x, value > 0 ? bbox.top : bbox.top + bbox.height);
  }
  ctx.restore();
}

/** "validation/loss is NaN (×) at step 300": what a gap means, for those who do not know the marks. */
function described(series, xs, xLabel, shown) {
  const sentences = series.filter(({ odd }) => odd.size > 0).map(({ label, odd }) => {
    const [[place, value]] = odd;
    const others = odd.size > 1 ? ', and has no place on the axis at others' : '';
    return `${label} is ${legible(value)} (${markOf(value)}) at ${xLabel} ${shown(xs[place])}${others}`;
  });
  const more = sentences.length - curvesNamed;
  const rest = more > 0 ? [`${more} more ${more === 1 ? 'curve has' : 'curves have'} gaps`] : [];
  return sentences.slice(0, curvesNamed).concat(rest).join('; ');
}
