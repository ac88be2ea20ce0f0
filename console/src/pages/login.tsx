import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, ended, enter, login, loginByPasskey, loginOptions, passkeysEnter, publicSettings } from '../session';
import { patient } from '../errors';
import { fresh, offer, offers, stop } from '../passkeys';
import { to } from '../router';
import { texts } from '../texts';
import { Alert, Outcome, useAct } from '../ui/parts';

export function Login() {
  const t = texts.login;
  const a = useAct();
  useEffect(() => void (document.title = `${t.title} · ${texts.product}`), []);
  const form = useRef<HTMLFormElement>(null);
  const me = useRef({}).current;
  const stay = () => new FormData(form.current!).get('stay') === 'on';
  const byPasskey = passkeysEnter();
  // What was offered and then refused is not offered again: a program that chooses for its owner would never stop.
  const [spoilt, spoil] = useState(false);
  useOffer(byPasskey && connection.online.value && !a.busy && !spoilt, (text) =>
    a.act(async () => {
      try {
        await enter(text, stay());
      } catch (e) {
        spoil(true);
        throw e;
      }
    }),
  );
  useEffect(() => () => stop(me), []);
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
      <form ref={form} onSubmit={submit}>
        <label>
          {t.name}
          <input name="name" autocomplete="username webauthn" autocapitalize="off" spellcheck={false} required />
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
        {byPasskey && (
          <button type="button" class="secondary outline whole" disabled={a.busy} onClick={() => void a.act(() => loginByPasskey(me, stay()))}>
            {t.passkey}
          </button>
        )}
      </form>
      <p class="links">
        {publicSettings.value.get('Accounts_PasswordReset') !== false && <a href={to('/forgot')}>{t.forgot}</a>}
        {registration === 'Public' && <a href={to('/register')}>{t.register}</a>}
      </p>
    </article>
  );
}

/**
 * Offers passkeys in the field of the user name while on, where the browser can. The question of the server grows old, so a new
 * one takes its place in time. Another ceremony ends this one, which begins anew when on comes back.
 */
function useOffer(on: boolean, take: (text: string) => Promise<void>) {
  const last = useRef(take);
  last.current = take;
  useEffect(() => {
    if (!on) return;
    const me = {};
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const once = async (): Promise<void> => {
      const options = await patient(loginOptions, () => current);
      if (!current) return;
      let old = false;
      timer = setTimeout(() => {
        old = true;
        stop(me);
      }, fresh);
      try {
        const text = await offer(me, options);
        if (current) await last.current(text);
      } catch (e) {
        if (!old) throw e;
        return once();
      } finally {
        clearTimeout(timer);
      }
    };
    // Nobody asked for it, so nobody is told why there is no offer: the button beside tells.
    void offers().then((can) => (can && current ? once() : undefined)).catch(() => {});
    return () => {
      current = false;
      clearTimeout(timer);
      stop(me);
    };
  }, [on]);
}
