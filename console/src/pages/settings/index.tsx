// The editor of settings. Edits are kept in the page until they are saved together;
// what others change meanwhile appears, and never in a field that is being edited.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { call } from '../../call';
import { connection, may } from '../../session';
import { Cancelled, Refused, explain } from '../../errors';
import { useQuery } from '../../router';
import { texts } from '../../texts';
import { Confirm } from '../../ui/dialog';
import { Guard } from '../../ui/guard';
import { Alert, Badge, Done, Shown, useLoad, useStream } from '../../ui/parts';
import { Row } from './row';
import { differs, matches, parse, raw, sections, type Draft, type Setting, type Value } from './model';
import './settings.css';

export function Settings() {
  const t = texts.settings;
  const loaded = useLoad(() => connection.call<Setting[]>('private-settings/get'));
  // What was changed since the list was read, here or elsewhere.
  const [later, setLater] = useState<ReadonlyMap<string, Value>>(new Map());
  const [news, setNews] = useState<ReadonlySet<string>>(new Set());
  const [drafts, setDrafts] = useState<ReadonlyMap<string, Draft>>(new Map());
  const [wrong, setWrong] = useState<ReadonlyMap<string, string>>(new Map());
  useEffect(() => setLater(new Map()), [loaded.data]);
  const all = useMemo(() => (loaded.data ?? []).map((s) => (later.has(s._id) ? { ...s, value: later.get(s._id)! } : s)), [loaded.data, later]);
  const unsaved = all.filter((s) => drafts.has(s._id) && differs(s, drafts.get(s._id)!));
  const [saving, setSaving] = useState<ReadonlySet<string>>(new Set());

  useStream('stream-notify-logged', 'private-settings-changed', ([, changed]) => {
    const { _id, value } = (changed ?? {}) as { _id?: string; value?: Value };
    if (_id === undefined || value === undefined) return;
    setLater((m) => new Map(m).set(_id, value));
    if (!saving.has(_id)) setNews((n) => new Set(n).add(_id));
  });

  const drop = (ids: Iterable<string>) => {
    const gone = new Set(ids);
    setDrafts((m) => new Map([...m].filter(([id]) => !gone.has(id))));
    setWrong((m) => new Map([...m].filter(([id]) => !gone.has(id))));
    setNews((n) => new Set([...n].filter((id) => !gone.has(id))));
  };
  const edit = (s: Setting, text: boolean | string) => {
    setOutcome({});
    setWrong((m) => new Map([...m].filter(([id]) => id !== s._id)));
    setDrafts((m) => {
      const draft = { raw: text, base: m.get(s._id)?.base ?? s.value };
      const next = new Map(m);
      if (differs(s, draft)) next.set(s._id, draft);
      else next.delete(s._id);
      return next;
    });
  };

  const [outcome, setOutcome] = useState<{ failed?: string; done?: string }>({});
  const fail = (of: Map<string, string>) => {
    setWrong(of);
    const first = [...of.keys()][0]!;
    setOpen((o) => new Set(o).add(key(all.find((s) => s._id === first)!)));
    if (query.q || query.show) setQuery({ q: '', show: '' });
    requestAnimationFrame(() => document.getElementById(`setting-${first}`)?.focus());
  };
  const save = async () => {
    const bad = new Map<string, string>();
    const changes: { _id: string; value: Value }[] = [];
    for (const s of unsaved) {
      const p = parse(s, drafts.get(s._id)!.raw);
      if ('wrong' in p) bad.set(s._id, p.wrong);
      else changes.push({ _id: s._id, value: p.value });
    }
    if (bad.size) {
      setOutcome({ failed: t.notSaved(bad.size) });
      return fail(bad);
    }
    const ids = new Set(changes.map((c) => c._id));
    setSaving(ids);
    setOutcome({});
    try {
      // The server knows its defaults. What goes together with other changes is saved with them, all or nothing.
      if (unsaved.every((s) => drafts.get(s._id)!.raw === raw(s, s.packageValue))) await call(t.toSave, 'settings:reset', [...ids]);
      else await call(t.toSave, 'saveSettings', changes);
      drop(ids);
      setOutcome({ done: t.saved(changes.length) });
      loaded.reload();
    } catch (e) {
      const id = e instanceof Refused ? String(e.details.setting ?? '') : '';
      if (e instanceof Refused && ids.has(id)) {
        const reason = String(e.details.reason ?? e.reason);
        setOutcome({ failed: t.notSaved(1) });
        fail(new Map([[id, `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? '' : '.'}`]]));
      } else if (!(e instanceof Cancelled)) setOutcome({ failed: explain(e) });
    } finally {
      setSaving(new Set());
    }
  };

  const [query, setQuery] = useQuery();
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [discarding, ask] = useState(false);
  const filtered = all.filter(
    (s) =>
      matches(s, query.q ?? '') &&
      (query.show === 'changed' ? raw(s) !== raw(s, s.packageValue) || (s.secret && s.value !== '') : query.show === 'forced' ? s.blocked : query.show === 'unsaved' ? drafts.has(s._id) : true),
  );
  const searching = Boolean(query.q?.trim() || query.show);
  const parts = sections(filtered);
  const editable = may('edit-privileged-setting');
  return (
    <>
      <h1>{t.title}</h1>
      <Guard when={unsaved.length > 0} />
      {!editable && <p>{t.readOnly}</p>}
      <Shown of={loaded} empty={(d) => d.length === 0}>
        {() => (
          <>
            <form role="search" class="filters" onSubmit={(e) => e.preventDefault()}>
              <label class="grow">
                {t.search}
                <input type="search" value={query.q ?? ''} onInput={(e) => setQuery({ q: e.currentTarget.value })} autocomplete="off" spellcheck={false} />
              </label>
              <label>
                {t.show}
                <select value={query.show ?? ''} onChange={(e) => setQuery({ show: e.currentTarget.value })}>
                  <option value="">{t.all}</option>
                  <option value="changed">{t.onlyChanged}</option>
                  <option value="forced">{t.onlyForced}</option>
                  <option value="unsaved">{t.onlyUnsaved}</option>
                </select>
              </label>
            </form>
            <p role="status" class="found">
              {filtered.length ? t.found(filtered.length, all.length) : t.none}
            </p>
            {parts.map((p) => {
              const pending = p.settings.filter((s) => drafts.has(s._id)).length;
              return (
                <details
                  key={p.key}
                  class="section"
                  open={searching || open.has(p.key)}
                  onToggle={(e) => {
                    const is = e.currentTarget.open;
                    if (!searching) setOpen((o) => (o.has(p.key) === is ? o : new Set(is ? [...o, p.key] : [...o].filter((k) => k !== p.key))));
                  }}
                >
                  <summary>
                    <h2>{p.title}</h2> <span class="count">{p.settings.length}</span> {pending > 0 && <Badge kind="bad">{t.inSection(pending)}</Badge>}
                  </summary>
                  {(searching || open.has(p.key)) &&
                    p.settings.map((s) => (
                      <Row
                        key={s._id}
                        setting={s}
                        draft={drafts.get(s._id)}
                        wrong={wrong.get(s._id)}
                        news={news.has(s._id)}
                        editable={editable}
                        edit={(text) => edit(s, text)}
                        undo={() => drop([s._id])}
                      />
                    ))}
                </details>
              );
            })}
          </>
        )}
      </Shown>
      <section class={unsaved.length ? 'savebar shown' : 'savebar'} aria-label={t.bar}>
        {outcome.failed && <Alert>{outcome.failed}</Alert>}
        {outcome.done && <Done>{outcome.done}</Done>}
        {unsaved.length > 0 && (
          <div class="row">
            <strong class="grow">{t.count(unsaved.length)}</strong>
            <button type="button" class="secondary outline" onClick={() => ask(true)} disabled={saving.size > 0}>
              {t.discard}
            </button>
            <button type="button" onClick={() => void save()} aria-busy={saving.size > 0} disabled={saving.size > 0}>
              {texts.save}
            </button>
          </div>
        )}
      </section>
      {discarding && (
        <Confirm title={t.discardTitle} text={t.discardText(unsaved.length)} action={t.discard} close={() => ask(false)} run={() => drop(drafts.keys())} />
      )}
    </>
  );
}

const key = (s: Setting) => `${s.group}/${s.section ?? ''}`;
