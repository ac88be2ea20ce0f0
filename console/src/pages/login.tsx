import { useEffect } from 'preact/hooks';
import { ended, login, publicSettings } from '../session';
import { to } from '../router';
import { texts } from '../texts';
import { Alert, Outcome, useAct } from '../ui/parts';

export function Login() {
  const t = texts.login;
  const a = useAct();
  useEffect(() => void (document.title = `${t.title} · ${texts.product}`), []);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    void a.act(() => login(String(data.get('name')).trim(), String(data.get('password')), data.get('stay') === 'on'));
  };
  const registration = publicSettings.value.get('Accounts_RegistrationForm');
  return (
    <article class="card">
      <h1>{t.title}</h1>
      {ended.value && !a.failed && <Alert>{ended.value}</Alert>}
      <form onSubmit={submit}>
        <label>
          {t.name}
          <input name="name" autocomplete="username" autocapitalize="off" spellcheck={false} required />
        </label>
        <label>
          {t.password}
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <label>
          <input name="stay" type="checkbox" aria-describedby="stay-hint" /> {t.stay}
        </label>
        <small id="stay-hint">{t.stayHint}</small>
        <Outcome of={a} />
        <button type="submit" aria-busy={a.busy} disabled={a.busy}>
          {t.submit}
        </button>
      </form>
      <p class="links">
        {publicSettings.value.get('Accounts_PasswordReset') !== false && <a href={to('/forgot')}>{t.forgot}</a>}
        {registration === 'Public' && <a href={to('/register')}>{t.register}</a>}
      </p>
    </article>
  );
}
