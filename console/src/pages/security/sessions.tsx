import { useState } from 'preact/hooks';
import { connection, forget } from '../../session';
import { call } from '../../call';
import { texts } from '../../texts';
import { Badge, Card, Outcome, Pager, Shown, Time, useAct, useLoad } from '../../ui/parts';
import { Confirm } from '../../ui/dialog';
import { orNothing, useNews, type Own } from './own';

type Origin = { kind?: string; client?: string; clientVersion?: string; os?: string; osVersion?: string; address?: string; door?: string };
type Entry = {
  id: string;
  current: boolean;
  connected: boolean;
  createdAt?: Date;
  expiresAt?: Date;
  lastUsedAt?: Date;
  trustedUntil?: Date;
  made?: Origin;
  used?: Origin;
};
type List = { sessions: Entry[]; count: number; offset: number; total: number };

const page = 10;

/** Which client that is, in words; everything in it comes from the client and is text. */
export function described(o: Origin | undefined): string {
  const t = texts.mine.sessions;
  const client = [o?.client, o?.clientVersion?.split('.')[0]].filter(Boolean).join(' ');
  const os = [o?.os, o?.osVersion].filter(Boolean).join(' ');
  if (client && os) return t.on(client, os);
  return client || os || t.kinds[o?.kind ?? ''] || t.unknown;
}

/** Where and when the account is logged in; ends sessions and forgets trust. */
export function Sessions({ id }: { id: string; own: Own }) {
  const t = texts.mine.sessions;
  const a = useAct();
  const [offset, go] = useState(0);
  const [ending, end] = useState<Entry | 'others'>();
  const list = useLoad(() => orNothing(connection.call<List>('sessions:list', { count: page, offset })), [offset]);
  useNews(['sessions', 'trust', 'password', 'factors'], list.reload);
  if (list.data === null) return null; // this server does not tell its sessions

  const endOne = (e: Entry) => a.act(async () => {
    await call(t.toEnd, 'sessions:end', { sessionId: e.id });
    if (e.current) forget('');
    else list.reload();
  });
  const endOthers = () => a.act(async () => {
    await call(t.toEnd, 'sessions:endOthers');
    go(0);
    list.reload();
    return t.othersEnded;
  });
  const forgetTrust = (e?: Entry) => a.act(async () => {
    await call(t.toForget, 'sessions:forgetTrust', ...(e ? [{ sessionId: e.id }] : []));
    list.reload();
    return t.forgotten;
  });
  const others = (list.data?.total ?? 0) > 1;
  return (
    <Card
      id={id}
      title={t.title}
      aside={
        others && (
          <button type="button" class="danger outline small" onClick={() => end('others')}>
            {t.endOthers}
          </button>
        )
      }
    >
      <p>{t.about}</p>
      <Outcome of={a} />
      <Shown of={list}>
        {(data) =>
          data && (
            <>
              <ul class="list">
                {data.sessions.map((e) => (
                  <Row key={e.id} e={e} end={() => end(e)} forgetTrust={() => void forgetTrust(e)} />
                ))}
              </ul>
              <Pager offset={data.offset} count={page} total={data.total} go={go} />
              {data.sessions.filter((e) => e.trustedUntil).length > 1 && (
                <button type="button" class="secondary outline small" onClick={() => void forgetTrust()}>
                  {t.forgetAll}
                </button>
              )}
            </>
          )
        }
      </Shown>
      {ending === 'others' && <Confirm title={t.endOthersTitle} text={t.endOthersText} action={t.endOthers} close={() => end(undefined)} run={() => void endOthers()} />}
      {ending && ending !== 'others' && (
        <Confirm
          title={t.endTitle}
          text={t.endText(described(ending.used ?? ending.made))}
          action={ending.current ? t.endThis : t.end}
          close={() => end(undefined)}
          run={() => void endOne(ending)}
        />
      )}
    </Card>
  );
}

function Row({ e, end, forgetTrust }: { e: Entry; end(): void; forgetTrust(): void }) {
  const t = texts.mine.sessions;
  const origin = e.used ?? e.made;
  const what = described(origin);
  return (
    <li>
      <div class="main">
        <h3>
          {what} {origin?.address && <span class="hint">{origin.address}</span>}
        </h3>
        {e.current && <Badge kind="good">{t.this}</Badge>} {e.connected && <Badge kind="plain">{t.connected}</Badge>}
        <dl class="facts">
          {e.createdAt && (
            <div>
              <dt>{t.loggedIn}</dt>
              <dd>
                <Time at={e.createdAt} />
              </dd>
            </div>
          )}
          {e.lastUsedAt && (
            <div>
              <dt>{t.used}</dt>
              <dd>
                <Time at={e.lastUsedAt} />
              </dd>
            </div>
          )}
          {e.expiresAt && (
            <div>
              <dt>{t.ends}</dt>
              <dd>
                <Time at={e.expiresAt} />
              </dd>
            </div>
          )}
          {e.trustedUntil && (
            <div>
              <dt>{t.trusted}</dt>
              <dd>
                <Time at={e.trustedUntil} />
              </dd>
            </div>
          )}
        </dl>
      </div>
      <div class="row acts">
        {e.trustedUntil && (
          <button type="button" class="secondary outline small" aria-label={t.of(t.forget, what)} onClick={forgetTrust}>
            {t.forget}
          </button>
        )}
        <button type="button" class="danger outline small" aria-label={t.of(e.current ? t.endThis : t.end, what)} onClick={end}>
          {e.current ? t.endThis : t.end}
        </button>
      </div>
    </li>
  );
}
