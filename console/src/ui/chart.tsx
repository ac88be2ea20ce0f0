// A small live line chart. What it shows stands beside it as text for those who
// do not see it.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';

export type Series = { at: number[]; values: (number | null)[] };

export function Chart({ data, label }: { data: Series; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const style = getComputedStyle(el);
    const ink = style.getPropertyValue('--calm').trim();
    const line = style.getPropertyValue('--pico-primary').trim();
    const axis = { stroke: ink, font: '11px system-ui', grid: { show: false }, ticks: { show: false } };
    const p = new uPlot(
      {
        width: Math.max(160, el.clientWidth),
        height: 110,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_u, _min, max) => [0, Math.max(1, (max ?? 0) * 1.2)] } },
        axes: [{ ...axis, size: 22, space: 90 }, { ...axis, size: 44, space: 30 }],
        series: [{}, { stroke: line, width: 1.5, fill: `${line}22`, points: { show: false } }],
      },
      [data.at, data.values],
      el,
    );
    plot.current = p;
    const resized = new ResizeObserver(() => p.setSize({ width: Math.max(160, el.clientWidth), height: 110 }));
    resized.observe(el);
    return () => {
      resized.disconnect();
      p.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData([data.at, data.values]), [data]);
  return <div class="chart" role="img" aria-label={label} ref={box} />;
}
