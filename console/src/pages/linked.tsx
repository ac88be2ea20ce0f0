// Carries out the links that mails hold. Nothing happens before a person presses
// the button: programs that look into mails open links, too.
import { useEffect } from 'preact/hooks';
import { rest } from '../rest';
import { go, type MailedLink } from '../router';
import { Refused } from '../errors';
import { session } from '../session';
import { texts } from '../texts';
import { Outcome, useAct } from '../ui/parts';

export function Linked({ link, done }: { link: MailedLink; done(): void }) {
  const t = texts.links;
  const a = useAct();
  const verify = link.kind === 'verify-email';
  const title = verify ? t.verify : t.reset;
  useEffect(() => void (document.title = `${title} · ${texts.product}`), [title]);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    void a.act(async () => {
      if (verify) {
        await rest('POST', 'users.verifyEmail', { token: link.token });
        return t.verified;
      }
      if (data.get('password') !== data.get('again')) throw new Refused({ error: 'differ', reason: t.differ });
      await rest('POST', 'users.resetPassword', { token: link.token, password: String(data.get('password')) });
      return t.saved;
    });
  };
  return (
    <article class="card">
      <h1>{title}</h1>
      {!a.done && (
        <form onSubmit={submit}>
          {verify ? (
            <p>{t.verifyText}</p>
          ) : (
            <>
              <label>
                {t.password}
                <input name="password" type="password" autocomplete="new-password" required maxLength={256} />
              </label>
              <label>
                {t.repeat}
                <input name="again" type="password" autocomplete="new-password" required maxLength={256} />
              </label>
            </>
          )}
          <button type="submit" aria-busy={a.busy} disabled={a.busy}>
            {verify ? t.confirm : texts.save}
          </button>
        </form>
      )}
      <Outcome of={a} />
      <p class="links">
        <a
          href="#/login"
          onClick={() => {
            done();
            go(session.value ? '/security' : '/login');
          }}
        >
          {session.value ? texts.shell.security : texts.login.back}
        </a>
      </p>
    </article>
  );
}
