// Curves over optimizer steps or epochs, drawn by uPlot.
// The first series of a chart has a point a step and is noisy: it stays in the background.
const palette = ['#7fa8e8', '#d9730d', '#1a7f4b', '#8e44ad'];

// There is no half step and no half epoch.
const wholeIncrements = increments([1, 2, 5], 0, 16);

// uPlot's own end before the largest number of single precision, which a loss may pass on its way.
const valueIncrements = increments([1, 2, 2.5, 5], -20, 300);

// Of larger ones the differences overflow, and nothing could be drawn.
const largest = 1e300;

// A remark names no more curves than this; the chart marks them all.
const curvesNamed = 4;

/** Points by x of one series. The server has thinned them, so that there is a bound to their number. */
export class Curve {
  #points = new Map();

  set(x, value) { this.#points.set(Number(x ?? 0), Number(value ?? 0)); }

  /** Takes away the points from one x to another, both included; without either, all. */
  remove(from, to) {
    if (from === undefined) this.#points.clear();
    else for (const x of this.#points.keys()) if (x >= from && x <= to) this.#points.delete(x);
  }

  get(x) { return this.#points.get(x); }

  xs() { return [...this.#points.keys()]; }
}

/** A chart of the named series; `add(points)` takes metric points of any name and keeps those it draws. */
export function makeChart(host, names) {
  const series = new Map(names.map(name => [name, new Curve()]));
  const plot = makePlot(host, 240, 'step', names.map((name, index) => ({
    label: name, stroke: palette[index % palette.length], width: index === 0 ? 1 : 2,
    isDense: (first, last) => last - first >= 60 && index === 0,
  })));
  const draw = () => plot.draw(() => [...series.values()]);
  return {
    add(points) {
      for (const point of points) series.get(point.name)?.set(point.step, point.value);
      draw();
    },
    /** Points that follow stand for these. */
    thin(name, from, to) { series.get(name)?.remove(from, to); },
    clear() { for (const curve of series.values()) curve.remove(); draw(); },
    destroy: plot.destroy,
  };
}

/** One curve a label, all of the same quantity; `show(curves)` takes what gives a `Curve` for each label, in order. */
export function makeOverlay(host, labels, xLabel) {
  const plot = makePlot(host, 360, xLabel, labels.map((label, index) => ({
    // The golden angle keeps neighbours apart, however many there are.
    label, stroke: index < palette.length ? palette[index] : `hsl(${(index * 137.5) % 360} 65% 50%)`, width: 2,
    isDense: (first, last) => last - first >= 60,
  })));
  return { show: plot.draw, destroy: plot.destroy };
}

function makePlot(host, height, xLabel, series) {
  const ink = getComputedStyle(document.documentElement);
  const axis = { stroke: ink.getPropertyValue('--quiet'), grid: { stroke: ink.getPropertyValue('--line'), width: 1 } };
  let curves = series.map(() => new Curve());
  // What has no place on the axis, of each curve by its place among the x.
  let odd = series.map(() => new Map());
  const remark = document.createElement('p');
  remark.className = 'odd';
  const plot = new uPlot({
    width: host.clientWidth, height, scales: { x: { time: false } },
    axes: [
      { ...axis, label: xLabel, labelSize: 18, incrs: wholeIncrements },
      { ...axis, size: 60, incrs: valueIncrements, values: (_, splits) => splits.map(legible) },
    ],
    series: [{ label: xLabel }, ...series.map(({ label, stroke, width, isDense }) => ({
      label, stroke, width,
      value: (_, value, at, place) => legible(value ?? odd[at - 1].get(place)),
      points: {
        // Dense series are lines; a handful of points, such as one an epoch, show their marks.
        show: (_, at, first, last) => !isDense(first, last),
        // Between two gaps a point has no line to be seen by.
        filter: (u, at, isShown) => isShown ? null : lonely(u.data[at]),
      },
    }))],
    hooks: { draw: [u => series.forEach(({ stroke }, index) => u.series[index + 1].show && drawMarks(u, stroke, odd[index]))] },
  }, [[], ...series.map(() => [])], host);
  host.append(remark);
  const resize = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
  resize.observe(host);
  let scheduled = 0;
  let latest;

  function show() {
    scheduled = 0;
    curves = latest();
    const xs = [...new Set(curves.flatMap(curve => curve.xs()))].sort((a, b) => a - b);
    const columns = curves.map(curve => xs.map(x => curve.get(x)));
    odd = columns.map(column => new Map(column.flatMap((value, place) => isOdd(value) ? [[place, value]] : [])));
    // uPlot draws on over what is undefined, and leaves a gap where there is null.
    plot.setData([xs, ...columns.map(column => column.map(value => isOdd(value) ? null : value))]);
    remark.textContent = described(series.map(({ label }, index) => ({ label, odd: odd[index] })), xs, xLabel);
  }

  return {
    // A burst of messages is drawn once, as of the last.
    draw(give) {
      latest = give;
      scheduled ||= requestAnimationFrame(show);
    },
    destroy() { cancelAnimationFrame(scheduled); resize.disconnect(); remark.remove(); plot.destroy(); },
  };
}

function increments(digits, from, to) {
  return Array.from({ length: to - from }, (_, index) => digits.map(digit => Number(`${digit}e${from + index}`))).flat();
}

const isOdd = value => value !== undefined && !(Math.abs(value) <= largest);

/** What has no place on the axis stands at the edge that it left by, beside the gap in its curve. */
const markOf = value => Number.isNaN(value) ? '×' : value > 0 ? '▲' : '▼';

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
function described(series, xs, xLabel) {
  const sentences = series.filter(({ odd }) => odd.size > 0).map(({ label, odd }) => {
    const [[place, value]] = odd;
    const others = odd.size > 1 ? ', and has no place on the axis at others' : '';
    return `${label} is ${legible(value)} (${markOf(value)}) at ${xLabel} ${xs[place]}${others}`;
  });
  const more = sentences.length - curvesNamed;
  const rest = more > 0 ? [`${more} more ${more === 1 ? 'curve has' : 'curves have'} gaps`] : [];
  return sentences.slice(0, curvesNamed).concat(rest).join('; ');
}
