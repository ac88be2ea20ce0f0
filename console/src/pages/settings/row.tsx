import { texts } from '../../texts';
import { Badge } from '../../ui/parts';
import { choice, label, raw, told, type Draft, type Setting } from './model';

type Props = {
  setting: Setting;
  draft?: Draft;
  wrong?: string;
  /** Somebody else changed it since this page shows it. */
  news: boolean;
  editable: boolean;
  edit(raw: boolean | string): void;
  undo(): void;
};

/** One setting: what it is, its field, and what there is to say about it. */
export function Row({ setting: s, draft, wrong, news, editable, edit, undo }: Props) {
  const t = texts.settings;
  const id = `setting-${s._id}`;
  const fixed = s.blocked || !editable;
  const value = draft ? draft.raw : raw(s);
  const byDefault = raw(s, s.packageValue);
  const about = [s.description ? `${id}-about` : '', `${id}-facts`, wrong ? `${id}-wrong` : ''].filter(Boolean).join(' ');
  const common = { id, disabled: fixed, 'aria-describedby': about, 'aria-invalid': wrong ? ('true' as const) : undefined };
  // The field of a secret is empty as long as nothing is written; the default's button is what empties the secret itself.
  const emptied = s.secret && draft?.raw === '';
  return (
    <div class={draft ? 'setting unsaved' : 'setting'} data-setting={s._id}>
      <div class="what">
        <label for={id}>
          <strong>{label(s)}</strong>
        </label>{' '}
        {draft && <Badge kind="bad">{t.unsaved}</Badge>} {s.blocked && <Badge kind="plain">{t.forced}</Badge>}{' '}
        {!s.blocked && s.value !== s.packageValue && <Badge kind="plain">{t.changed}</Badge>}
        {s.description && <p id={`${id}-about`}>{s.description}</p>}
        <p class="facts" id={`${id}-facts`}>
          <code>{s._id}</code>
          <span>{t.kind(s.type, s.minValue, s.maxValue, s.secret)}</span>
          <span>{t.byDefault(told(s, s.packageValue))}</span>
          {s.public && <span>{t.public}</span>}
          {s.blocked && <span>{t.forcedBy(`OVERWRITE_SETTING_${s._id}`)}</span>}
        </p>
      </div>
      <div class="field">
        {s.type === 'boolean' ? (
          <div class="row">
            <input {...common} type="checkbox" role="switch" checked={value === true} onChange={(e) => edit(e.currentTarget.checked)} />
            <span aria-hidden="true">{value === true ? texts.on : texts.off}</span>
          </div>
        ) : s.type === 'select' ? (
          <select {...common} value={String(value)} onChange={(e) => edit(e.currentTarget.value)}>
            {s.values?.map((v) => (
              <option key={v.key} value={v.key}>
                {choice(s, v.key)}
              </option>
            ))}
          </select>
        ) : s.multiline ? (
          <textarea {...common} rows={3} spellcheck={false} value={String(value)} onInput={(e) => edit(e.currentTarget.value)} />
        ) : (
          <input
            {...common}
            type={s.secret ? 'password' : 'text'}
            inputMode={s.type === 'int' ? 'numeric' : undefined}
            autocomplete={s.secret ? 'new-password' : 'off'}
            spellcheck={false}
            placeholder={!s.secret ? undefined : emptied ? t.willBeEmpty : s.value === '' ? t.empty : t.hidden}
            value={String(value)}
            onInput={(e) => (s.secret && e.currentTarget.value === '' ? undo() : edit(e.currentTarget.value))}
          />
        )}
        {wrong && (
          <p class="wrong" id={`${id}-wrong`}>
            {wrong}
          </p>
        )}
        {!fixed && (draft || s.value !== s.packageValue) && (
          <div class="row buttons">
            {draft && (
              <button type="button" class="secondary outline small" aria-label={t.undoOf(label(s))} onClick={undo}>
                {t.undo}
              </button>
            )}
            {(s.secret ? s.value !== '' && !emptied : value !== byDefault) && (
              <button type="button" class="secondary outline small" aria-label={t.resetOf(label(s))} onClick={() => edit(byDefault)}>
                {t.reset}
              </button>
            )}
          </div>
        )}
        {news && (
          <p class="news" role="status">
            {draft ? t.changedMeanwhile(told(s, s.value)) : t.changedNow}
          </p>
        )}
      </div>
    </div>
  );
}
