import { useState } from 'preact/hooks';
import { call } from '../../call';
import { texts } from '../../texts';
import { Badge, Card, Copy, Outcome, Shown, Time, useAct } from '../../ui/parts';
import { Actions, Confirm, Dialog } from '../../ui/dialog';
import { Once } from './once';
import type { Own, Token } from './own';

type Open = { what: 'add' } | { what: 'replace' | 'remove'; token: Token } | { what: 'shown'; secret: string } | undefined;

/** Personal access tokens: make, replace, remove; each is shown once. */
export function Tokens({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.tokens;
  const a = useAct();
  const [open, show] = useState<Open>();
  const close = () => show(undefined);
  const replace = (token: Token) => a.act(async () => {
    show({ what: 'shown', secret: await call<string>(t.toReplace, 'personalAccessTokens:regenerateToken', { tokenName: token.name }) });
    own.tokens.reload();
  });
  const remove = (token: Token) => a.act(async () => {
    await call(t.toRemove, 'personalAccessTokens:removeToken', { tokenName: token.name });
    own.tokens.reload();
    return t.removed(token.name);
  });
  return (
    <Card
      id={id}
      title={t.title}
      aside={
        <button type="button" class="small" onClick={() => show({ what: 'add' })}>
          {t.add}
        </button>
      }
    >
      <p>{t.about}</p>
      <Outcome of={a} />
      <Shown of={own.tokens}>
        {(list) =>
          list.length === 0 ? (
            <p class="empty">{t.none}</p>
          ) : (
            <ul class="list">
              {list.map((k) => (
                <Entry key={k.name} token={k} act={(what) => show({ what, token: k })} />
              ))}
            </ul>
          )
        }
      </Shown>
      {open?.what === 'add' && (
        <Add
          close={close}
          done={(secret) => {
            show({ what: 'shown', secret });
            own.tokens.reload();
          }}
        />
      )}
      {open?.what === 'shown' && (
        <Once title={t.shownTitle} about={t.shown} secret={open.secret} done={close}>
          <p class="hint spaced">{t.userId}</p>
          <div class="row">
            <span class="secret grow">{own.u._id}</span>
            <Copy text={own.u._id} />
          </div>
        </Once>
      )}
      {open?.what === 'replace' && (
        <Confirm title={t.replaceTitle} text={t.replaceText(open.token.name)} action={t.replace} close={close} run={() => void replace(open.token)} />
      )}
      {open?.what === 'remove' && (
        <Confirm title={t.removeTitle} text={t.removeText(open.token.name)} action={t.remove} close={close} run={() => void remove(open.token)} />
      )}
    </Card>
  );
}

function Entry({ token: k, act }: { token: Token; act(what: 'replace' | 'remove'): void }) {
  const t = texts.mine.tokens;
  const ended = k.expiresAt !== undefined && new Date(k.expiresAt) < new Date();
  return (
    <li>
      <div class="main">
        <h3>
          {k.name} <span class="hint secret">…{k.lastTokenPart}</span>
        </h3>
        {k.bypassTwoFactor && <Badge kind="bad">{t.bypasses}</Badge>} {ended && <Badge kind="plain">{t.ended}</Badge>}
        <dl class="facts">
          <div>
            <dt>{t.made}</dt>
            <dd>
              <Time at={k.createdAt} />
            </dd>
          </div>
          <div>
            <dt>{t.used}</dt>
            <dd>{k.lastUsedAt ? <Time at={k.lastUsedAt} /> : t.never}</dd>
          </div>
          <div>
            <dt>{t.expires}</dt>
            <dd>{k.expiresAt ? <Time at={k.expiresAt} /> : t.never}</dd>
          </div>
          <div>
            <dt>{t.where}</dt>
            <dd>{k.allowedAddresses?.length ? k.allowedAddresses.join(', ') : t.everywhere}</dd>
          </div>
        </dl>
      </div>
      <div class="row acts">
        <button type="button" class="secondary outline small" aria-label={t.of(t.replace, k.name)} onClick={() => act('replace')}>
          {t.replace}
        </button>
        <button type="button" class="danger outline small" aria-label={t.of(t.remove, k.name)} onClick={() => act('remove')}>
          {t.remove}
        </button>
      </div>
    </li>
  );
}

function Add({ close, done }: { close(): void; done(secret: string): void }) {
  const t = texts.mine.tokens;
  const a = useAct();
  const [bypass, choose] = useState(false);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    const days = Number(data.get('days'));
    const addresses = String(data.get('addresses')).split(/[\s,;]+/).filter(Boolean);
    void a.act(async () => {
      done(await call<string>(t.toCreate, 'personalAccessTokens:generateToken', {
        tokenName: String(data.get('name')).trim(),
        bypassTwoFactor: bypass,
        ...(days ? { expiresInDays: days } : {}),
        ...(addresses.length ? { allowedAddresses: addresses } : {}),
      }));
    });
  };
  return (
    <Dialog title={t.add} close={close}>
      <form onSubmit={submit}>
        <label>
          {t.name}
          <input name="name" required maxLength={100} autocomplete="off" spellcheck={false} aria-describedby="token-name" />
        </label>
        <small id="token-name">{t.nameHint}</small>
        <label>
          {t.expires}
          <select name="days" defaultValue="90">
            {['30', '90', '365', '0'].map((days) => (
              <option key={days} value={days} selected={days === '90'}>
                {t.in[days]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t.addresses}
          <input name="addresses" autocomplete="off" spellcheck={false} aria-describedby="token-addresses" />
        </label>
        <small id="token-addresses">{t.addressesHint}</small>
        <label>
          <input type="checkbox" checked={bypass} aria-describedby="token-bypass" onChange={(e) => choose(e.currentTarget.checked)} /> {t.bypass}
        </label>
        <small id="token-bypass" class={bypass ? 'warn' : undefined}>
          {t.warning} {bypass && t.warningMore}
        </small>
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {t.create}
        </Actions>
      </form>
    </Dialog>
  );
}
