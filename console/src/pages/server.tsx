// The server as it is now, for administrators.
import { useState } from 'preact/hooks';
import { connection } from '../session';
import { texts } from '../texts';
import { Alert, Badge, Card, Shown, Time, useLoad, useStream } from '../ui/parts';
import { Chart, type Series } from '../ui/chart';

type Status = {
  version: string;
  startedAt: Date;
  now: Date;
  node: string;
  nodes: { node: string; id: string; self: boolean; version: string; startedAt: Date; sessions: number; messagesPerSecond: number; leaving: boolean; heard: Date }[];
  shared: boolean;
  /** What carries news between nodes, where the database is shared. */
  news?: { transport: string; hears: boolean; sent: number; taken: number; missed: number; waiting: number };
  connections: Record<string, number>;
  sessions: { total: number; loggedIn: number; users: number };
  subscriptions: number;
  callsRunning: number;
  callsPerSecond: number;
  refusals: Record<string, number>;
  mail: { transport: string; waiting: number; oldest?: Date; sent: number; failed: number };
  store: { operation: string; perSecond: number; p50?: number; p99?: number }[];
  memory: { resident: number; heap: number; limit?: number; inFlight: number; inFlightLimit: number };
  goroutines: number;
};

/** Points of a chart: ten minutes of a measure every two seconds. */
const points = 300;

const charts = {
  calls: { label: texts.serverPage.calls, of: (s: Status) => s.callsPerSecond, text: (n: number) => n.toFixed(1) },
  connections: { label: texts.serverPage.connections, of: (s: Status) => s.connections.total ?? 0, text: (n: number) => String(n) },
  store: { label: `${texts.serverPage.store}, ${texts.serverPage.p99} (ms)`, of: (s: Status) => s.store[0]?.p99 ?? 0, text: (n: number) => n.toFixed(1) },
  memory: { label: `${texts.serverPage.memory} (MiB)`, of: (s: Status) => s.memory.resident / 1048576, text: (n: number) => n.toFixed(0) },
} as const;
type Name = keyof typeof charts;

export function Server() {
  const t = texts.serverPage;
  const [past, setPast] = useState<Record<Name, Series>>(() => Object.fromEntries(Object.keys(charts).map((k) => [k, { at: [], values: [] }])) as unknown as Record<Name, Series>);
  const [heard, hear] = useState<Status | null>(null);
  const first = useLoad(() => connection.call<Status>('server:status'));
  useStream('stream-server', 'status', ([s]) => {
    const status = s as Status;
    hear(status);
    setPast((old) => {
      const next = {} as Record<Name, Series>;
      for (const [name, c] of Object.entries(charts) as [Name, (typeof charts)[Name]][]) {
        next[name] = { at: [...old[name].at, status.now.getTime() / 1000].slice(-points), values: [...old[name].values, c.of(status)].slice(-points) };
      }
      return next;
    });
  });
  return (
    <>
      <h1>{texts.shell.server}</h1>
      <p>{t.lead}</p>
      <Shown of={first}>{(loaded) => <Figures s={heard ?? loaded} past={past} />}</Shown>
    </>
  );
}

/** The nodes that share the database, as far as this one hears them. */
function Nodes({ s, news }: { s: Status; news: NonNullable<Status['news']> }) {
  const t = texts.serverPage;
  return (
    <Card title={t.nodes}>
      {!news.hears && <Alert>{t.deaf}</Alert>}
      <div class="scroll" tabIndex={0} role="region" aria-label={t.nodes}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t.name}</th>
              <th scope="col">{t.version}</th>
              <th scope="col">{t.since}</th>
              <th scope="col">{t.sessions}</th>
              <th scope="col">{t.messages}</th>
            </tr>
          </thead>
          <tbody>
            {s.nodes.map((n) => (
              <tr key={n.id}>
                <th scope="row">
                  {n.node} {n.self && <Badge kind="plain">{t.self}</Badge>} {n.leaving && <Badge kind="bad">{t.leaving}</Badge>}
                </th>
                <td>{n.version}</td>
                <td>
                  <Time at={n.startedAt} />
                </td>
                <td>{n.sessions}</td>
                <td>{n.messagesPerSecond}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Facts
        rows={[
          [t.carrier, news.transport],
          [t.newsSent, news.sent],
          [t.newsTaken, news.taken],
          [t.newsWaiting, news.waiting],
          [t.newsMissed, news.missed],
        ]}
      />
    </Card>
  );
}

function Figures({ s, past }: { s: Status; past: Record<Name, Series> }) {
  const t = texts.serverPage;
  const refusals = Object.entries(s.refusals).filter(([, n]) => n > 0);
  return (
    <>
      <div class="cards">
        {(Object.entries(charts) as [Name, (typeof charts)[Name]][]).map(([name, c]) => (
          <Card key={name} title={c.label} aside={<strong class="figure">{c.text(c.of(s))}</strong>}>
            <Chart data={past[name]} label={t.now(c.label, c.text(c.of(s)))} />
          </Card>
        ))}
        <Card title={texts.shell.server}>
          <Facts
            rows={[
              [t.version, s.version],
              [t.since, <Time at={s.startedAt} />],
              [t.node, s.node],
              [t.loggedIn, s.sessions.loggedIn],
              [t.users, s.sessions.users],
              [t.subscriptions, s.subscriptions],
              [t.running, s.callsRunning],
              [t.goroutines, s.goroutines],
            ]}
          />
          {s.shared && <p class="empty">{t.shared}</p>}
        </Card>
        <Card title={t.mail}>
          <Facts
            rows={[
              [t.transport, s.mail.transport],
              [t.waiting, s.mail.waiting],
              [t.oldest, s.mail.oldest && <Time at={s.mail.oldest} />],
              [t.sent, s.mail.sent],
              [t.failed, s.mail.failed],
            ]}
          />
        </Card>
        <Card title={t.refusals}>
          {refusals.length === 0 ? <p class="empty">{t.noRefusals}</p> : <Facts rows={refusals.map(([reason, n]) => [(t.reasons as Record<string, string>)[reason] ?? reason, n])} />}
        </Card>
        <Card title={t.memory}>
          <Facts
            rows={[
              [t.resident, bytes(s.memory.resident)],
              [t.heap, bytes(s.memory.heap)],
              [t.limit, s.memory.limit ? bytes(s.memory.limit) : undefined],
              [t.inFlight, `${bytes(s.memory.inFlight)} / ${bytes(s.memory.inFlightLimit)}`],
            ]}
          />
        </Card>
      </div>
      {s.news && <Nodes s={s} news={s.news} />}
      <Card title={t.store}>
        <div class="scroll" tabIndex={0} role="region" aria-label={t.store}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.operation}</th>
                <th scope="col">{t.rate}</th>
                <th scope="col">{t.p50}</th>
                <th scope="col">{t.p99}</th>
              </tr>
            </thead>
            <tbody>
              {s.store.map((o) => (
                <tr key={o.operation}>
                  <th scope="row">{o.operation}</th>
                  <td>{o.perSecond.toFixed(1)}</td>
                  <td>{milliseconds(o.p50)}</td>
                  <td>{milliseconds(o.p99)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Card>
    </>
  );
}

function Facts({ rows }: { rows: [string, preact.ComponentChildren][] }) {
  return (
    <dl class="figures">
      {rows
        .filter(([, value]) => value !== undefined && value !== null && value !== false && value !== '')
        .map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name}-`}>{value}</dd>])}
    </dl>
  );
}

const milliseconds = (n: number | undefined) => (n === undefined ? '–' : `${n < 10 ? n.toFixed(2) : n.toFixed(0)} ms`);

function bytes(n: number): string {
  return n < 1048576 ? `${(n / 1024).toFixed(0)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;
}
