import { useState } from 'preact/hooks';
import { Refused } from '../../errors';
import { go } from '../../router';
import { texts } from '../../texts';
import { Actions, Dialog } from '../../ui/dialog';
import { Copy, Done, Outcome, useAct, useLoad } from '../../ui/parts';
import { create, roles, type Account } from './api';

/** Letters and digits that nobody takes for each other. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789';

/** A password of 20 letters and digits, over 115 bits. */
export function random(): string {
  let out = '';
  while (out.length < 20) {
    for (const n of crypto.getRandomValues(new Uint8Array(32))) {
      // Numbers beyond the last whole round of the alphabet would prefer its beginning.
      if (n < 256 - (256 % alphabet.length) && out.length < 20) out += alphabet[n % alphabet.length];
    }
  }
  return out;
}

export function Create({ close, made }: { close(): void; made(): void }) {
  const t = texts.users;
  const a = useAct();
  const known = useLoad(roles);
  const [how, choose] = useState<'link' | 'random' | 'typed'>('link');
  const [result, show] = useState<{ user: Account; password: string } | null>(null);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? '').trim();
    void a.act(async () => {
      const password = how === 'random' ? random() : how === 'typed' ? String(data.get('password')) : '';
      if (how === 'typed' && password === '') throw new Refused({ reason: t.passwordMissing });
      const user = await create({
        username: text('username'),
        email: text('email'),
        name: text('name'),
        verified: data.get('verified') === 'on',
        roles: data.getAll('role').map(String),
        ...(how === 'link' ? {} : { password, sendWelcomeEmail: data.get('welcome') === 'on' }),
      });
      made();
      show({ user, password: how === 'random' ? password : '' });
    });
  };
  if (result) {
    return (
      <Dialog title={t.made} close={close}>
        <Done>{how === 'link' ? t.madeLink(result.user.username ?? '') : t.madeText(result.user.username ?? '')}</Done>
        {result.password && (
          <>
            <p>{t.passwordOnce}</p>
            <p class="row">
              <code class="secret">{result.password}</code> <Copy text={result.password} />
            </p>
          </>
        )}
        <footer class="actions">
          <button type="button" class="secondary" onClick={close}>
            {texts.close}
          </button>
          <button
            type="button"
            onClick={() => {
              close();
              go(`/users/${encodeURIComponent(result.user._id)}`);
            }}
          >
            {t.open}
          </button>
        </footer>
      </Dialog>
    );
  }
  const way = (value: typeof how, label: string) => (
    <label>
      <input type="radio" name="how" checked={how === value} onChange={() => choose(value)} /> {label}
    </label>
  );
  return (
    <Dialog title={t.create} close={close}>
      <form onSubmit={submit}>
        <label>
          {t.username}
          <input name="username" required maxLength={64} autocomplete="off" autocapitalize="off" spellcheck={false} />
        </label>
        <label>
          {t.name}
          <input name="name" maxLength={120} autocomplete="off" />
        </label>
        <label>
          {t.email}
          <input name="email" type="email" required maxLength={254} autocomplete="off" />
        </label>
        <label>
          <input name="verified" type="checkbox" /> {t.verified}
        </label>
        <fieldset>
          <legend>{t.roles}</legend>
          {(known.data ?? [{ _id: 'user', description: '' }]).map((r) => (
            <label key={r._id}>
              <input type="checkbox" name="role" value={r._id} defaultChecked={r._id === 'user'} /> {r._id}
            </label>
          ))}
        </fieldset>
        <fieldset>
          <legend>{t.password}</legend>
          {way('link', t.byLink)}
          {way('random', t.byRandom)}
          {way('typed', t.byTyping)}
        </fieldset>
        {how === 'typed' && (
          <label>
            {t.newPassword}
            <input name="password" type="password" autocomplete="new-password" maxLength={256} />
          </label>
        )}
        {how !== 'link' && (
          <label>
            <input name="welcome" type="checkbox" /> {t.welcome}
          </label>
        )}
        <Outcome of={a} />
        <Actions close={close} busy={a.busy} off={a.busy}>
          {t.make}
        </Actions>
      </form>
    </Dialog>
  );
}
