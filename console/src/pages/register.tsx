import { useEffect } from 'preact/hooks';
import { connection, publicSettings } from '../session';
import { to } from '../router';
import { texts } from '../texts';
import { Outcome, useAct } from '../ui/parts';

export function Register() {
  const t = texts.register;
  const a = useAct();
  const s = publicSettings.value;
  useEffect(() => void (document.title = `${t.title} · ${texts.product}`), []);
  const approved = s.get('Accounts_ManuallyApproveNewUsers') === true;
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? '').trim();
    void a.act(async () => {
      await connection.call('registerUser', {
        name: text('name'), username: text('username'), email: text('email'), pass: String(data.get('password')),
        ...(text('reason') ? { reason: text('reason') } : {}),
      });
      return approved ? t.doneApprove : s.get('Accounts_EmailVerification') === true ? t.doneVerify : t.done;
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
            <label>
              {t.name}
              <input name="name" autocomplete="name" required maxLength={120} />
            </label>
            <label>
              {t.username}
              <input name="username" autocomplete="username" autocapitalize="off" spellcheck={false} required maxLength={64} />
            </label>
            <label>
              {t.email}
              <input name="email" type="email" autocomplete="email" required maxLength={254} />
            </label>
            <label>
              {t.password}
              <input name="password" type="password" autocomplete="new-password" required maxLength={256} />
            </label>
            {approved && (
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
