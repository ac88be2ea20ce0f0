import { useState } from 'preact/hooks';
import { may } from '../../session';
import { to, useQuery } from '../../router';
import { texts } from '../../texts';
import { Badge, Pager, Shown, Time, useLater, useLoad } from '../../ui/parts';
import { useAccountNews } from '../../ui/news';
import { Create } from './create';
import { list, roles, statistics, type Account, type Statistics } from './api';

const size = 50;

export function List() {
  const t = texts.users;
  const [query, setQuery] = useQuery();
  const [creating, create] = useState(false);
  // What is typed is searched for after a pause; the other fields at once.
  const search = useLater(query.q ?? '');
  const offset = Math.max(0, Math.floor(Number(query.offset)) || 0);
  const page = useLoad(
    () => list({ search: search.trim(), role: query.role, state: query.state, factor: query.factor, order: query.order, offset, count: size }),
    [search, query.role, query.state, query.factor, query.order, offset],
  );
  const numbers = useLoad(statistics);
  const known = useLoad(roles);
  useAccountNews('users', () => {
    page.reload();
    numbers.reload();
  });
  // Another question begins with its first page.
  const filter = (changes: Record<string, string>) => setQuery({ offset: '', ...changes });
  const filtered = query.q || query.role || query.state || query.factor;
  // A server that counts accounts with passkeys finds them, too.
  const passkeys: [string, string][] = numbers.data?.factors.webauthn === undefined ? [] : [['webauthn', t.factors.webauthn]];
  const select = (name: string, label: string, options: [string, string][]) => (
    <label>
      {label}
      <select value={query[name] ?? ''} onChange={(e) => filter({ [name]: e.currentTarget.value })}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <>
      <div class="row head">
        <h1 class="grow">{t.title}</h1>
        <button type="button" class="secondary outline" onClick={() => (page.reload(), numbers.reload())} aria-busy={page.loading && page.data !== undefined}>
          {t.reload}
        </button>
        {may('create-user') && (
          <button type="button" onClick={() => create(true)}>
            {t.create}
          </button>
        )}
      </div>
      <Shown of={numbers}>{(n) => <Tiles n={n} filter={filter} now={query} />}</Shown>
      <form role="search" class="filters" onSubmit={(e) => e.preventDefault()}>
        <label class="grow">
          {t.search}
          <input type="search" value={query.q ?? ''} onInput={(e) => filter({ q: e.currentTarget.value })} autocomplete="off" spellcheck={false} />
        </label>
        {select('role', t.role, [['', t.anyRole], ...(known.data ?? []).map((r): [string, string] => [r._id, r._id])])}
        {select('state', t.state, [['', t.anyState], ['active', t.states.active], ['inactive', t.states.inactive], ['pending', t.states.pending]])}
        {select('factor', t.factor, [['', t.anyFactor], ['none', t.factors.none], ...passkeys, ['totp', t.factors.totp], ['email', t.factors.email], ['tokens', t.factors.tokens]])}
        {select('order', t.order, [['', t.orders.username], ['name', t.orders.name], ['-createdAt', t.orders.newest], ['-lastLogin', t.orders.lastLogin]])}
      </form>
      <Shown of={page}>
        {(p) => (
          <>
            <p role="status" class="found">
              {p.total ? t.found(p.total) : t.none}{' '}
              {filtered && (
                <button type="button" class="secondary outline small" onClick={() => filter({ q: '', role: '', state: '', factor: '' })}>
                  {t.clear}
                </button>
              )}
            </p>
            {p.users.length > 0 && (
              <div class="scroll" tabIndex={0} role="region" aria-label={t.title}>
                <table class="accounts">
                  <thead>
                    <tr>
                      <th scope="col">{t.account}</th>
                      <th scope="col" class="wide">
                        {t.email}
                      </th>
                      <th scope="col">{t.state}</th>
                      <th scope="col">{t.factor}</th>
                      <th scope="col" class="wide">
                        {t.role}
                      </th>
                      <th scope="col" class="wide">
                        {t.lastLogin}
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {p.users.map((u) => (
                      <tr key={u._id}>
                        <th scope="row">
                          <a href={to(`/users/${encodeURIComponent(u._id)}`)}>{called(u)}</a>
                          {u.name && u.username && <small> @{u.username}</small>}
                        </th>
                        <td class="wide">{u.emails?.[0]?.address ?? '–'}</td>
                        <td>
                          <StateBadge of={u} />
                        </td>
                        <td>
                          <Factors of={u} />
                        </td>
                        <td class="wide">{u.roles.join(', ') || '–'}</td>
                        <td class="wide">{u.lastLogin ? <Time at={u.lastLogin} /> : t.never}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
            <Pager offset={p.offset} count={size} total={p.total} go={(o) => setQuery({ offset: o ? String(o) : '' })} />
          </>
        )}
      </Shown>
      {creating && (
        <Create
          close={() => create(false)}
          made={() => {
            page.reload();
            numbers.reload();
          }}
        />
      )}
    </>
  );
}

/** How many accounts there are of each kind; a number is a filter. */
function Tiles({ n, filter, now }: { n: Statistics; filter(changes: Record<string, string>): void; now: Record<string, string> }) {
  const t = texts.users;
  const tile = (count: number, label: string, changes: Record<string, string>) => {
    const on = Object.entries(changes).every(([k, v]) => (now[k] ?? '') === v) && (Object.values(changes).some(Boolean) || !(now.state || now.factor));
    return (
      <li>
        <button type="button" class="tile" aria-pressed={on} onClick={() => filter(on ? { state: '', factor: '' } : { state: '', factor: '', ...changes })}>
          <strong>{count}</strong> <span>{label}</span>
        </button>
      </li>
    );
  };
  return (
    <ul class="tiles" aria-label={t.numbers}>
      {tile(n.total, t.total, { state: '', factor: '' })}
      {tile(n.active, t.states.active, { state: 'active' })}
      {tile(n.inactive, t.states.inactive, { state: 'inactive' })}
      {tile(n.pending, t.states.pending, { state: 'pending' })}
      {tile(n.factors.none, t.factors.none, { factor: 'none' })}
      {n.factors.webauthn !== undefined && tile(n.factors.webauthn, t.factors.webauthn, { factor: 'webauthn' })}
      {tile(n.factors.totp, t.factors.totp, { factor: 'totp' })}
      {tile(n.factors.email, t.factors.email, { factor: 'email' })}
      {tile(n.personalAccessTokens, t.factors.tokens, { factor: 'tokens' })}
    </ul>
  );
}

export const called = (u: Account) => u.name || u.username || u.emails?.[0]?.address || u._id;

export function StateBadge({ of: u }: { of: Account }) {
  return <Badge kind={u.state === 'active' ? 'good' : u.state === 'inactive' ? 'bad' : 'plain'}>{texts.users.states[u.state]}</Badge>;
}

export function Factors({ of: u }: { of: Account }) {
  const t = texts.users.factors;
  if (!u.factors.length) return <Badge kind="bad">{t.none}</Badge>;
  return (
    <>
      {u.factors.map((f) => (
        <span key={f}>
          <Badge kind="good">{f === 'totp' ? t.totp : f === 'email2fa' ? t.email : f === 'webauthn' ? t.webauthn : f}</Badge>{' '}
        </span>
      ))}
    </>
  );
}
