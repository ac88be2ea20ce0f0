import { useEffect, useState } from 'preact/hooks';
import { connection } from '../../session';
import { texts } from '../../texts';
import { Badge, Card, Outcome, Shown, Time, useAct, useLoad } from '../../ui/parts';
import { orNothing, useNews, type Own } from './own';

type Event = {
  _id: string;
  ts: Date;
  act: string;
  outcome: string;
  reason?: string;
  door?: string;
  factor?: string;
  method?: string;
  target?: string;
  address?: string;
  agent?: string;
  count?: number;
  byOther?: boolean;
};
type List = { events: Event[]; cursor?: string };

const page = 15;

/** What happened to the account, newest first. */
export function Activity({ id }: { id: string; own: Own }) {
  const t = texts.mine.activity;
  const a = useAct();
  const newest = useLoad(() => orNothing(connection.call<List>('audit:mine', { count: page })));
  const [older, add] = useState<List>();
  // The server writes the copy that is read here a moment after the act, also that of the login that led to this page.
  useNews('all', newest.reload, 1_200);
  useEffect(() => {
    const timer = setTimeout(newest.reload, 1_500);
    return () => clearTimeout(timer);
  }, []);
  if (newest.data === null) return null; // this server keeps no copy to read

  const more = (cursor: string, before: Event[]) => a.act(async () => {
    const next = await connection.call<List>('audit:mine', { count: page, cursor });
    add({ events: [...before, ...next.events], cursor: next.cursor });
  });
  return (
    <Card id={id} title={t.title}>
      <p>{t.about}</p>
      <Shown of={newest}>
        {(data) => {
          if (!data) return null;
          // New events push old ones from the first page; what was fetched stays, and nothing is shown twice.
          const all = merged(data.events, older?.events ?? []);
          const cursor = older ? older.cursor : data.cursor;
          return (
            <>
              {all.length === 0 ? <p class="empty">{texts.nothing}</p> : (
                <ul class="list tight">
                  {all.map((e) => (
                    <Row key={e._id} e={e} />
                  ))}
                </ul>
              )}
              <Outcome of={a} />
              {cursor ? (
                <button type="button" class="secondary outline small" aria-busy={a.busy} onClick={() => void more(cursor, all)}>
                  {t.older}
                </button>
              ) : (
                all.length > page && <p class="empty">{t.end}</p>
              )}
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

function merged(newer: Event[], older: Event[]): Event[] {
  const seen = new Set(newer.map((e) => e._id));
  return [...newer, ...older.filter((e) => !seen.has(e._id))];
}

function Row({ e }: { e: Event }) {
  const t = texts.mine.activity;
  const outcome = t.outcomes[e.outcome];
  const factor = e.factor && ((texts.factors as Record<string, string>)[e.factor] ?? e.factor);
  const where = e.byOther ? t.byOther : [e.address, e.agent].filter(Boolean).join(' · ');
  return (
    <li>
      <div class="main">
        <strong>{t.acts[e.act] ?? e.act}</strong> {factor && <span>({factor})</span>} {e.target && <span class="text">“{e.target}”</span>}{' '}
        {outcome && <Badge kind={e.outcome === 'required' ? 'plain' : 'bad'}>{outcome}</Badge>} {(e.count ?? 1) > 1 && <span>{t.times(e.count ?? 1)}</span>}
        {where && <div class="hint text">{where}</div>}
      </div>
      <Time at={e.ts} />
    </li>
  );
}
