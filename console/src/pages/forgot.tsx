import { useEffect } from 'preact/hooks';
import { connection } from '../session';
import { to } from '../router';
import { texts } from '../texts';
import { Outcome, useAct } from '../ui/parts';

export function Forgot() {
  const t = texts.forgot;
  const a = useAct();
  useEffect(() => void (document.title = `${t.title} · ${texts.product}`), []);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const email = String(new FormData(e.currentTarget as HTMLFormElement).get('email')).trim();
    void a.act(async () => {
      await connection.call('forgotPassword', { email });
      return t.done;
    });
  };
  return (
    <article class="card">
      <h1>{t.title}</h1>
      <p>{t.text}</p>
      <form onSubmit={submit}>
        <label>
          {t.email}
          <input name="email" type="email" autocomplete="email" required />
        </label>
        <button type="submit" aria-busy={a.busy} disabled={a.busy}>
          {t.submit}
        </button>
      </form>
      <Outcome of={a} />
      <p class="links">
        <a href={to('/login')}>{texts.login.back}</a>
      </p>
    </article>
  );
}
