import { useState } from 'preact/hooks';
import { call } from '../../call';
import { texts } from '../../texts';
import { Badge, Card, Outcome, useAct } from '../../ui/parts';
import { Confirm } from '../../ui/dialog';
import { jump, twoFactor, type Own } from './own';

/** Codes by e-mail: on or off. */
export function Mail({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.mail;
  const a = useAct();
  const [asking, ask] = useState(false);
  const offered = twoFactor('Email');
  const on = () => a.act(async () => {
    await call(t.toSwitchOn, '2fa:enable-email');
    return t.isOn;
  });
  const off = () => a.act(async () => {
    await call(t.toSwitchOff, '2fa:disable-email');
    return t.isOff;
  });
  return (
    <Card id={id} title={t.title} aside={<Badge kind={own.mail ? 'good' : 'plain'}>{own.mail ? texts.on : texts.off}</Badge>}>
      <p>{t.about}</p>
      {!offered ? (
        <p class="hint">{t.serverOff}</p>
      ) : !own.confirmed ? (
        <>
          <p class="hint">{own.mail ? t.waits : t.needs}</p>
          <button type="button" class="secondary outline" onClick={() => jump('account')}>
            {texts.mine.summary.verify}
          </button>{' '}
        </>
      ) : (
        own.mail && own.app && <p class="hint">{t.strongerOn}</p>
      )}
      <Outcome of={a} />
      {own.mail ? (
        <button type="button" class="secondary outline" aria-busy={a.busy} onClick={() => ask(true)}>
          {t.switchOff}
        </button>
      ) : (
        offered && own.confirmed && (
          <button type="button" aria-busy={a.busy} onClick={() => void on()}>
            {t.switchOn}
          </button>
        )
      )}
      {asking && <Confirm title={t.offTitle} text={own.app ? t.offBeside : t.offAlone} action={t.switchOff} close={() => ask(false)} run={() => void off()} />}
    </Card>
  );
}
