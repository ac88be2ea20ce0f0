import { useState } from 'preact/hooks';
import { allows, connection } from '../../session';
import { call } from '../../call';
import { texts } from '../../texts';
import { Badge, Card, Outcome, useAct } from '../../ui/parts';
import { Actions, Dialog } from '../../ui/dialog';
import type { Own } from './own';

type Field = {
  key: 'realname' | 'username' | 'email';
  label: string;
  hint?: string;
  type?: string;
  autocomplete: string;
  value: string;
  setting: string;
};

/** Who one is to the server: name, user name, addresses. */
export function Account({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.account;
  const a = useAct();
  const [editing, edit] = useState<Field>();
  const { u } = own;
  const emails = u.emails ?? [];
  const fields: Field[] = [
    { key: 'realname', label: t.name, value: u.name ?? '', autocomplete: 'name', setting: 'Accounts_AllowRealNameChange' },
    { key: 'username', label: t.username, value: u.username ?? '', hint: t.usernameHint, autocomplete: 'username', setting: 'Accounts_AllowUsernameChange' },
    { key: 'email', label: t.email, value: emails[0]?.address ?? '', hint: t.emailHint, type: 'email', autocomplete: 'email', setting: 'Accounts_AllowEmailChange' },
  ];
  const send = (address: string) => a.act(async () => {
    await connection.call('sendConfirmationEmail', address);
    return t.sent(address);
  });
  return (
    <Card id={id} title={t.title}>
      <dl class="fields">
        {fields.map((f) => (
          <div key={f.key}>
            <dt>{f.label}</dt>
            <dd>
              {f.key === 'email' ? (
                emails.length ? (
                  emails.map((e) => (
                    <div class="row" key={e.address}>
                      <span class="text">{e.address}</span>
                      <Badge kind={e.verified ? 'good' : 'bad'}>{e.verified ? t.verified : t.unverified}</Badge>
                      {!e.verified && (
                        <button type="button" class="small" aria-busy={a.busy} onClick={() => void send(e.address)}>
                          {t.sendAgain}
                        </button>
                      )}
                    </div>
                  ))
                ) : (
                  t.none
                )
              ) : (
                <span class="text">{f.value || t.none}</span>
              )}
            </dd>
            {allows('Accounts_AllowUserProfileChange', f.setting) && (
              <dd class="act">
                <button type="button" class="secondary outline small" aria-label={t.changeOf(f.label)} onClick={() => edit(f)}>
                  {t.change}
                </button>
              </dd>
            )}
          </div>
        ))}
      </dl>
      <Outcome of={a} />
      {editing && (
        <Edit
          field={editing}
          close={() => edit(undefined)}
          done={(text) => {
            edit(undefined);
            void a.act(async () => text);
          }}
        />
      )}
    </Card>
  );
}

function Edit({ field, close, done }: { field: Field; close(): void; done(text: string): void }) {
  const t = texts.mine.account;
  const a = useAct();
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const value = String(new FormData(e.currentTarget as HTMLFormElement).get('value')).trim();
    if (value === field.value) return close();
    void a.act(async () => {
      await call(t.toChange, 'saveUserProfile', { [field.key]: value }, {});
      done(field.key === 'email' ? t.emailSaved(value) : t.saved);
    });
  };
  return (
    <Dialog title={t.changeOf(field.label)} close={close}>
      <form onSubmit={submit}>
        <label>
          {field.label}
          <input
            name="value"
            type={field.type ?? 'text'}
            autocomplete={field.autocomplete}
            autocapitalize={field.key === 'realname' ? undefined : 'off'}
            spellcheck={false}
            required
            maxLength={254}
            defaultValue={field.value}
            aria-describedby={field.hint ? 'field-hint' : undefined}
          />
        </label>
        {field.hint && <small id="field-hint">{field.hint}</small>}
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {texts.save}
        </Actions>
      </form>
    </Dialog>
  );
}
