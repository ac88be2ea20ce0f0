import { useLoad } from '../../ui/parts';
import { allows, connection } from '../../session';
import { texts } from '../../texts';
import { few, hasTokens, jump, orNothing, suspended, twoFactor, useNews, type Own } from './own';

type Grade = 'strong' | 'middling' | 'weak';
/** reason says why, step what to do about it and in which section. */
export type Judgement = { grade: Grade; reason: string; step?: { text: string; section: string } };

/** How well an account is protected: the worst thing that can be said of it, and what to do about that. */
export function judge(own: Own): Judgement {
  const t = texts.mine.summary;
  const setUp = twoFactor('TOTP') ? { text: t.setUp, section: 'app' } : undefined;
  const mail = own.confirmed
    ? (twoFactor('Email') ? { text: t.mail, section: 'mail' } : undefined)
    : { text: t.verify, section: 'account' };
  if (!allows('Accounts_TwoFactorAuthentication_Enabled')) return { grade: 'weak', reason: t.serverOff };
  const app = own.app && twoFactor('TOTP');
  const mailed = own.mail && own.confirmed && twoFactor('Email');
  const keys = own.passkey && twoFactor('WebAuthn');
  if (app && own.u.services?.totp?.resetDue) return { grade: 'weak', reason: t.pending, step: { text: t.stop, section: 'app' } };
  if (keys && own.u.services?.webauthn?.resetDue) return { grade: 'weak', reason: t.pendingKeys, step: { text: t.stop, section: 'keys' } };
  if (!app && !mailed && !keys) {
    if (own.mail && !own.confirmed) return { grade: 'weak', reason: t.mailWaits, step: { text: t.verify, section: 'account' } };
    return { grade: 'weak', reason: t.none, step: setUp ?? mail };
  }
  const waiting = keys ? suspended(own).length : 0;
  const idle = waiting > 0 && waiting === own.keys.data?.length;
  if (idle && !app) return { grade: 'middling', reason: t.suspended, step: { text: t.confirmKeys, section: 'keys' } };
  const open = (own.tokens.data ?? []).filter((k) => k.bypassTwoFactor && !k.allowedAddresses?.length && !(k.expiresAt && new Date(k.expiresAt) < new Date()));
  if (open.length) return { grade: 'middling', reason: t.bypass(open.map((k) => k.name)), step: { text: t.lookAtTokens, section: 'tokens' } };
  if (keys) {
    if (waiting) return { grade: 'strong', reason: `${idle ? t.app : t.keys} ${t.someSuspended(waiting)}`, step: { text: t.confirmKeys, section: 'keys' } };
    const only = own.keys.data?.length === 1 && !app;
    return only ? { grade: 'strong', reason: `${t.keys} ${t.oneKey}`, step: { text: t.addKey, section: 'keys' } } : { grade: 'strong', reason: t.keys };
  }
  if (!app) return { grade: 'middling', reason: t.mailOnly, step: setUp };
  const codes = own.codes.data;
  if (codes === 0) return { grade: 'middling', reason: t.noCodes, step: { text: t.makeCodes, section: 'app' } };
  if (codes !== undefined && codes < few) return { grade: 'strong', reason: `${t.app} ${t.fewCodes(codes)}`, step: { text: t.makeCodes, section: 'app' } };
  return { grade: 'strong', reason: t.app };
}

export function Summary({ own }: { own: Own }) {
  const t = texts.mine.summary;
  const places = useLoad(async () => (await orNothing(connection.call<{ total: number }>('sessions:list', { count: 1 })))?.total);
  useNews(['sessions', 'password', 'factors'], places.reload);
  const j = judge(own);
  const address = own.u.emails?.[0];
  const facts: [string, string][] = [
    [t.facts.app, own.app ? texts.on : texts.off],
    [t.facts.mail, own.mail ? texts.on : texts.off],
    [t.facts.address, address ? (own.confirmed ? t.confirmed : t.unconfirmed) : t.noAddress],
  ];
  const held = own.keys.data?.length;
  if (held || twoFactor('WebAuthn')) facts.unshift([t.facts.keys, held ? t.keysHeld(held, suspended(own).length) : t.noKeys]);
  if (own.codes.data !== undefined) facts.splice(facts.findIndex(([name]) => name === t.facts.app) + 1, 0, [t.facts.codes, t.codesLeft(own.codes.data)]);
  if (hasTokens() && own.tokens.data) facts.push([t.facts.tokens, own.tokens.data.length ? String(own.tokens.data.length) : t.noTokens]);
  if (places.data !== undefined) facts.push([t.facts.sessions, t.devices(places.data)]);
  return (
    <section class={`card summary ${j.grade}`} aria-label={t.title}>
      <div class="verdict">
        <h2>{t.title}</h2>
        <p class="grade" role="status">
          {t[j.grade]}
        </p>
        <p>{j.reason}</p>
        {j.step ? (
          <p class="row">
            <span>{t.nextStep}:</span>
            <button type="button" class="small" onClick={() => j.step && jump(j.step.section)}>
              {j.step.text}
            </button>
          </p>
        ) : (
          j.grade === 'strong' && <p>{t.nothing}</p>
        )}
      </div>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
