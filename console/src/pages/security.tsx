import { texts } from '../texts';

export function Security() {
  return <h1>{texts.shell.security}</h1>;
}
