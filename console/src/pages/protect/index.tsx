// The editor of the list of calls that ask for a second factor beside those that
// do by themselves. The server says what an entry covers, also before it is saved.
import { useMemo, useRef, useState } from 'preact/hooks';
import { call } from '../../call';
import { connection, may, user } from '../../session';
import { useQuery } from '../../router';
import { texts } from '../../texts';
import { Guard } from '../../ui/guard';
import { Alert, Badge, Card, Outcome, Shown, useAct, useLater, useLoad, useStream } from '../../ui/parts';
import { calls, canonical, coverage, entries, joined, naming, parts, type Call, type Covered, type Protection, type Surface } from './model';
import './protect.css';

const preview = (text: string) => connection.call<Surface>('server:surface', { protectedCalls: text }).then((s) => s.protection);
const same = (a: string[], b: string[]) => a.length === b.length && a.every((x) => b.includes(x));

export function Protect() {
  const t = texts.protect;
  const surface = useLoad(() => connection.call<Surface>('server:surface'));
  return (
    <>
      <h1>{t.title}</h1>
      <p>{t.intro}</p>
      <Shown of={surface}>{(s) => (s.protection ? <Editor surface={s} saved={s.protection} reload={surface.reload} /> : <Alert>{texts.shell.refused}</Alert>)}</Shown>
    </>
  );
}

function Editor({ surface, saved, reload }: { surface: Surface; saved: Protection; reload(): void }) {
  const t = texts.protect;
  const a = useAct();
  const all = useMemo(() => calls(surface), [surface]);
  // What was saved here counts until the list that was read then gives way to another: it is the newer one of the two.
  const [kept, keep] = useState<{ value: string; over: Protection } | null>(null);
  const latest = useRef(saved);
  latest.current = saved;
  const current = kept?.over === saved ? kept.value : saved.value;
  const before = entries(current);
  const [draft, write] = useState<{ list: string[]; base: string } | null>(null);
  const list = draft?.list ?? before;
  const dirty = draft !== null && !same(list, before);
  // Somebody else saved another list since this one was begun.
  const overtaken = dirty && !same(entries(draft.base), before);
  const text = useLater(list.join('\n'));
  const shown = useLoad(() => preview(text), [text, saved]);
  const covered = useMemo(() => coverage(shown.data), [shown.data]);
  useStream('stream-notify-logged', 'private-settings-changed', ([, changed]) => {
    if ((changed as { _id?: string } | undefined)?._id === saved.setting) reload();
  });
  const editable = !saved.forced && may('edit-privileged-setting');
  const change = (next: string[]) => {
    a.clear();
    write(same(next, before) ? null : { list: next, base: draft?.base ?? current });
  };
  const save = () =>
    void a.act(async () => {
      const value = list.join('\n');
      await call(t.toSave, 'saveSetting', saved.setting, value);
      keep({ value, over: latest.current });
      write(null);
      reload();
      return t.saved;
    });
  return (
    <>
      <Guard when={dirty} />
      {saved.forced && <p>{texts.settings.forcedBy(`OVERWRITE_SETTING_${saved.setting}`)}</p>}
      <Card title={t.list} aside={dirty && <Badge kind="bad">{texts.settings.unsaved}</Badge>}>
        {list.length === 0 ? (
          <p class="empty">{t.listEmpty}</p>
        ) : (
          <ul class="entries">
            {list.map((e) => (
              <Entry key={e} entry={e} fits={shown.data?.entries.find((x) => canonical(x.entry) === e)} change={editable ? (next) => change([...new Set(list.flatMap((x) => (x !== e ? [x] : next ? [next] : [])))]) : undefined} />
            ))}
          </ul>
        )}
        {editable && list.some((e) => parts(e).demand === 'webauthn') && user.value && user.value.services?.webauthn?.enabled !== true && <p class="warn">{t.noKey}</p>}
        {editable && <Add list={list} add={(e) => change([...list.filter((x) => parts(x).pattern !== parts(e).pattern), e])} />}
      </Card>
      <All calls={all} list={list} covered={covered} change={editable ? change : undefined} />
      <section class={dirty ? 'savebar shown' : 'savebar'} aria-label={texts.settings.bar}>
        {overtaken && <Alert>{t.overtaken}</Alert>}
        <Outcome of={a} />
        {dirty && (
          <div class="row">
            <strong class="grow">{t.pending(list.filter((e) => !before.includes(e)).length, before.filter((e) => !list.includes(e)).length)}</strong>
            <button type="button" class="secondary outline" onClick={() => write(null)} disabled={a.busy}>
              {t.discard}
            </button>
            <button type="button" onClick={save} aria-busy={a.busy} disabled={a.busy}>
              {texts.save}
            </button>
          </div>
        )}
      </section>
    </>
  );
}

const demands = Object.entries(texts.protect.demands).map(([value, text]) => (
  <option key={value} value={value}>
    {text}
  </option>
));

/** An entry of the list and what it covers. change puts another entry in its place, or none. */
function Entry({ entry, fits, change }: { entry: string; fits?: Covered; change?(next: string): void }) {
  const t = texts.protect;
  const { pattern, demand } = parts(entry);
  return (
    <li>
      <details>
        <summary>
          <code>{pattern}</code> <span class="count">{fits ? t.covers(fits.methods.length, fits.routes.length) : ''}</span>{' '}
          {fits && !fits.known && <Badge kind="bad">{t.unknown}</Badge>}
        </summary>
        {fits && <Names of={fits} />}
      </details>
      {change ? (
        <div class="row">
          <select aria-label={t.demandOf(pattern)} value={demand} onChange={(e) => change(joined(pattern, e.currentTarget.value))}>
            {demands}
          </select>
          <button type="button" class="secondary outline small" aria-label={t.dropOf(pattern)} onClick={() => change('')}>
            {t.drop}
          </button>
        </div>
      ) : (
        <span class="hint">{t.demands[demand] ?? demand}</span>
      )}
    </li>
  );
}

function Names({ of }: { of: Covered }) {
  return (
    <p class="names">
      {[...of.methods, ...of.routes].map((n) => (
        <code key={n}>{n}</code>
      ))}
    </p>
  );
}

/** A field for an entry of any kind, which shows what it would cover while it is written. */
function Add({ list, add }: { list: string[]; add(entry: string): void }) {
  const t = texts.protect;
  const [text, write] = useState('');
  const entry = canonical(text.replace(/[,\r\n]/g, ' '));
  const later = useLater(entry);
  const shown = useLoad(() => (later ? preview(later) : Promise.resolve(undefined)), [later]);
  const fits = later === entry ? shown.data?.entries[0] : undefined;
  return (
    <form
      class="add"
      onSubmit={(e) => {
        e.preventDefault();
        if (!entry || list.includes(entry)) return;
        add(entry);
        write('');
      }}
    >
      <label>
        {t.add}
        <input value={text} onInput={(e) => write(e.currentTarget.value)} autocomplete="off" autocapitalize="off" spellcheck={false} maxLength={200} aria-describedby="add-hint add-preview" />
      </label>
      <button type="submit" class="secondary" disabled={!entry || list.includes(entry)}>
        {t.addButton}
      </button>
      <small id="add-hint">{t.addHint}</small>
      <div id="add-preview" role="status" class="preview">
        {entry && fits && (
          <>
            <p>{fits.known ? t.would(fits.methods.length, fits.routes.length) : t.wouldNothing}</p>
            <Names of={fits} />
          </>
        )}
      </div>
    </form>
  );
}

const policies = ['none', 'ordinary', 'fresh', 'login'] as const;

function All({ calls: all, list, covered, change }: { calls: Call[]; list: string[]; covered: Map<string, string[]>; change?(next: string[]): void }) {
  const t = texts.protect;
  const [query, setQuery] = useQuery();
  const search = (query.q ?? '').trim().toLowerCase();
  const effects = [...new Set(all.flatMap((c) => c.effects))].sort();
  // What the server said of an entry that was taken off meanwhile does not count any more.
  const through = (c: Call) => (covered.get(c.name) ?? []).filter((e) => list.includes(e));
  const listed = (c: Call) => !c.passage && (naming(c, list).length > 0 || through(c).length > 0);
  const fits = all.filter(
    (c) =>
      (!search || `${c.name} ${c.doc}`.toLowerCase().includes(search)) &&
      (!query.kind || c.kind === query.kind) &&
      (!query.effect || c.effects.includes(query.effect)) &&
      (!query.policy || c.factor === query.policy) &&
      (!query.show || (query.show === 'listed' ? listed(c) : query.show === 'asks' ? listed(c) || c.factor !== 'none' : !listed(c) && c.factor === 'none')),
  );
  const select = (name: string, label: string, options: [string, string][]) => (
    <label>
      {label}
      <select value={query[name] ?? ''} onChange={(e) => setQuery({ [name]: e.currentTarget.value })}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Card title={t.all}>
      <form role="search" class="filters" onSubmit={(e) => e.preventDefault()}>
        <label class="grow">
          {t.search}
          <input type="search" value={query.q ?? ''} onInput={(e) => setQuery({ q: e.currentTarget.value })} autocomplete="off" spellcheck={false} />
        </label>
        {select('kind', t.kind, [['', t.anyKind], ['method', t.kinds.method], ['route', t.kinds.route]])}
        {select('effect', t.effect, [['', t.anyEffect], ...effects.map((e): [string, string] => [e, effect(e)])])}
        {select('policy', t.policy, [['', t.anyPolicy], ...policies.map((p): [string, string] => [p, t.policies[p]])])}
        {select('show', t.show, [['', t.anyState], ['listed', t.byList], ['asks', t.asks], ['free', t.free]])}
      </form>
      <p role="status" class="found">
        {fits.length ? t.found(fits.length, all.length) : t.none}
      </p>
      <ul class="calls">
        {fits.map((c) => {
          const own = naming(c, list);
          const others = through(c).filter((e) => !own.includes(e));
          const id = `call-${c.name}`;
          return (
            <li key={c.name}>
              <div>
                <code>{c.name}</code> {c.kind === 'route' && <Badge kind="plain">{t.route}</Badge>}
                <p>{c.doc}</p>
                <p class="facts" id={id}>
                  <span>{t.policies[c.factor]}</span>
                  {c.whenNeeded && <span>{t.whenNeeded(t.policies[c.whenNeeded])}</span>}
                  {c.onlyFactors && <span>{t.only(factors(c.onlyFactors))}</span>}
                  {c.notFactors && <span>{t.not(factors(c.notFactors))}</span>}
                  {c.effects.length > 0 && <span>{t.effectsOf(c.effects.map(effect).join(', '))}</span>}
                  {c.passage && <span>{t.passage}</span>}
                  {others.length > 0 && <strong>{t.through(others.join(', '))}</strong>}
                </p>
              </div>
              <input
                type="checkbox"
                role="switch"
                aria-label={t.protect(c.name)}
                aria-describedby={id}
                checked={listed(c)}
                disabled={!change || c.passage || (own.length === 0 && others.length > 0)}
                onChange={(e) => change?.(e.currentTarget.checked ? [...list, c.name] : list.filter((x) => !own.includes(x)))}
              />
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

const factors = (names: string[]) => names.map((n) => (texts.factors as Record<string, string>)[n] ?? n).join(', ');
const effect = (name: string) => (texts.protect.effects as Record<string, string>)[name] ?? name;
