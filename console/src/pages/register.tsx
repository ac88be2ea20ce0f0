import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, join, passkeysEnter, publicSettings } from '../session';
import { Refused } from '../errors';
import { stop, suggestion } from '../passkeys';
import { go, to } from '../router';
import { texts } from '../texts';
import { Outcome, useAct } from '../ui/parts';

export function Register() {
  const t = texts.register;
  const a = useAct();
  const s = publicSettings.value;
  useEffect(() => void (document.title = `${t.title} · ${texts.product}`), []);
  const approved = s.get('Accounts_ManuallyApproveNewUsers') === true;
  const me = useRef({}).current;
  useEffect(() => () => stop(me), []);
  const offered = passkeysEnter() && s.get('Accounts_WebAuthn_Sign_Up') === true && s.get('Accounts_EmailVerification') !== true;
  const [chosen, choose] = useState(false);
  const passkey = offered && chosen;
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? '').trim();
    const waits = approved ? t.doneApprove : s.get('Accounts_EmailVerification') === true ? t.doneVerify : t.done;
    void a.act(async () => {
      if (passkey) {
        try {
          await join(me, { username: text('username'), email: text('email') }, suggestion());
          return go('/security');
        } catch (e) {
          // The account is there all the same, and waits.
          if (e instanceof Refused && e.error === 'error-user-is-not-activated') return waits;
          // Meteor's number for names that are taken, which is that of a wrong password, too.
          if (e instanceof Refused && e.error === 403) throw new Refused({ error: 'taken', reason: e.reason });
          throw e;
        }
      }
      await connection.call('registerUser', {
        name: text('name'), username: text('username'), email: text('email'), pass: String(data.get('password')),
        ...(text('reason') ? { reason: text('reason') } : {}),
      });
      return waits;
    });
  };
  return (
    <article class="card">
      <h1>{t.title}</h1>
      {s.size > 0 && s.get('Accounts_RegistrationForm') !== 'Public' ? (
        <p>{t.closed}</p>
      ) : (
        !a.done && (
          <form onSubmit={submit}>
            {offered && (
              <fieldset>
                <legend>{t.with}</legend>
                <label>
                  <input type="radio" name="with" checked={!chosen} onChange={() => choose(false)} /> {t.withPassword}
                </label>
                <label>
                  <input type="radio" name="with" checked={chosen} aria-describedby={chosen ? 'with-hint' : undefined} onChange={() => choose(true)} /> {t.withPasskey}
                </label>
                {chosen && <small id="with-hint">{t.withPasskeyHint}</small>}
              </fieldset>
            )}
            {!passkey && (
              <label>
                {t.name}
                <input name="name" autocomplete="name" required maxLength={120} />
              </label>
            )}
            <label>
              {t.username}
              <input name="username" autocomplete="username" autocapitalize="off" spellcheck={false} required maxLength={64} />
            </label>
            <label>
              {t.email}
              <input name="email" type="email" autocomplete="email" required maxLength={254} />
            </label>
            {!passkey && (
              <label>
                {t.password}
                <input name="password" type="password" autocomplete="new-password" required maxLength={256} />
              </label>
            )}
            {approved && !passkey && (
              <label>
                {t.reason}
                <input name="reason" maxLength={300} aria-describedby="reason-hint" required />
                <small id="reason-hint">{t.reasonHint}</small>
              </label>
            )}
            <button type="submit" aria-busy={a.busy} disabled={a.busy}>
              {t.submit}
            </button>
          </form>
        )
      )}
      <Outcome of={a} />
      <p class="links">
        <a href={to('/login')}>{texts.login.back}</a>
      </p>
    </article>
  );
}
