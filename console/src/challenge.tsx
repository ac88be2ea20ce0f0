// The one dialogue for second factors. Whatever is called and whichever door it
// takes: the call is made once without a proof, and when the server challenges
// it, this dialogue asks until a proof is accepted or the person gives up.
import { effect, signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, digest, may, session, user } from './session';
import { Cancelled, Offline, Refused, explain, type Details } from './errors';
import { answer, fresh, misplaced, obstacle, stop } from './passkeys';
import { to } from './router';
import { texts } from './texts';
import { Actions, Dialog } from './ui/dialog';
import { Alert } from './ui/parts';

/** code is what is sent: digits, a backup code, the digest of a password, the text of a passkey; '' only names the factor, and asks for its challenge. */
export type Proof = { code: string; method: string };

const passkey = 'webauthn';
/** Asks for the question that a passkey answers. */
const named: Proof = { code: '', method: passkey };

type Question = {
  /** Which challenge it is; the answers to one challenge are several questions with the same number. */
  number: number;
  why: string;
  /** Who logs in, as it was typed; mails are asked for under this name. */
  who: string;
  details: Details;
  /** When they came, by performance.now(): what a passkey answers grows old. */
  came: number;
  wrong: string;
  /** How many answers were wrong, so that the same sentence is read out again. */
  round: number;
  answer(proof: Proof): void;
  cancel(): void;
};

const question = signal<Question | null>(null);
let turn: Promise<unknown> = Promise.resolve();
let waiting = 0;
let count = 0;

const asksAgain = (e: unknown): e is Refused =>
  e instanceof Refused && (e.error === 'totp-required' || e.error === 'totp-invalid' || e.error === 'totp-max-attempts');

/**
 * Runs a call and answers its challenges. Challenges of several calls wait for each other. who is the name that somebody logs
 * in with; with passkey the call names that factor from the start, so that no mail is sent to who has something better.
 */
export async function challenged<T>(why: string, run: (proof?: Proof) => Promise<T>, of: { who?: string; passkey?: boolean } = {}): Promise<T> {
  const who = of.who ?? '';
  const first = of.passkey ? named : undefined;
  try {
    return await run(first);
  } catch (e) {
    if (!asksAgain(e)) throw e;
    const alone = waiting++ === 0;
    const asker = session.peek()?.userId;
    const mine = turn.then(async () => {
      // Whoever was asked first may be somebody else by now, or nobody.
      if (session.peek()?.userId !== asker) throw new Cancelled();
      if (alone) return ask(why, who, run, e);
      // The answer before this one may have been enough for both.
      try {
        return await run(first);
      } catch (again) {
        if (!asksAgain(again)) throw again;
        return ask(why, who, run, again);
      }
    });
    turn = mine.catch(() => {}).finally(() => void waiting--);
    return mine;
  }
}

async function ask<T>(why: string, who: string, run: (proof?: Proof) => Promise<T>, first: Refused): Promise<T> {
  let { details } = first;
  let wrong = first.error === 'totp-required' ? '' : said(first);
  let came = performance.now();
  const number = ++count;
  const asker = session.peek()?.userId;
  let ended = () => {};
  try {
    for (let round = 0; ; round++) {
      const proof = await new Promise<Proof>((answer, cancel) => {
        question.value = { number, why, who, details, came, wrong, round, answer, cancel: () => cancel(new Cancelled()) };
        // A session that ends takes its questions with it.
        ended = effect(() => {
          if (session.value?.userId !== asker) cancel(new Cancelled());
        });
      });
      ended();
      try {
        return await run(proof);
      } catch (e) {
        if (session.peek()?.userId !== asker) throw new Cancelled();
        // Neither says anything about the proof: the person may try again.
        if (e instanceof Offline || (e instanceof Refused && e.error === 'too-many-requests')) wrong = explain(e);
        else if (!asksAgain(e)) throw e;
        else {
          // A wrong code says what the account has, but not always which factor was meant.
          // The question of a passkey is good once, so that of before is none any more.
          const { publicKey: _, asked: __, ...rest } = details;
          details = { ...rest, ...e.details, method: e.details.method ?? proof.method };
          came = performance.now();
          if (e.error === 'totp-invalid') details.method = proof.method;
          wrong = e.error === 'totp-required' && !proof.code ? '' : said(e);
        }
      }
    }
  } finally {
    ended();
    question.value = null;
  }
}

function said(e: Refused): string {
  switch (e.error) {
    case 'totp-invalid':
      return e.details.method === 'password' ? texts.challenge.wrongPassword : e.details.method === passkey ? texts.challenge.wrongPasskey : texts.challenge.wrong;
    case 'totp-max-attempts':
      return texts.challenge.tooMany(e.details.timeToReset);
    default:
      return texts.challenge.another;
  }
}

/** Whether the account has passkeys of which none proves anything yet: the question names no key. */
const suspended = (d: Details) => d.publicKey !== undefined && !d.publicKey.allowCredentials?.length;

/** Which ways the server offers for this call; a passkey only where this page can use one, unless there is nothing else. */
export function ways(details: Details): string[] {
  const all = details.availableMethods ?? [];
  const list = all.length ? all : [details.method ?? 'password'];
  const first = details.method;
  const every = first && list.includes(first) ? [first, ...list.filter((m) => m !== first)] : first ? [first, ...list] : list;
  const usable = obstacle() || suspended(details) ? every.filter((m) => m !== passkey) : every;
  return usable.length ? usable : every;
}

/** A code as it was meant: pasted with blanks, hyphens or marks that nobody sees. */
export const bare = (code: string) => code.replace(/[\s\-\u2010-\u2015\u200b-\u200f\u2060\ufeff]/g, '');

/** The dialogue, once in the page. */
export function Challenge() {
  const q = question.value;
  return q ? <Ask key={q.number} q={q} /> : null;
}

function Ask({ q }: { q: Question }) {
  // The order of the first challenge stays, so that nothing jumps after a wrong code.
  const [offered] = useState(() => ways(q.details));
  const [waiting] = useState(() => suspended(q.details));
  const [way, choose] = useState(offered[0] ?? 'password');
  const [text, write] = useState('');
  const [busy, work] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const seen = useRef<Details>();

  // Every new question, a wrong code for instance, begins with an empty field that has the focus.
  useEffect(() => {
    work(false);
    write('');
    field.current?.focus();
    // What says nothing about the factor, a lost connection for instance, moves nobody to another.
    if (q.details !== seen.current && q.details.method && offered.includes(q.details.method)) choose(q.details.method);
    seen.current = q.details;
  }, [q]);
  useEffect(() => write(''), [way]);

  const t = texts.challenge;
  const code = way === 'password' ? text : bare(text);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    if (busy || !code) return;
    work(true);
    q.answer({ method: way, code: way === 'password' ? digest(text) : code });
  };
  return (
    <Dialog title={t.title} close={q.cancel}>
      <p>{t.why(q.why)}</p>
      {waiting && <p class="hint">{t.passkeySuspended}</p>}
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
      {way === passkey ? <ByPasskey q={q} /> : (
        <form onSubmit={submit}>
          <label>
            {way === 'password' ? t.password : way === 'totp' ? t.app : way === 'email' ? t.email : name(way)}
            <input
              ref={field}
              key={way}
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
          <small id="challenge-hint">{way === 'totp' ? t.appHint : way === 'email' ? t.emailHint(q.details) : user.value?.services?.email2fa?.enabled ? t.passwordInstead : t.passwordHint}</small>
          {way === 'email' && q.details.mailKept && <Kept />}
          {q.wrong && !busy && <Alert key={q.round}>{q.wrong}</Alert>}
          {way === 'email' && <Resend q={q} />}
          <Actions close={q.cancel} busy={busy} off={busy || !code}>
            {t.confirm}
          </Actions>
          {user.value && <small>{t.remembered}</small>}
        </form>
      )}
    </Dialog>
  );
}

/**
 * The answer of a passkey. The question is good for two minutes and one call: one that grew old is asked for anew when the
 * button is pressed, and used at once.
 */
function ByPasskey({ q }: { q: Question }) {
  const t = texts.challenge;
  const [busy, work] = useState(false);
  const [failed, fail] = useState('');
  const pressed = useRef(false);
  const button = useRef<HTMLButtonElement>(null);
  const me = useRef({}).current;
  const options = q.details.method === passkey ? q.details.publicKey : undefined;
  const hindered = obstacle() || misplaced(options?.rpId);
  const waiting = suspended(q.details);

  const ask = () => {
    work(true);
    fail('');
    q.answer(named);
  };
  const use = async () => {
    if (!options) return;
    work(true);
    fail('');
    try {
      q.answer({ method: passkey, code: await answer(me, options) });
    } catch (e) {
      work(false);
      fail(explain(e));
    }
  };
  const entered = useRef(false);
  useEffect(() => {
    work(false);
    fail('');
    const [began, now] = [entered.current, pressed.current];
    entered.current = true;
    pressed.current = false;
    if (hindered || waiting) return;
    if (options && now) void use();
    // Whoever comes from another way has not been asked yet.
    else if (!options && !began && q.details.method !== passkey) ask();
    else button.current?.focus();
  }, [q]);
  // The ceremony ends with the dialogue, and when another way is chosen.
  useEffect(() => () => stop(me), []);

  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    if (busy) return;
    if (options && performance.now() - q.came < fresh) return void use();
    pressed.current = true;
    ask();
  };
  const none = q.details.method === passkey && !options && !q.wrong;
  return (
    <form onSubmit={submit}>
      {typeof q.details.asked === 'string' && options && <p>{t.passkeyAsked(q.details.asked)}</p>}
      {hindered ? (
        <>
          <Alert>{hindered}</Alert>
          {!q.details.availableMethods?.some((m) => m !== passkey) && <p>{t.passkeyOnly}</p>}
        </>
      ) : waiting ? null : none ? (
        <Alert>{t.passkeyNone}</Alert>
      ) : (
        <p class="hint">{t.passkeyHint}</p>
      )}
      {q.wrong && !busy && !failed && <Alert key={q.round}>{q.wrong}</Alert>}
      {failed && <Alert>{failed}</Alert>}
      <footer class="actions">
        <button type="button" class="secondary" onClick={q.cancel}>
          {texts.cancel}
        </button>
        {!hindered && !waiting && !none && (
          <button ref={button} type="submit" autofocus aria-busy={busy} aria-disabled={busy}>
            {t.passkey}
          </button>
        )}
      </footer>
      {user.value && <small>{t.remembered}</small>}
    </form>
  );
}

/** Where the code is, on a server that sends no mail. */
export function Kept() {
  const t = texts.challenge;
  if (!session.value) return <p class="kept">{t.keptLogin}</p>;
  if (!may('edit-other-user-totp')) return <p class="kept">{t.keptOthers}</p>;
  return (
    <p class="kept">
      {t.kept}{' '}
      {/* The opener gives the new tab a copy of this one's storage, and so its session. */}
      <a href={to('/outbox')} target="_blank" rel="opener">
        {t.openOutbox}
      </a>
    </p>
  );
}

function name(way: string): string {
  return (texts.factors as Record<string, string>)[way] ?? way;
}

/** Asks for the mail again, no earlier than the server allows. */
function Resend({ q }: { q: Question }) {
  const [until, setUntil] = useState(0);
  const [now, tick] = useState(Date.now());
  const [note, say] = useState('');
  const [failed, fail] = useState('');
  const [mailed, mark] = useState(q.details.codeGenerated === true || Boolean(q.details.codeCount));
  const kept = q.details.mailKept === true;
  const wait = Math.max(0, Math.ceil((until - now) / 1000));
  useEffect(() => {
    if (wait <= 0) return;
    const timer = setTimeout(() => tick(Date.now()), 1000);
    return () => clearTimeout(timer);
  }, [wait, now]);
  const pause = (ms: number) => {
    tick(Date.now());
    setUntil(Date.now() + ms);
  };
  const send = async () => {
    if (wait > 0) return;
    pause(30_000);
    say('');
    fail('');
    try {
      const to = await connection.call<string[]>('sendEmailCode', q.details.emailOrUsername ?? user.value?.username ?? q.who);
      say(kept ? texts.challenge.made : texts.challenge.sent(Array.isArray(to) ? to : []));
      mark(true);
    } catch (e) {
      fail(explain(e));
      pause(e instanceof Refused ? (e.details.timeToReset ?? 30_000) : 0);
    }
  };
  return (
    <div class="row resend">
      <button type="button" class="secondary outline small" aria-disabled={wait > 0} onClick={send}>
        {kept ? texts.challenge.make : mailed ? texts.challenge.resend : texts.challenge.send}
        {wait > 0 && ` (${wait} s)`}
      </button>
      <span role="status">{note}</span>
      {failed && <Alert>{failed}</Alert>}
    </div>
  );
}
