// A console for DDP: pick a call, send it as frames, watch every frame, answer a
// challenge in any of the three ways.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import EJSON from 'ejson';
import { Connection, type Frame } from '../ddp';
import { digest, session, user } from '../session';
import { Kept } from '../challenge';
import { explain, type Details } from '../errors';
import { answer as byPasskey, stop } from '../passkeys';
import { texts } from '../texts';
import { Alert, Badge, Card, Copy, useLoad } from '../ui/parts';
import { Names, conversation, ddpcat, line } from './try/frames';
import { surface, type Call } from './try/surface';

type Entry = Frame & { shown: Record<string, unknown>; n: number };
type Challenge = { method: string; params: unknown[]; ways: string[]; way: string; who: string; kept: boolean; publicKey?: Details['publicKey']; asked?: string };

/** Frames that are kept; older ones go. */
const kept = 500;

export function TryIt() {
  const t = texts.tryIt;
  const [frames, setFrames] = useState<Entry[]>([]);
  const [anonymous, setAnonymous] = useState(false);
  const [round, again] = useState(0);
  const [state, setState] = useState('');
  const [challenge, challenged] = useState<Challenge | null>(null);
  const [running, setRunning] = useState<{ id: string; name: string }[]>([]);
  const wire = useRef<Connection | null>(null);
  const ids = useRef(0);
  const sent = useRef(new Map<string, { method: string; params: unknown[] }>());

  useEffect(() => {
    const c = new Connection();
    const names = new Names();
    let n = 0;
    wire.current = c;
    setState('');
    setFrames([]);
    setRunning([]);
    challenged(null);
    c.watch = (f) => {
      const m = f.message as any;
      setFrames((all) => [...all.slice(1 - kept), { ...f, shown: names.shown(f), n: ++n }]);
      if (m.msg === 'connected') setState(m.session);
      if (m.msg === 'nosub') setRunning((all) => all.filter((s) => s.id !== m.id));
      const call = m.msg === 'result' ? sent.current.get(m.id) : undefined;
      if (!call) return;
      const e = m.error;
      if (e && /^totp-(required|invalid)$/.test(String(e.error))) {
        const d = e.details ?? {};
        const ways: string[] = d.availableMethods?.length ? d.availableMethods : [d.method ?? 'password'];
        challenged((old) => ({ ...call, ways, way: e.error === 'totp-invalid' && old ? old.way : (d.method ?? ways[0]), who: d.emailOrUsername ?? user.value?.username ?? '', kept: d.mailKept === true, publicKey: d.publicKey, asked: d.asked }));
      } else challenged((old) => (old && old.method === call.method ? null : old));
    };
    c.welcome = async () => {
      const s = session.value;
      // The connection's own call: its frames are shown, its answer is not asked about here.
      if (s && !anonymous) await c.call('login', { resume: s.token }).catch(() => {});
    };
    return () => c.close();
  }, [anonymous, round]);

  const send = (frame: Record<string, unknown>): string => {
    try {
      wire.current?.send(frame);
      return '';
    } catch (e) {
      return explain(e);
    }
  };
  const call = (method: string, params: unknown[], real = { method, params }) => {
    const id = `try${++ids.current}`;
    sent.current.set(id, real);
    return send({ msg: 'method', id, method, params });
  };
  const answer = (c: Challenge, code: string, how: string) => {
    const real = { method: c.method, params: c.params };
    if (how === 'trailing') return call(c.method, [...c.params, { twoFactorCode: code, twoFactorMethod: c.way }], real);
    if (how === 'wrapped') return call('callWithTwoFactorRequired', [{ code, method: c.way, ddpMethod: c.method, params: c.params }], real);
    const id = `try${++ids.current}`;
    sent.current.set(id, real);
    return send({ msg: 'callWithTwoFactorRequired', id, code, method: c.way, ddpMethod: c.method, params: c.params });
  };
  const subscribe = (name: string, params: unknown[]) => {
    const id = `trysub${++ids.current}`;
    const failed = send({ msg: 'sub', id, name, params });
    if (!failed) setRunning((all) => [...all, { id, name: [name, params[0]].filter((x) => typeof x === 'string').join(' ') }]);
    return failed;
  };

  return (
    <>
      <h1>{texts.shell.tryIt}</h1>
      <p>{t.lead}</p>
      <div class="row">
        <label class="row">
          {t.as}
          <select value={anonymous ? 'nobody' : 'me'} onChange={(e) => setAnonymous(e.currentTarget.value === 'nobody')}>
            <option value="me">{t.me(user.value?.username ?? '')}</option>
            <option value="nobody">{t.nobody}</option>
          </select>
        </label>
        <button type="button" class="secondary outline small" onClick={() => again(round + 1)}>
          {t.reconnect}
        </button>
        <span role="status">{state ? t.connected(state) : t.connecting}</span>
      </div>
      <Composer call={call} subscribe={subscribe} frame={send} />
      {challenge && <Answer key={`${challenge.method}${challenge.way}`} c={challenge} change={challenged} answer={answer} mail={(who) => call('sendEmailCode', [who])} />}
      {running.length > 0 && (
        <Card title={t.unsubscribe}>
          <div class="row">
            {running.map((s) => (
              <button key={s.id} type="button" class="secondary outline small" onClick={() => send({ msg: 'unsub', id: s.id })}>
                {t.stop(s.name)}
              </button>
            ))}
          </div>
        </Card>
      )}
      <Frames frames={frames} clear={() => setFrames([])} />
    </>
  );
}

function Composer({ call, subscribe, frame }: { call(m: string, p: unknown[]): string; subscribe(n: string, p: unknown[]): string; frame(f: Record<string, unknown>): string }) {
  const t = texts.tryIt;
  const known = useLoad(surface);
  const [kind, setKind] = useState<'method' | 'sub' | 'frame'>('method');
  const [name, setName] = useState('getServerTime');
  const [params, setParams] = useState('[]');
  const [raw, setRaw] = useState('{"msg": "ping", "id": "1"}');
  const [wrong, setWrong] = useState('');
  const list = useMemo(() => (known.data ?? []).filter((c) => c.kind === kind), [known.data, kind]);
  const about = list.find((c) => c.name === name);

  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    let value: any;
    try {
      value = EJSON.parse(kind === 'frame' ? raw : params || '[]');
    } catch (bad) {
      return setWrong(t.notJSON((bad as Error).message));
    }
    if (kind === 'frame') {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return setWrong(t.notObject);
      return setWrong(frame(value));
    }
    if (!Array.isArray(value)) return setWrong(t.notList);
    setWrong(kind === 'method' ? call(name.trim(), value) : subscribe(name.trim(), value));
  };
  return (
    <Card title={t.kind}>
      <form onSubmit={submit}>
        <fieldset class="row">
          <legend class="offscreen">{t.kind}</legend>
          {(['method', 'sub', 'frame'] as const).map((k) => (
            <label key={k}>
              <input type="radio" name="kind" checked={kind === k} onChange={() => setKind(k)} /> {t[k]}
            </label>
          ))}
        </fieldset>
        {kind === 'frame' ? (
          <label>
            {t.frameText}
            <textarea rows={4} class="code" spellcheck={false} value={raw} onInput={(e) => setRaw(e.currentTarget.value)} />
          </label>
        ) : (
          <>
            <label>
              {t.name}
              <input list="calls" required autocapitalize="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} />
            </label>
            <datalist id="calls">
              {list.map((c) => (
                <option key={c.name} value={c.name}>
                  {c.doc}
                </option>
              ))}
            </datalist>
            {about && <About call={about} />}
            <label>
              {t.params}
              <textarea rows={4} class="code" spellcheck={false} value={params} onInput={(e) => setParams(e.currentTarget.value)} />
            </label>
          </>
        )}
        {wrong && <Alert>{wrong}</Alert>}
        <button type="submit">{t.send}</button>
      </form>
    </Card>
  );
}

function About({ call: c }: { call: Call }) {
  const t = texts.tryIt;
  const rows: [string, string | undefined][] = [
    [t.takes, c.params],
    [t.gives, c.result],
    [t.errors, c.errors?.join('; ')],
    [t.login, c.login],
    [t.permission, c.permission],
    [t.factor, [c.factor, c.whenNeeded, c.onlyFactors && `only ${c.onlyFactors.join(', ')}`, c.notFactors && `not ${c.notFactors.join(', ')}`].filter(Boolean).join(', ')],
    [t.effects, c.effects?.join(', ')],
    [t.limit, c.limit],
  ];
  return (
    <details open>
      <summary>{t.about}</summary>
      {c.doc && <p>{c.doc}</p>}
      <dl class="figures">
        {rows.map(([k, v]) => v && [<dt key={k}>{k}</dt>, <dd key={`${k}-`}>{v}</dd>])}
      </dl>
    </details>
  );
}

function Answer({ c, change, answer, mail }: { c: Challenge; change(c: Challenge | null): void; answer(c: Challenge, code: string, how: string): string; mail(who: string): string }) {
  const t = texts.tryIt;
  const [code, setCode] = useState('');
  const [how, setHow] = useState('wrapped');
  const [wrong, setWrong] = useState('');
  const me = useRef({}).current;
  useEffect(() => () => stop(me), []);
  const passkey = c.way === 'webauthn';
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    if (passkey) {
      // An empty answer names the factor, and so asks for its question.
      if (!c.publicKey) return setWrong(answer(c, '', how));
      setWrong('');
      return void byPasskey(me, c.publicKey).then((text) => setWrong(answer(c, text, how)), (bad) => setWrong(explain(bad)));
    }
    setWrong(answer(c, c.way === 'password' ? digest(code) : code.replace(/[\s-]/g, ''), how));
    setCode('');
  };
  return (
    <Card title={t.challenge}>
      <p role="status">{t.challengeText(c.method)}</p>
      <form onSubmit={submit}>
        <div class="cards">
          <label>
            {t.way}
            <select value={c.way} onChange={(e) => change({ ...c, way: e.currentTarget.value })}>
              {[...new Set([c.way, ...c.ways])].map((w) => (
                <option key={w} value={w}>
                  {(texts.factors as Record<string, string>)[w] ?? w}
                </option>
              ))}
            </select>
          </label>
          {!passkey && (
            <label>
              {t.code}
              <input name="answer" required autocomplete="off" type={c.way === 'password' ? 'password' : 'text'} value={code} onInput={(e) => setCode(e.currentTarget.value)} />
            </label>
          )}
          <label>
            {t.how}
            <select value={how} onChange={(e) => setHow(e.currentTarget.value)}>
              <option value="trailing">{t.trailing}</option>
              <option value="wrapped">{t.wrapped}</option>
              <option value="literal">{t.literal}</option>
            </select>
          </label>
        </div>
        {passkey && c.publicKey && c.asked && <p>{t.asked(c.asked)}</p>}
        {c.way === 'email' && c.kept && <Kept />}
        {wrong && <Alert>{wrong}</Alert>}
        <div class="row">
          <button type="submit">{!passkey ? t.answer : c.publicKey ? t.usePasskey : t.askPasskey}</button>
          {c.way === 'email' && (
            <button type="button" class="secondary outline" onClick={() => setWrong(mail(c.who))}>
              {t.mail}
            </button>
          )}
          <button type="button" class="secondary outline" onClick={() => change(null)}>
            {texts.close}
          </button>
        </div>
      </form>
    </Card>
  );
}

function Frames({ frames, clear }: { frames: Entry[]; clear(): void }) {
  const t = texts.tryIt;
  const [beats, setBeats] = useState(false);
  const list = frames.filter((f) => beats || (f.message.msg !== 'ping' && f.message.msg !== 'pong'));
  const first = list[0]?.at ?? 0;
  return (
    <Card
      title={t.frames}
      aside={
        <div class="row">
          <label>
            <input type="checkbox" checked={beats} onChange={(e) => setBeats(e.currentTarget.checked)} /> {t.heartbeats}
          </label>
          <Copy text={conversation(list)} label={t.asConversation} />
          <Copy text={ddpcat(list)} label={t.asDdpcat} />
          <button type="button" class="secondary outline small" onClick={clear}>
            {t.clear}
          </button>
        </div>
      }
    >
      <p>
        <small>{t.hidden}</small>
      </p>
      {list.length === 0 ? (
        <p class="empty">{t.none}</p>
      ) : (
        <ol class="frames" tabIndex={0} aria-label={t.frames}>
          {list.map((f) => (
            <li key={f.n} class={f.out ? 'out' : 'in'}>
              <Badge kind={f.out ? 'plain' : f.message.error ? 'bad' : 'good'}>{f.out ? t.out : t.in}</Badge> <time>+{((f.at - first) / 1000).toFixed(3)} s</time>
              <code>{line(f.shown)}</code>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
