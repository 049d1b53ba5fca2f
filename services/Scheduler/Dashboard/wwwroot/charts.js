// Curves over optimizer steps, drawn by uPlot.
// The first series of a chart has a point a step and is noisy: it stays in the background.
const palette = ['#7fa8e8', '#d9730d', '#1a7f4b', '#8e44ad'];

// There is no half step and no half epoch.
const wholeIncrements = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map(digit => digit * 10 ** power)).flat();

/** A chart of the named series; `add(points)` takes metric points of any name and keeps those it draws. */
export function makeChart(host, names) {
  const series = new Map(names.map(name => [name, new Map()]));
  const plot = makePlot(host, 240, 'step', names.map((name, index) => ({
    label: name, stroke: palette[index % palette.length], width: index === 0 ? 1 : 2, spanGaps: true,
    // Dense series are lines; a handful of points, such as one an epoch, show their marks.
    points: { show: (_, at, first, last) => last - first < 60 || names[at - 1] !== names[0] },
  })));
  return {
    add(points) {
      for (const point of points) series.get(point.name)?.set(Number(point.step ?? 0), point.value ?? 0);
      plot.draw(() => joined([...series.values()]));
    },
    clear() { for (const points of series.values()) points.clear(); plot.draw(() => joined([...series.values()])); },
    destroy: plot.destroy,
  };
}

/** One curve a label, all of the same quantity; `show(curves)` takes a map from x to y for each label, in order. */
export function makeOverlay(host, labels, xLabel) {
  const plot = makePlot(host, 360, xLabel, labels.map((label, index) => ({
    // The golden angle keeps neighbours apart, however many there are.
    label, stroke: index < palette.length ? palette[index] : `hsl(${(index * 137.5) % 360} 65% 50%)`, width: 2, spanGaps: true,
    points: { show: (_, at, first, last) => last - first < 60 },
  })));
  return { show: curves => plot.draw(() => joined(curves)), destroy: plot.destroy };
}

function makePlot(host, height, xLabel, series) {
  const ink = getComputedStyle(document.documentElement);
  const axis = { stroke: ink.getPropertyValue('--quiet'), grid: { stroke: ink.getPropertyValue('--line'), width: 1 } };
  const plot = new uPlot({
    width: host.clientWidth, height, scales: { x: { time: false } },
    axes: [{ ...axis, label: xLabel, labelSize: 18, incrs: wholeIncrements }, { ...axis, size: 56 }],
    series: [{ label: xLabel }, ...series],
  }, [[], ...series.map(() => [])], host);
  const resize = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
  resize.observe(host);
  let scheduled = 0;
  let latest;
  return {
    // A burst of messages is drawn once, as of the last.
    draw(data) {
      latest = data;
      scheduled ||= requestAnimationFrame(() => { scheduled = 0; plot.setData(latest()); });
    },
    destroy() { cancelAnimationFrame(scheduled); resize.disconnect(); plot.destroy(); },
  };
}

/** uPlot's form: all the x there are, then each curve's y at each of them. */
function joined(curves) {
  const xs = [...new Set(curves.flatMap(points => [...points.keys()]))].sort((a, b) => a - b);
  return [xs, ...curves.map(points => xs.map(x => points.get(x) ?? null))];
}
