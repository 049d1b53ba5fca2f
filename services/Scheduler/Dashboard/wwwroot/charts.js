// Curves over optimizer steps, drawn by uPlot.
// The first series of a chart has a point a step and is noisy: it stays in the background.
const palette = ['#7fa8e8', '#d9730d', '#1a7f4b', '#8e44ad'];

/** A chart of the named series; `add(points)` takes metric points of any name and keeps those it draws. */
export function makeChart(host, names) {
  const series = new Map(names.map(name => [name, new Map()]));
  const ink = getComputedStyle(document.documentElement);
  const axis = { stroke: ink.getPropertyValue('--quiet'), grid: { stroke: ink.getPropertyValue('--line'), width: 1 } };
  const plot = new uPlot({
    width: host.clientWidth, height: 240, scales: { x: { time: false } },
    axes: [{ ...axis, label: 'step', labelSize: 18 }, { ...axis, size: 56 }],
    series: [{ label: 'step' }, ...names.map((name, index) => ({
      label: name, stroke: palette[index % palette.length], width: index === 0 ? 1 : 2, spanGaps: true,
      // Dense series are lines; a handful of points, such as one an epoch, show their marks.
      points: { show: (_, at, first, last) => last - first < 60 || names[at - 1] !== names[0] },
    }))],
  }, joined(), host);

  function joined() {
    const steps = [...new Set([...series.values()].flatMap(points => [...points.keys()]))].sort((a, b) => a - b);
    return [steps, ...names.map(name => steps.map(step => series.get(name).get(step) ?? null))];
  }

  const resize = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: 240 }));
  resize.observe(host);
  let scheduled = 0;
  return {
    add(points) {
      for (const point of points) series.get(point.name)?.set(Number(point.step ?? 0), point.value ?? 0);
      // A burst of messages is drawn once.
      scheduled ||= requestAnimationFrame(() => { scheduled = 0; plot.setData(joined()); });
    },
    clear() { for (const points of series.values()) points.clear(); plot.setData(joined()); },
    destroy() { cancelAnimationFrame(scheduled); resize.disconnect(); plot.destroy(); },
  };
}
