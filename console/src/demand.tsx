// What the server refused for want of a factor is told above every page, with the
// way to set one up: by then the person may be on any page.
import { effect, signal } from '@preact/signals';
import { allows, connection, opened, passkeysOn, session, user } from './session';
import { explain } from './errors';
import { go } from './router';
import { texts } from './texts';

/** What was refused, in words. */
const refused = signal('');

connection.refused = (e) => {
  if (e.error === 'error-two-factor-setup-required') refused.value = texts.demand.role;
  else if (e.error === 'error-no-factor-for-call') refused.value = explain(e);
};

const factors = () => {
  const s = user.value?.services;
  return { app: s?.totp?.enabled === true, key: s?.webauthn?.enabled === true };
};

// It is over when another factor is there, or somebody else. Then all is asked for that was refused.
let before = '';
effect(() => {
  const u = user.value;
  if (!session.value) refused.value = '';
  if (!u) return;
  const { app, key } = factors();
  const now = `${u._id} ${app} ${key}`;
  if (before && before !== now && refused.peek()) {
    refused.value = '';
    opened.value = opened.peek() + 1;
    connection.resubscribe();
  }
  before = now;
});

export function Demand() {
  const t = texts.demand;
  const { app, key } = factors();
  const shown = refused.value !== '' && session.value !== null;
  return (
    <div role="status" class={shown ? 'offline updated' : undefined}>
      {shown && (
        <>
          <strong>{refused.value}</strong>{' '}
          {!key && passkeysOn() && (
            <button type="button" class="small" onClick={() => go('/security?show=keys')}>
              {t.addPasskey}
            </button>
          )}{' '}
          {!app && allows('Accounts_TwoFactorAuthentication_By_TOTP_Enabled') && (
            <button type="button" class="small" onClick={() => go('/security?show=app')}>
              {t.setUpApp}
            </button>
          )}{' '}
          <button type="button" class="secondary small" onClick={() => (refused.value = '')}>
            {t.later}
          </button>
        </>
      )}
    </div>
  );
}
