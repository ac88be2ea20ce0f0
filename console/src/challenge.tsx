// The one dialogue for second factors. Whatever is called and whichever door it
// takes: the call is made once without a proof, and when the server challenges
// it, this dialogue asks until a proof is accepted or the person gives up.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, digest, user } from './session';
import { Cancelled, Offline, Refused, explain, type Details } from './errors';
import { texts } from './texts';
import { Dialog } from './ui/dialog';
import { Alert } from './ui/parts';

/** code is what is sent: digits, a backup code, or the digest of a password. */
export type Proof = { code: string; method: string };

type Question = {
  why: string;
  details: Details;
  wrong: string;
  answer(proof: Proof): void;
  cancel(): void;
};

const question = signal<Question | null>(null);
let turn: Promise<unknown> = Promise.resolve();

const asksAgain = (e: unknown): e is Refused =>
  e instanceof Refused && (e.error === 'totp-required' || e.error === 'totp-invalid' || e.error === 'totp-max-attempts');

/** Runs a call and answers its challenges. Challenges of several calls wait for each other. */
export async function challenged<T>(why: string, run: (proof?: Proof) => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (e) {
    if (!asksAgain(e)) throw e;
    const mine = turn.then(() => ask(why, run, e));
    turn = mine.catch(() => {});
    return mine;
  }
}

async function ask<T>(why: string, run: (proof?: Proof) => Promise<T>, first: Refused): Promise<T> {
  let { details } = first;
  let wrong = first.error === 'totp-required' ? '' : said(first);
  try {
    for (;;) {
      const proof = await new Promise<Proof>((answer, cancel) => {
        question.value = { why, details, wrong, answer, cancel: () => cancel(new Cancelled()) };
      });
      try {
        return await run(proof);
      } catch (e) {
        if (e instanceof Offline) wrong = explain(e);
        else if (!asksAgain(e)) throw e;
        else {
          // A wrong code says what the account has, but not always which factor was meant.
          details = { ...details, ...e.details, method: e.details.method ?? proof.method };
          if (e.error === 'totp-invalid') details.method = proof.method;
          wrong = said(e);
        }
      }
    }
  } finally {
    question.value = null;
  }
}

function said(e: Refused): string {
  switch (e.error) {
    case 'totp-invalid':
      return texts.challenge.wrong;
    case 'totp-max-attempts':
      return texts.challenge.tooMany(e.details.timeToReset);
    default:
      return texts.challenge.another;
  }
}

/** Which ways the server offers for this call. */
export function ways(details: Details): string[] {
  const all = details.availableMethods ?? [];
  const list = all.length ? all : [details.method ?? 'password'];
  const first = details.method;
  return first && list.includes(first) ? [first, ...list.filter((m) => m !== first)] : first ? [first, ...list] : list;
}

/** The dialogue, once in the page. */
export function Challenge() {
  const q = question.value;
  return q ? <Ask key={q.why} q={q} /> : null;
}

function Ask({ q }: { q: Question }) {
  const offered = ways(q.details);
  const [way, choose] = useState(offered[0] ?? 'password');
  const [text, write] = useState('');
  const [busy, work] = useState(false);
  const field = useRef<HTMLInputElement>(null);

  // Every new question, a wrong code for instance, begins with an empty field that has the focus.
  useEffect(() => {
    work(false);
    write('');
    field.current?.focus();
  }, [q, way]);
  useEffect(() => {
    if (q.details.method && offered.includes(q.details.method)) choose(q.details.method);
  }, [q.details.method]);

  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    if (busy || !text.trim()) return;
    work(true);
    q.answer({ method: way, code: way === 'password' ? digest(text) : text.replace(/[\s-]/g, '') });
  };
  const t = texts.challenge;
  return (
    <Dialog title={t.title} close={q.cancel}>
      <p>{t.why(q.why)}</p>
      {offered.length > 1 && (
        <fieldset>
          <legend>{t.choose}</legend>
          {offered.map((m) => (
            <label key={m}>
              <input type="radio" name="way" checked={way === m} onChange={() => choose(m)} /> {name(m)}
            </label>
          ))}
        </fieldset>
      )}
      <form onSubmit={submit}>
        <label>
          {way === 'password' ? t.password : way === 'totp' ? t.app : way === 'email' ? t.email : name(way)}
          <input
            ref={field}
            name="code"
            type={way === 'password' ? 'password' : 'text'}
            autocomplete={way === 'password' ? 'current-password' : 'one-time-code'}
            autocapitalize="off"
            spellcheck={false}
            inputMode={way === 'email' ? 'numeric' : undefined}
            value={text}
            aria-invalid={q.wrong ? 'true' : undefined}
            aria-describedby="challenge-hint"
            onInput={(e) => write(e.currentTarget.value)}
          />
        </label>
        <small id="challenge-hint">{way === 'totp' ? t.appHint : way === 'email' ? t.emailHint(q.details) : t.passwordHint}</small>
        {q.wrong && <Alert>{q.wrong}</Alert>}
        {way === 'email' && <Resend details={q.details} />}
        <footer class="actions">
          <button type="button" class="secondary" onClick={q.cancel}>
            {texts.cancel}
          </button>
          <button type="submit" aria-busy={busy} disabled={busy || !text.trim()}>
            {t.confirm}
          </button>
        </footer>
        {user.value && <small>{t.remembered}</small>}
      </form>
    </Dialog>
  );
}

function name(way: string): string {
  return (texts.factors as Record<string, string>)[way] ?? way;
}

/** Asks for the mail again, no earlier than the server allows. */
function Resend({ details }: { details: Details }) {
  const [wait, setWait] = useState(0);
  const [note, say] = useState('');
  useEffect(() => {
    if (wait <= 0) return;
    const timer = setTimeout(() => setWait(wait - 1), 1000);
    return () => clearTimeout(timer);
  }, [wait]);
  const send = async () => {
    try {
      const to = await connection.call<string[]>('sendEmailCode', details.emailOrUsername ?? user.value?.username ?? '');
      say(texts.challenge.sent(Array.isArray(to) ? to : []));
      setWait(30);
    } catch (e) {
      say(explain(e));
      if (e instanceof Refused && e.details.timeToReset) setWait(Math.ceil(e.details.timeToReset / 1000));
    }
  };
  return (
    <p>
      <button type="button" class="secondary outline" disabled={wait > 0} onClick={send}>
        {details.codeGenerated === false && !details.codeCount ? texts.challenge.send : texts.challenge.resend}
        {wait > 0 && ` (${wait} s)`}
      </button>{' '}
      <span role="status">{note}</span>
    </p>
  );
}
