// The audit, live and back in time, for administrators.
import { useEffect, useRef, useState } from 'preact/hooks';
import { connection } from '../session';
import { authorization } from '../rest';
import { Offline, Refused } from '../errors';
import { texts } from '../texts';
import { Badge, Card, Outcome, Shown, Time, download, useAct, useLater, useLoad, useStream } from '../ui/parts';

type Event = {
  _id: string;
  ts: Date;
  act: string;
  outcome: string;
  reason?: string;
  user?: string;
  username?: string;
  subject?: string;
  subjectUsername?: string;
  target?: string;
  door?: string;
  factor?: string;
  method?: string;
  address?: string;
  agent?: string;
  node?: string;
  count?: number;
};
type Page = { events: Event[]; cursor?: string; total?: number; totalAtLeast?: boolean; known?: { acts: string[]; outcomes: string[] } };

const none = { user: '', as: '', act: '', outcome: '', address: '', from: '', to: '', text: '' };
type Filter = typeof none;

/** How many new events are added to a page before it is read anew. */
const kept = 1_000;

/** What the server is asked for: no empty member, times of the reader's zone as points in time. */
function asked(f: Filter): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(f)) {
    if (value === '') continue;
    out[key] = key === 'from' || key === 'to' ? new Date(value) : value;
  }
  return out;
}

export function Audit() {
  const t = texts.auditPage;
  const [filter, setFilter] = useState<Filter>(none);
  const later = useLater(JSON.stringify(filter));
  const [live, setLive] = useState(true);
  const [older, setOlder] = useState<{ for: string; events: Event[]; cursor?: string }>({ for: '', events: [] });
  const [fresh, setFresh] = useState<Event[]>([]);
  const known = useRef<{ acts: string[]; outcomes: string[] }>({ acts: [], outcomes: [] });
  const a = useAct();
  const list = useLoad(async () => {
    const page = await connection.call<Page>('audit:list', { count: 50, ...asked(JSON.parse(later)) });
    if (page.known) known.current = page.known;
    setOlder({ for: later, events: [], cursor: page.cursor });
    setFresh([]);
    return page;
  }, [later]);

  const filtered = later !== JSON.stringify(none);
  // With a filter the server is asked again: it alone knows what the filter lets through.
  const again = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(again.current), []);
  useStream('stream-audit', live ? 'new' : undefined, (args) => {
    if (filtered) {
      clearTimeout(again.current);
      again.current = setTimeout(list.reload, 500);
      return;
    }
    // Dropping some would leave a hole that nobody sees.
    if (fresh.length + args.length > kept) list.reload();
    else setFresh((old) => [...(args as Event[]).toReversed(), ...old]);
  });

  const more = () =>
    a.act(async () => {
      const found: Event[] = [];
      let cursor = older.cursor;
      // A page may be short although there is more: a search looks at so many events a call.
      for (let round = 0; round < 20 && cursor && found.length < 50; round++) {
        const page: Page = await connection.call<Page>('audit:list', { count: 50, cursor, ...asked(JSON.parse(later)) });
        found.push(...page.events);
        cursor = page.cursor;
      }
      setOlder((o) => ({ for: later, events: [...o.events, ...found], cursor }));
    });
  const save = (kind: 'jsonl' | 'csv') =>
    a.act(async () => {
      const url = new URL('api/v1/audit.export', document.baseURI);
      url.hash = '';
      url.searchParams.set('format', kind);
      for (const [key, value] of Object.entries(asked(filter))) url.searchParams.set(key, value instanceof Date ? value.toISOString() : String(value));
      const answer = await fetch(url, { headers: authorization(), credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer' }).catch(() => {
        throw new Offline();
      });
      if (!answer.ok) {
        const body = await answer.json().catch(() => ({}));
        throw new Refused({ error: body.errorType ?? answer.status, reason: String(body.error ?? ''), details: body.details });
      }
      download(`audit.${kind}`, await answer.blob());
    });

  return (
    <>
      <h1>{texts.shell.audit}</h1>
      <p>{t.lead}</p>
      <Filters filter={filter} set={setFilter} known={known.current} />
      <div class="row">
        <button type="button" class="secondary outline small" aria-pressed={!live} onClick={() => setLive(!live)}>
          {live ? t.pause : t.goOn}
        </button>
        <Badge kind={live ? 'good' : 'plain'}>{live ? t.live : t.paused}</Badge>
        <button type="button" class="secondary outline small" disabled={a.busy} onClick={() => void save('jsonl')}>
          {t.exportAs('JSON lines')}
        </button>
        <button type="button" class="secondary outline small" disabled={a.busy} onClick={() => void save('csv')}>
          {t.exportAs('CSV')}
        </button>
      </div>
      <Outcome of={a} />
      <Shown of={list} empty={(d) => d.events.length + fresh.length + older.events.length === 0 && !older.cursor}>
        {(d) => {
          const seen = new Set<string>();
          const events = [...fresh, ...d.events, ...older.events].filter((e) => !seen.has(e._id) && seen.add(e._id));
          return (
            <>
              {d.total !== undefined && <p class="empty">{t.total(d.total + (filtered ? 0 : fresh.length), d.totalAtLeast === true)}</p>}
              <div class="scroll" tabIndex={0} role="region" aria-label={texts.shell.audit}>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">{t.when}</th>
                      <th scope="col">{t.act}</th>
                      <th scope="col">{t.by}</th>
                      <th scope="col">{t.about}</th>
                      <th scope="col">{t.where}</th>
                      <th scope="col">{t.details}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {events.map((e) => (
                      <tr key={e._id}>
                        <td>
                          <Time at={e.ts} />
                        </td>
                        <th scope="row">
                          {e.act} <Badge kind={e.outcome === 'ok' ? 'good' : 'bad'}>{e.outcome}</Badge>
                        </th>
                        <td>{e.username ?? e.user ?? '–'}</td>
                        <td>{[e.subject && e.subject !== e.user ? (e.subjectUsername ?? e.subject) : '', e.target !== e.subject ? e.target : ''].filter(Boolean).join(' ') || '–'}</td>
                        <td>{[e.address, e.door].filter(Boolean).join(', ') || '–'}</td>
                        <td>{[e.reason, e.method, e.factor, e.count ? `×${e.count}` : '', e.agent].filter(Boolean).join(', ') || '–'}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              {older.cursor ? (
                <p>
                  <button type="button" class="secondary outline" aria-busy={a.busy} disabled={a.busy} onClick={() => void more()}>
                    {t.more}
                  </button>
                </p>
              ) : (
                <p class="empty">{t.end}</p>
              )}
            </>
          );
        }}
      </Shown>
    </>
  );
}

function Filters({ filter, set, known }: { filter: Filter; set(f: Filter): void; known: { acts: string[]; outcomes: string[] } }) {
  const t = texts.auditPage;
  const field = (name: keyof Filter) => ({
    value: filter[name],
    onInput: (e: { currentTarget: HTMLInputElement | HTMLSelectElement }) => set({ ...filter, [name]: e.currentTarget.value }),
  });
  const choice = (name: 'act' | 'outcome', values: string[]) => (
    <label>
      {t[name]}
      <select {...field(name)}>
        <option value="">{t.any}</option>
        {values.map((v) => (
          <option key={v} value={v}>
            {v}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Card
      title={t.filters}
      aside={
        <button type="button" class="secondary outline small" onClick={() => set(none)}>
          {t.reset}
        </button>
      }
    >
      <div class="filters">
        <label>
          {t.user}
          <input {...field('user')} placeholder={t.userHint} autocapitalize="off" spellcheck={false} />
        </label>
        <label>
          {t.as}
          <select {...field('as')}>
            <option value="">{t.either}</option>
            <option value="actor">{t.actor}</option>
            <option value="subject">{t.subject}</option>
          </select>
        </label>
        {choice('act', known.acts)}
        {choice('outcome', known.outcomes)}
        <label>
          {t.address}
          <input {...field('address')} placeholder={t.addressHint} spellcheck={false} />
        </label>
        <label>
          {t.text}
          <input type="search" {...field('text')} />
        </label>
        <label>
          {t.from}
          <input type="datetime-local" {...field('from')} />
        </label>
        <label>
          {t.to}
          <input type="datetime-local" {...field('to')} />
        </label>
      </div>
    </Card>
  );
}
